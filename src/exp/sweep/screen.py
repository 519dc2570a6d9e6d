"""How a sweep speaks of its cells: what each is called, and the table at the end."""

from collections.abc import Iterable

from rich.console import Console

from exp.sweep.plan import Plan, Planned
from exp.sweep.summary import label, summary, varied_choices


class Screen:
    """A sweep of the command line; a table of the paper has a screen of its own."""

    def names(self, cells: Iterable[Planned]) -> dict[str, str]:
        """Short names of cells by key: what varies among them, and the seed."""
        listed = list(cells)
        varied = varied_choices([one.resolved.config for one in listed])
        found = {}
        for one in listed:
            said = " ".join(label(one.resolved.config, varied)) or one.resolved.slug.rpartition("-s")[0]
            found[one.resolved.key] = f"{said} s{one.resolved.seed}"
        return found

    def end(self, planned: Plan, console: Console) -> None:
        """Prints what the sweep ends with: a row a combination, seeds averaged."""
        console.print(summary(planned.cells, planned.skipped))
