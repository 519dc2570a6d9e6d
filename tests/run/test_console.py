"""What one cell in the foreground ends with."""

from pathlib import Path

import pytest

from exp.cells.cell import Cell
from exp.cells.files import write_json
from exp.cells.machine import cpus
from exp.options.compose import resolved
from exp.run.console import Console
from tests.conftest import TINY, exp, results


@pytest.mark.slow
def test_next_can_be_typed_and_two_ranks_share_the_cores(tmp_path: Path) -> None:
    (tmp_path / "conf" / "att").mkdir(parents=True)
    (tmp_path / "conf" / "att" / "small.yaml").write_text("defaults: [/schema/att/se@_here_]\nreduction: 8\n")
    path = f"hydra.searchpath=[file://{tmp_path}/conf]"
    tiny = [word for word in TINY if not word.startswith(("trainer.threads", "trainer.max_epochs"))]
    done = exp(path, "att=small", *tiny, "trainer.max_epochs=1", "trainer.devices=2", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = results(tmp_path / "multirun")
    assert (run["world_size"], run["threads"]) == (2, max(1, cpus() // 2))
    following = done.stdout.strip().splitlines()[-1]
    assert following.startswith(f"Next: exp '{path}' att=small")
    assert following.endswith("best.ckpt trainer.max_epochs=0")


def test_a_cell_that_was_killed_before_it_saved_says_that_it_begins_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = Cell.of(resolved(["att=none", *TINY]))
    cell.path.mkdir(parents=True)
    write_json(cell.path / "status.json", {"attempt": 1, "state": "running"})
    first = exp("att=none", *TINY, cwd=tmp_path).stdout.splitlines()[0]
    assert (
        first
        == f"running {cell.path.relative_to(tmp_path)}, from its beginning: it was stopped before anything was saved"
    )


@pytest.mark.parametrize("more", [0, 1])
def test_more_processes_than_cores_are_told(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    devices = cpus() + more
    cell = Cell.of(resolved(["att=none", *TINY, f"trainer.devices={devices}"]))
    Console(cell, "exp").begin(anew=False)
    told = f"trainer.devices={devices} on {cpus()} core" in capsys.readouterr().out
    assert told is bool(more)


def test_a_cell_whose_directory_was_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = Cell.of(resolved(["att=none", *TINY]))
    Console(cell, "exp").end("failed")
    assert capsys.readouterr().err == f"failed: {cell.path.relative_to(tmp_path)} was removed while the cell ran\n"
