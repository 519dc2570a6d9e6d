"""``exp table`` without a name: the tables there are, and how far each is."""

from rich.markup import escape
from rich.table import Table as Grid

from exp.sweep.lines import new_console
from exp.tables.choices import root_of
from exp.tables.listing import Line, listed


def print_list(overrides: list[str], folders: tuple[str, ...], name: str) -> int:
    """Prints the list and returns the exit code.

    Args:
        overrides: Overrides that hold for every cell.
        folders: Further folders of configuration, absolute.
        name: The configuration to start from.

    Raises:
        ConfigError: An override is wrong.
    """
    grid = Grid(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for heading in ("table", "done", "state", "title"):
        grid.add_column(heading, no_wrap=heading != "title")
    for line in listed(root_of(overrides), overrides, name, folders):
        grid.add_row(*_shown(line))
    new_console().print(grid)
    print("\nNext: exp table NAME, then --run; exp report writes report.html")
    return 0


def _shown(line: Line) -> tuple[str, str, str, str]:
    if line.state == "wrong":
        return line.name, "", "[red]wrong[/red]", escape(line.title)
    done = f"{line.done}/{line.expected}" + (f", {line.failed} failed" if line.failed else "")
    return line.name, done, line.state, escape(line.title) if line.name else f"[dim]{line.title}[/dim]"
