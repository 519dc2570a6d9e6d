"""W&B runs that lie on this machine and were not sent to a server."""

from collections.abc import Iterable
from pathlib import Path

from exp.cells.terminal import pasted, shown


def unsent(cells: Iterable[Path]) -> str:
    """Returns where the offline runs of cells lie and how they are sent, in a line; empty where there are none.

    Args:
        cells: Folders of cells.
    """
    folders = list(cells)
    runs = [
        run
        for folder in folders
        for run in sorted((folder / "wandb").glob("offline-run-*"))
        if not list(run.glob("*.synced"))
    ]
    if not runs:
        return ""
    if len(runs) == 1:
        return f"W&B: the run is offline; to send it: {pasted('wandb', 'sync', shown(runs[0]))}"
    above = pasted(shown(folders[0].parent))
    return f"W&B: {len(runs)} runs are offline; to send them: wandb sync {above}/*/wandb/offline-run-*"
