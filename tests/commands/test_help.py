"""Help: as wide as the terminal, words broken nowhere, and nothing left of its source's marks."""

import re

import pytest

from exp.__main__ import run
from exp.commands import VERBS
from exp.commands.predict import predictors


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert run([*words]) == 0
    return capsys.readouterr().out


HELPS = [[verb] for verb in VERBS] + [["predict", f"task={task}"] for task in predictors()]


@pytest.mark.parametrize("words", HELPS, ids=" ".join)
def test_no_help_shows_the_marks_of_its_source(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "``" not in told(capsys, *words, "--help")


@pytest.mark.parametrize("columns", [60, 80, 100, 120, 300])
@pytest.mark.parametrize("words", [["help"], ["--help"], *([*words, "--help"] for words in HELPS)], ids=" ".join)
def test_help_is_as_wide_as_the_terminal(
    words: list[str], columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    whole = told(capsys, *words)
    monkeypatch.setenv("COLUMNS", str(columns))
    text = told(capsys, *words)
    assert max(map(len, re.sub(r"\{\S*\}|\[\S*\]|\S{40,}", "", text).splitlines())) <= columns
    assert sorted(text.split()) == sorted(whole.split()), "every word is there, and none is broken"
