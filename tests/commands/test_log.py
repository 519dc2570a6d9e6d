"""exp log: finished cells go to a logger that was not asked for, from their files alone."""

import csv
from pathlib import Path

import pytest

from exp.cells.metrics_file import read_metrics
from tests.conftest import TINY, exp


@pytest.mark.slow
def test_a_finished_cell_is_sent(tmp_path: Path) -> None:
    done = exp(*TINY, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cell = next((tmp_path / "multirun" / "attention").iterdir())
    before = {path.name: path.read_bytes() for path in cell.iterdir() if path.is_file()}
    sent = exp("log", str(cell), "--to", "csv", cwd=tmp_path)
    assert sent.returncode == 0, sent.stderr
    assert f"{cell.name}: sent to csv, in multirun/attention/{cell.name}/csv" in sent.stdout
    assert {name: (cell / name).read_bytes() for name in before} == before
    table = next(path for path in cell.rglob("*.csv"))
    rows = list(csv.DictReader(table.read_text().splitlines()))
    last = next(line for line in read_metrics(cell / "metrics.jsonl") if line["split"] == "test")
    assert any(row.get("test/top1") and float(row["test/top1"]) == last["top1"] for row in rows)


def test_what_cannot_be_sent(tmp_path: Path) -> None:
    for words, said in (
        ((str(tmp_path / "no"), "--to", "csv"), "no such folder"),
        ((str(tmp_path), "--to", "csv"), "holds no finished cell"),
        ((str(tmp_path), "--to", "csv", "logger.projct=x"), "logger.projct=x: not an option of logger"),
    ):
        done = exp("log", *words, cwd=tmp_path)
        assert (done.returncode, said in done.stderr) == (2, True), done.stderr
