"""exp from Python: the examples of its docstrings. What trains cells is in ``tests/plugins``."""

import doctest
from pathlib import Path

import pytest

import exp.door


def test_the_examples_of_the_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(exp.door, optionflags=doctest.ELLIPSIS)
    assert done.failed == 0
    assert done.attempted >= 10
    assert not list(tmp_path.iterdir())  # nothing has run
