"""Commands that are printed can be pasted into the shell from which this one was typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from exp.cells.terminal import columns, folded, laid_out
from tests.conftest import ENVIRONMENT

TYPED = "from exp.cells.terminal import *; remember_typed(['att=ca', 'seed=0, 1']); print(typed_command())"


@pytest.mark.parametrize(
    ("program", "printed"), [(sys.executable, "python -m exp"), (".venv/bin/python", ".venv/bin/python -m exp")]
)
def test_an_environment_that_is_not_active_is_named(program: str, printed: str, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    told = subprocess.run(
        [program, "-c", TYPED], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert told.stdout == f"{printed} att=ca 'seed=0, 1'\n"


def test_a_line_is_broken_between_words() -> None:
    line = "ok       data     1000 train, 200 test; no test sample is among the training-samples"
    assert folded(line, 40, 18).splitlines() == [
        "ok       data     1000 train, 200 test;",
        "                  no test sample is",
        "                  among the",
        "                  training-samples",
    ]
    assert folded(line, 10_000, 18) == line
    assert folded("options: a.*, b.*", 12, 2, first=2) == "  options: a.*, b.*", "never fewer columns than words need"


def test_words_of_help_go_on_where_no_sentence_ends() -> None:
    text = "Takes ``--verify`` and\nthe rest.\nA line of its own.\n\n    exp a    b\n    exp c"
    assert laid_out(text, 80) == "Takes --verify and the rest.\nA line of its own.\n\n    exp a    b\n    exp c"
    assert laid_out(text, 22).splitlines()[:2] == ["Takes --verify and the", "rest."]


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "77")
    assert columns(120) == 77
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr(sys, "__stdout__", None)
    assert columns(120) == 120
