"""Slow preparations say how far they are."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from exp.cells import counted as module
from exp.cells.counted import counted


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """A monotonic clock that shows what its list holds."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.delenv("CI", raising=False)
    return now


def work(clock: list[float], seconds: float, count: int, each: int = 1) -> None:
    for _ in counted(range(count), "drawing walkers", count * each, each=each):
        clock[0] += seconds


def test_what_is_over_soon_says_nothing(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, 0.25, 12)
    assert capsys.readouterr().err == ""


def test_a_log_has_a_line_every_half_minute(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    work(clock, 1, 1200)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == [
        "exp: drawing walkers: 3 of 1,200, 19 min 57 s left",
        "exp: drawing walkers: 33 of 1,200, 19 min 27 s left",
    ]
    assert len(lines) == 40


def test_a_terminal_has_one_line_that_goes(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    work(clock, 2, 4, each=32)
    shown = capsys.readouterr().err
    assert shown.split("\r\x1b[K") == [
        "",
        "drawing walkers: 64 of 128, 4.0 s left",
        "drawing walkers: 96 of 128, 2.0 s left",
        "",
    ]


def test_it_goes_where_the_work_fails(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    items = counted(range(9), "reading", 9)
    next(items)
    clock[0] += 5
    next(items)
    items.close()  # type: ignore[attr-defined]
    assert capsys.readouterr().err.endswith("\r\x1b[K")


def test_a_machine_that_tests_has_none(
    clock: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    work(clock, 9, 9)
    assert capsys.readouterr().err == ""


def test_it_loads_nothing_heavy() -> None:
    code = "import sys, exp.cells.counted; sys.exit('torch' in sys.modules or 'rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
