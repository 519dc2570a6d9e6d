"""How much time a sweep has and who hears of its end: real programs, a real sweep."""

import sys
from pathlib import Path

import pytest

from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.sweep.course import Course
from tests.conftest import TINY, exp, results


def listener(folder: Path, then: str = "") -> str:
    """A program that keeps what it is told, and each time that it is."""
    path = folder / "listen.py"
    path.write_text(
        f"import os, sys\nwith open({str(folder / 'heard.txt')!r}, 'a') as file:\n"
        f"    file.write(str(sys.argv[1:]) + '\\n' + sys.stdin.read())\n{then}\n"
    )
    return f"{sys.executable} {path}"


def test_the_program_gets_the_summary_as_it_is_and_no_shell(tmp_path: Path) -> None:
    course = Course(notify=f"{listener(tmp_path)} '$HOME; touch {tmp_path}/hit' a", command="exp -m att=none,ca")
    course.add("2 cells run; `touch x` $(touch y)")
    assert course.end(1) == 1
    assert (tmp_path / "heard.txt").read_text() == (
        f"['$HOME; touch {tmp_path}/hit', 'a']\n"
        "failed or unfinished: exp -m att=none,ca\n2 cells run; `touch x` $(touch y)"
    )
    assert not (tmp_path / "hit").exists()


def test_a_program_that_fails_changes_no_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Course(notify=listener(tmp_path, "sys.exit(3)")).end(0) == 0
    assert "sweep.notify: " in capsys.readouterr().err
    assert (tmp_path / "heard.txt").exists()


def test_a_program_that_is_not_there_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no program nosuchprogram to run"):
        Course(notify="nosuchprogram --now")
    done = exp("--multirun", *TINY, "att=none,se", "sweep.notify=nosuchprogram", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip() == "exp: sweep.notify=nosuchprogram: there is no program nosuchprogram to run"
    done = exp("--multirun", *TINY, "att=none,se", "sweep.budget=2", cwd=tmp_path)
    assert done.returncode == 2
    assert "exp: sweep.budget=2: has to be a duration with its unit, such as 2h" in done.stderr
    assert not (tmp_path / "multirun").exists()


def test_neither_is_part_of_a_cell() -> None:
    assert resolved(["sweep.budget=2h", "sweep.notify=mail", "sweep.dry=true"]).key == resolved([]).key


@pytest.mark.slow
def test_a_sweep_stops_when_its_time_is_over_and_goes_on(tmp_path: Path) -> None:
    """Thousands of epochs end in no time that a test has; what was trained is kept and the program is told once."""
    words = ["--multirun", *TINY, "att=none,se,eca", "sweep.jobs=2", f"sweep.notify={listener(tmp_path)}"]
    done = exp(*words, "trainer.max_epochs=4000", "sweep.budget=20s", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "The budget is used up; everything is saved" in done.stdout
    assert "3 cells are not finished; the same command goes on from there" in done.stdout
    heard = (tmp_path / "heard.txt").read_text()
    assert heard.count("[]\n") == 1
    assert heard.startswith("[]\nfailed or unfinished: python -m exp --multirun")
    assert "The budget is used up; everything is saved" in heard
    assert results(tmp_path / "multirun") == []
    assert not list((tmp_path / "multirun").glob("*/*/lock"))
    assert not list((tmp_path / "multirun").glob("*/*-eca-*/status.json")), "no further cell starts"
