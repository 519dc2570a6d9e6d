import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.tables.choices import keep
from exp.tables.plan import Planner
from exp.tables.reading import names
from tests.conftest import TINY, exp
from tests.tables.cells import QUICK, compared
from tests.tables.test_compare import VALUES

SEEDS = [*QUICK, "seed=0,1,2,3,4"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "multirun"


def remembered(root: Path) -> None:
    compared(root, "modules", SEEDS, VALUES)
    plan = Planner(root).plan("modules", SEEDS)
    keep(root, "modules", plan.given, plan.chosen)


def test_the_list_has_every_table_and_how_far_it_is(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remembered(here)
    assert run(["table"]) == 0
    out = capsys.readouterr().out
    for name in names():
        assert re.search(rf"^{name} +0/\d+", out, re.MULTILINE)
    assert re.search(r"^ +21/25 .*recipe=quick seed=0,1,2,3,4", out, re.MULTILINE)


def test_a_table_is_shown_as_it_was_run_last(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remembered(here)
    assert run(["table", "modules"]) == 0
    out = capsys.readouterr().out
    assert "97.90 ± 0.16 (5)" in out
    assert "shown as it was run last, with recipe=quick seed=0,1,2,3,4" in out
    assert run(["table", "modules", "recipe=sound"]) == 0
    assert "also run: exp table modules recipe=quick" in capsys.readouterr().out


def test_formats(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    remembered(here)
    assert run(["table", "modules", "--format", "json", *SEEDS]) == 0
    assert json.loads(capsys.readouterr().out)["table"] == "modules"
    for form, start in (("md", "## modules"), ("tex", "% needs "), ("csv", "row,metric"), ("html", "<!doctype")):
        assert run(["table", "modules", "--format", form, *SEEDS]) == 0
        assert capsys.readouterr().out.startswith(start)
    assert run(["table", "modules", "--format", "csv", "--out", "t.csv", *SEEDS]) == 0
    assert Path("t.csv").read_text().startswith("row,metric")


def test_check_fails_for_a_refuted_claim_and_for_a_number_outside(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = {"triplet": [64.5, 64.6, 64.7], "ca": [63.0, 63.1, 63.2], "none": [62.0, 62.1, 62.2]}
    compared(here, "modules", ["seed=0,1,2"], good)
    assert run(["table", "modules", "--check", "seed=0,1,2", "att=none"]) == 0
    compared(here, "modules", SEEDS, {"triplet": [60.0, 60.1, 60.3], "ca": [70.0, 70.2, 70.1]})
    assert run(["table", "modules", "--check", *SEEDS]) == 1
    assert "claim 'Triplet is better than CA', top1: refuted" in capsys.readouterr().err
    compared(here, "modules", ["seed=7"], {"ca": [50.0]})
    assert run(["table", "modules", "--check", "seed=7"]) == 1
    assert "ca top1: 50 is more than 1 from the published 63.09" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["modulse"], "no such table.*did you mean 'modules'"),
        (["modules", "gait"], "one table at a time"),
        (["modules", "seed=x"], "seed=x: expected whole numbers"),
        (["modules", "att=lka"], "no row of table modules is left"),
        (["modules", "recipe=nope"], "recipe=nope: no such choice"),
        (["--run"], "say which table"),
        (["--check"], "say which table"),
    ],
)
def test_what_cannot_stand_is_one_line_and_exit_code_2(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert run(["table", *words]) == 2
    error = capsys.readouterr().err
    assert re.search(complaint, error)
    assert error.count("\n") == 1


def test_a_table_without_multirun_is_refused(tmp_path: Path) -> None:
    done = exp("table=modules", cwd=tmp_path)
    assert done.returncode == 2
    assert "add --multirun, or exp table modules --run" in done.stderr
    assert not (tmp_path / "multirun").exists()


def test_listing_loads_no_torch(here: Path) -> None:
    import subprocess

    code = "import sys; from exp.__main__ import run; run(['table']); run(['table', 'modules']); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=here.parent, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n")


@pytest.mark.slow
def test_run_again_runs_nothing_and_a_deleted_cell_runs_alone(tmp_path: Path) -> None:
    """The same cells from both commands; only what is missing runs; the table follows, and the report."""
    words = ["recipe=quick", "att=none,triplet", "seed=0", *TINY, "sweep.jobs=1"]
    first = exp("table", "modules", "--run", *words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "2 cells run, 0 not run again" in first.stdout
    assert "att=none,triplet: 2 of 5 rows" in first.stdout
    assert "not as published: recipe=quick; surrogate data, digits in place of cifar100" in first.stdout
    assert (tmp_path / "multirun" / "report.html").is_file()
    again = exp("--multirun", "table=modules", *words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert "0 cells run, 2 not run again" in again.stdout
    cells = sorted((tmp_path / "multirun" / "attention").iterdir())
    kept = (cells[0] / "result.json").stat().st_mtime_ns
    shutil.rmtree(cells[1])
    third = exp("table", "modules", "--run", "--format", "json", *words, cwd=tmp_path)
    assert third.returncode == 0, third.stderr
    assert "1 cell run, 1 not run again" in third.stderr
    read = json.loads(third.stdout)
    assert [one["n"] for one in read["rows"]] == [1, 1, 1, 1]
    assert (cells[0] / "result.json").stat().st_mtime_ns == kept
    assert sorted((tmp_path / "multirun" / "attention").iterdir()) == cells
    record = json.loads((cells[1] / "result.json").read_text())
    assert record["config"]["origin"]["table"] == "modules"
    assert record["command"].startswith("python -m exp table modules --run")


@pytest.mark.slow
def test_a_greedy_chain_runs_the_table_it_needs_first(tmp_path: Path) -> None:
    words = ["recipe=quick", "gate=tanh", "seed=0", *TINY, "trainer.max_epochs=1", "sweep.jobs=2"]
    words.remove("trainer.max_epochs=2")
    done = exp("--multirun", "table=gate", *words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = Planner(tmp_path / "multirun").plan("gate", ["recipe=quick", "gate=tanh", "seed=0", *words[3:]])
    assert plan.complete
    best = plan.chosen["activation"]
    assert best.frozen
    result = plan.cells[0].result
    assert result is not None
    assert result["config"]["att"]["activation"] == best.value
    assert result["config"]["origin"]["chosen"] == f"activation={best.value} from table activation"
    assert len(list((tmp_path / "multirun" / "attention").iterdir())) == 9


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["modules", "--resolve"], "--resolve: goes with --run, since it adds cells"),
        (["modules", "--run", "--budget", "3"], "--budget=3: a number of cells"),
        (["modules", "--run", "--resolve", "--budget", "0"], "--budget=0: a number of cells"),
        (["modules", "--run", "--resolve", "recipe=quick", "seed=0,1"], "the first look needs 3 seeds at least, not 2"),
    ],
)
def test_resolving_needs_a_run_and_seeds(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], complaint: str
) -> None:
    assert run(["table", *words]) == 2
    error = capsys.readouterr().err
    assert complaint in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_seeds_are_added_to_open_rows_within_the_budget(tmp_path: Path) -> None:
    """Two rows that three seeds cannot tell apart: seeds are added as far as the budget goes, and it is said why."""
    words = ["recipe=quick", "att=triplet,ca", "seed=0,1,2", *TINY, "trainer.max_epochs=1", "sweep.jobs=2"]
    words.remove("trainer.max_epochs=2")
    first = exp("table", "modules", "--run", "--resolve", "--budget", "4", *words, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "6 cells run" in first.stdout
    assert "the next look needs 6 cells and the budget has 4" in first.stdout
    more = exp("table", "modules", "--run", "--resolve", "--budget", "6", "--format", "json", *words, cwd=tmp_path)
    assert more.returncode == 0, more.stderr
    read = json.loads(more.stdout)
    assert [one["n"] for one in read["rows"]] == [6, 6, 6, 6]
    assert "6 cells added of a budget of 6" in read["looks"][0]
    shown = exp("table", "modules", *words, cwd=tmp_path)
    assert "looks fixed beforehand at 3, 6, 12, 24 seeds" in shown.stdout


def test_a_table_of_which_nothing_has_run_is_not_checked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["table", "kernel", "--check", "seed=0"]) == 1
    assert "table kernel: nothing of it has run, so that nothing could be checked" in capsys.readouterr().err


def test_what_concerns_one_sweep_is_refused_where_there_is_none_or_several(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, complaint in [
        (["--dry"], "--dry: goes with --run and without --resolve; it tells what would run, and how long"),
        (
            ["--run", "--resolve", "--dry"],
            "--dry: goes with --run and without --resolve; it tells what would run, and how long",
        ),
        (["--run", "--resolve", "sweep.budget=1h"], "sweep.budget=1h: is for one sweep, and --resolve makes several"),
    ]:
        assert run(["table", "modules", *words]) == 2
        assert complaint in capsys.readouterr().err
