"""exp check: how its findings are printed."""

import importlib
from collections.abc import Iterator

import pytest

from exp.__main__ import run
from exp.run.check import Finding

WORDS = "stopped in the second epoch and gone on with: the same weights to the last bit"


@pytest.mark.parametrize("columns", [80, 100, None])
def test_a_finding_is_broken_between_words_on_a_terminal(
    columns: int | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def found(make: object) -> Iterator[Finding]:
        yield Finding("resumes", "ok", WORDS)

    monkeypatch.setattr(importlib.import_module("exp.run.check"), "look_over", found)
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr("sys.__stdout__", None)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    assert run(["check"]) == 0
    first, *more = capsys.readouterr().out.splitlines()
    assert max(map(len, [first, *more])) <= (columns or 1000)
    assert len(more) == (columns == 80), "a file or pipe gets a line a finding"
    assert all(line.startswith(" " * 18) and line[18] != " " for line in more)
    assert " ".join([first, *more]).split() == ["ok", "resumes", *WORDS.split()]
