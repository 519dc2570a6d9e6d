"""A rank above 0 of a cell: ``python -m exp.run.follow CELL_DIRECTORY RANK WORLD_SIZE PORT``, started by the cell."""

import os
import sys

from exp.run.ddp import die_with_parent, leave_signals_to_lead
from exp.run.rank import Rank


def main(folder: str, rank: int, world_size: int, port: int) -> None:
    """Trains along with rank 0; whatever goes wrong is rank 0's to report."""
    die_with_parent(int(os.environ.pop("EXP_PARENT")))
    leave_signals_to_lead()
    from exp.callbacks.checkpoint import Interrupted
    from exp.cells.cell import Cell
    from exp.run.train import run

    cell = Cell.at(folder)
    try:
        run(cell.resolved.config, cell.path, rank=Rank(rank, world_size, port), threads=cell.status()["threads"])
    except Interrupted:
        return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
