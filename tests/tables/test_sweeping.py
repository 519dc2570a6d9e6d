"""An ordinary sweep of several seeds ends with verdicts, names the best pair, and becomes a table."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from exp.options.compose import composed
from exp.options.errors import ConfigError
from exp.sweep.plan import Plan, plan
from exp.tables.adhoc import file_of_folder
from exp.tables.sweeping import SweepScreen
from tests.tables.cells import finish

VALUES = {"none": [90.0, 90.2, 90.1, 90.3], "ca": [95.0, 95.3, 95.1, 95.2], "se": [95.5, 95.9, 95.6, 95.8]}


def swept(root: Path, seeds: int) -> Plan:
    words = [[f"att={att}", f"seed={seed}", f"cells.dir={root}"] for att in VALUES for seed in range(seeds)]
    planned = plan(words, composed)
    for one in planned.cells:
        value = VALUES[one.resolved.config.att.name][one.seed]
        finish(one, test={"top1": value, "top5": 99.0, "loss": 1.0}, slug=one.cell.path.name, overrides=one.overrides)
    return planned


def printed(planned: Plan) -> str:
    out = io.StringIO()
    SweepScreen().end(planned, Console(file=out, width=120))
    return out.getvalue()


def test_verdicts_from_three_seeds_up(tmp_path: Path) -> None:
    text = printed(swept(tmp_path, 4))
    block = text[text.index("top1, more is better") : text.index("top5, more is better")]
    lines = {line.split()[0]: line for line in block.splitlines() if line.strip()}
    assert "cells" not in block, "how many are done is told of a sweep that is not whole"
    assert "reference" in lines["none"]
    assert "better" in lines["ca"]
    assert "better" in lines["se"]
    assert "against none, paired by seed" in text


def test_no_verdict_below_and_the_best_pair_next(tmp_path: Path) -> None:
    planned = swept(tmp_path, 2)
    text = printed(planned)
    assert "95.15" in text
    assert "verdict" not in text
    first, second = SweepScreen().pair(planned)
    assert [one.resolved.config.att.name for one in (first, second)] == ["se", "ca"]
    assert first.seed == second.seed


def test_cells_of_a_folder_become_a_table(tmp_path: Path) -> None:
    swept(tmp_path, 2)
    content = file_of_folder(tmp_path)
    assert content["seeds"] == [0, 1]
    assert content["rows"] == {name: {"att": name} for name in sorted(VALUES)}
    assert content["base"]["task"] == "attention"
    with pytest.raises(ConfigError, match="no cell that is done"):
        file_of_folder(tmp_path / "nothing")
