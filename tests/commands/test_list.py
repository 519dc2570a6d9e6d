"""The list of what can be chosen, on terminals of any width."""

import json
from itertools import pairwise

import pytest

from exp.__main__ import run

LISTS = ["list", "list att", "list recipe", "list trainer", "list att triplet", "list task lane", "list metrics"]


@pytest.mark.parametrize("line", LISTS)
def test_a_terminal_breaks_lines_between_words(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert run(line.split()) == 0
    whole = capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "72")
    assert run(line.split()) == 0
    broken = capsys.readouterr().out
    assert broken.split() == whole.split()
    assert not [line for line in broken.splitlines() if len(line) > 72 and len(line.split()) > 1]


def test_further_lines_stand_below_the_first_column(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert run(["list"]) == 0
    models = [(one, two) for one, two in pairwise(capsys.readouterr().out.splitlines()) if one.startswith("  model")]
    assert any(two.startswith(" " * one.index("resnet") + "v") for one, two in models if "resnet" in one)


def test_json_is_not_broken(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert run(["list", "att", "--format", "json"]) == 0
    assert "triplet" in json.loads(capsys.readouterr().out)
