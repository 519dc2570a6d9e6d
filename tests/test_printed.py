"""Commands that exp prints are run as printed, through a real shell, from folders with odd names."""

import re
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exp.__main__ import run
from exp.cells.terminal import pasted, places, remember_typed

FOLDERS = ("a b=(1)[x]", "it's #1", 'say "é"', "a,b;$HOME&c", "{~}\\ 100%!")


def typed(command: str) -> list[str]:
    """The words that a shell makes of a command line, without the program."""
    done = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {command}"], capture_output=True, text=True, check=True, timeout=60
    )
    words = done.stdout.split("\0")[:-1]
    return words[1:] if words[0] == "exp" else words[3:]


def printed(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        code = run(words)
    out, err = capsys.readouterr()
    assert code == 0, out + err
    return out


@pytest.fixture
def cell(train: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    train("trainer.max_epochs=1", "att=none")
    return tmp_path / "multirun"


WORDS = [
    "width=4",
    "batch_size=256",
    "trainer.max_epochs=1",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "att=none",
]


@pytest.mark.slow
def test_what_is_printed_next_runs_as_printed_whatever_the_folder_is_called(
    cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = set()
    for name in FOLDERS:
        folder = tmp_path / "odd" / name
        shutil.copytree(cell, folder / "multirun")
        monkeypatch.chdir(folder)
        out = printed(capsys, WORDS)
        assert "is done; not run again" in out
        (following,) = re.findall(r"^Next: (exp .*)$", out, flags=re.MULTILINE)
        words = typed(following)
        assert any(word.startswith("ckpt=") and word.rstrip("'").endswith("best.ckpt") for word in words)
        out = printed(capsys, words)
        scores.update(line for line in out.splitlines() if line.startswith("test "))
        assert len(list((folder / "multirun").glob("*/*/result.json"))) == 2, "a cell of its own, tested only"
    assert len(scores) == 1


def test_what_a_sweep_prints_next_is_what_was_typed_with_more_seeds(
    cell: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a b", "it's (1)"):
        shutil.copytree(cell, tmp_path / name)
        words = ["--multirun", *WORDS, f'cells.dir="{name}"', "seed=0"]
        out = printed(capsys, words)
        command = re.search(r"Next: (?:[^;]*; )?(.*) runs only the cells that are missing", out)
        assert command
        assert typed(command[1]) == [*words[:-1], "seed=0,1,2"]


def test_where_configuration_lies_is_typed_again() -> None:
    remember_typed(["--config-dir", "a b", "att=ca", "-cn=mine", "hydra.searchpath=[file:///x y]"])
    assert places() == ["--config-dir", "a b", "-cn=mine", "hydra.searchpath=[file:///x y]"]
    assert typed(pasted("exp", *places())) == places()
    assert places(["seed=1"]) == []
