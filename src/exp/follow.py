"""A rank above 0 of a cell: ``python -m exp.follow CELL_DIRECTORY RANK WORLD_SIZE PORT``, started by the cell."""

import os
import sys
from pathlib import Path

from exp.ddp import die_with_parent, leave_signals_to_lead
from exp.rank import Rank


def main(folder: str, rank: int, world_size: int, port: int) -> None:
    """Trains along with rank 0; whatever goes wrong is rank 0's to report."""
    die_with_parent(int(os.environ.pop("EXP_PARENT")))
    leave_signals_to_lead()
    from exp.cell import read_json
    from exp.checkpoint import Interrupted
    from exp.train import run

    written = read_json(Path(folder) / "config.json")
    status = read_json(Path(folder) / "status.json")
    assert written is not None and status is not None
    try:
        run(written["config"], Path(folder), rank=Rank(rank, world_size, port), threads=status["threads"])
    except Interrupted:
        return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
