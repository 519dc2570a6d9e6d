"""How a sweep speaks of its cells: what each is called, and the table at the end."""

from collections.abc import Iterable

from rich.console import Console

from exp.sweep.plan import Plan, Planned
from exp.sweep.summary import label, print_summary, varied_choices


class Screen:
    """A sweep of the command line; a table of the paper has a screen of its own."""

    def names(self, cells: Iterable[Planned]) -> dict[str, str]:
        """Returns short names of cells by key: what varies among them, and the seed."""
        listed = list(cells)
        varied = varied_choices([one.resolved.config.plain() for one in listed])
        names = {}
        for one in listed:
            name = " ".join(label(one.resolved.config.plain(), varied)) or one.resolved.slug.rpartition("-s")[0]
            names[one.resolved.key] = f"{name} s{one.seed}"
        return names

    def end(self, planned: Plan, console: Console) -> None:
        """Prints what the sweep ends with: a row a combination, seeds averaged."""
        print_summary(planned.cells, planned.skipped, console)

    def pair(self, planned: Plan) -> list[Planned]:
        """Returns the two cells that a user is likely to compare next; fewer where there are none."""
        first = planned.cells[0]
        return [first, *(one for one in planned.cells[1:] if one.seed == first.seed)][:2]
