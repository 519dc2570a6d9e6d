"""``exp check [OPTION=VALUE] ...``: looks a task over before it is trusted with days.

Whether test samples are among the training samples, whether the net learns one batch by heart, whether a run that is
stopped goes on to the same weights, and how fast it trains. A line each; exit code 1 where one is bad.
"""

import argparse
import dataclasses
import sys

from exp.cells.terminal import columns, folded
from exp.commands.front import add_composition, add_format, add_overrides, resolved_by, show
from exp.options.errors import CellFailed
from exp.options.resolve import Resolved


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_overrides(parser)
    add_composition(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints what was found, a line each; returns 1 where something is bad.

    Raises:
        ConfigError: A choice or option is wrong.
        DataError: A data set is missing or damaged.
    """

    def make(further: list[str]) -> Resolved:
        return resolved_by(options, [*options.overrides, *further])

    make([])
    from exp.run.check import look_over

    found = []
    try:
        for finding in look_over(make):
            found.append(finding)
            if options.format == "text":
                print(folded(f"{finding.state:8} {finding.subject:8} {finding.text}", columns(10_000), 18), flush=True)
    except CellFailed as error:
        print(f"exp check: {error}", file=sys.stderr)
        return 1
    if options.format == "json":
        show([dataclasses.asdict(finding) for finding in found], "", "json")
    return int(any(finding.state == "bad" for finding in found))
