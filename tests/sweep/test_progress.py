import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from exp.options.compose import composed
from exp.sweep import progress
from exp.sweep.front import next_step
from exp.sweep.lines import print_lines
from exp.sweep.plan import Plan, plan
from exp.sweep.progress import Progress, fraction, says_how_long
from exp.sweep.screen import Screen
from exp.sweep.summary import print_summary, with_short_seeds


def planned(tmp_path: Path) -> Plan:
    here = f"cells.dir={tmp_path}"
    return plan([["att=none", here], ["att=triplet", here]], composed)


def test_names_say_what_varies(tmp_path: Path) -> None:
    assert sorted(Screen().names(planned(tmp_path).cells).values()) == ["none s0", "triplet s0"]


def test_a_line_an_event_where_there_is_no_terminal(tmp_path: Path) -> None:
    sweep = planned(tmp_path)
    out = io.StringIO()
    with Progress(sweep.todo, Screen().names(sweep.cells), 3, Console(file=out, width=200)) as view:
        first = sweep.cells[0]
        first.cell.path.mkdir(parents=True)
        view.update({first.resolved.key})
        first.cell.write_status("running", metrics={"top1": 91.234})
        first.cell.write_result({})
        view.update(set())
        view.update(set())
    assert [line.split() for line in out.getvalue().splitlines()] == [
        ["2", "cells", "to", "run,", "3", "done", "before"],
        ["running", "none", "s0"],
        ["done", "none", "s0", "top1", "91.23"],
    ]


def test_what_runs_is_told_now_and_then_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = planned(tmp_path)
    out = io.StringIO()
    with Progress(sweep.todo, Screen().names(sweep.cells), 3, Console(file=out, width=200)) as view:
        first = sweep.cells[0]
        first.cell.path.mkdir(parents=True)
        first.cell.write_status("running", epoch=3, max_epochs=10, batch=5, batches=10, metrics={"top1": 91.234})
        view.update({first.resolved.key})
        monkeypatch.setattr(progress, "EVERY", 0.0)
        view.update({first.resolved.key})
        first.cell.write_status("running", epoch=4, max_epochs=10, batch=5, batches=10, metrics={"top1": 91.234})
        view.update({first.resolved.key})
    told = out.getvalue().splitlines()
    assert len(told) == 4
    # What was trained before the first look took none of this sweep's time.
    assert re.fullmatch(r"3 done  1 running  1 waiting   [\d.]* s; none s0 epoch 3/10  top1 91.23", told[2])
    assert re.fullmatch(
        r"3 done  1 running  1 waiting   .* s, about .* s left; none s0 epoch 4/10  top1 91.23", told[3]
    )


def test_how_long_is_said_once_something_says_it() -> None:
    assert not says_how_long(0.0, 1000)
    assert not says_how_long(0.01, 9)
    assert says_how_long(0.03, 9)
    assert says_how_long(0.001, 100)


def test_a_live_view_on_a_terminal(tmp_path: Path) -> None:
    sweep = planned(tmp_path)
    out = io.StringIO()
    console = Console(file=out, width=120, force_terminal=True, legacy_windows=False)
    with Progress(sweep.todo, Screen().names(sweep.cells), 1, console) as view:
        first = sweep.cells[0]
        first.cell.path.mkdir(parents=True)
        for epoch in (3, 4):
            first.cell.write_status("running", epoch=epoch, max_epochs=10, batch=5, batches=10, metrics={"top1": 91.2})
            view.update({first.resolved.key})
    said = out.getvalue()
    for part in ("1 done", "1 running", "1 waiting", "epoch 3/10", "top1 91.2", "left"):
        assert part in said


def test_fraction() -> None:
    assert fraction({}) == 0
    assert fraction({"max_epochs": 4, "epoch": 1, "batch": 5, "batches": 10}) == 1.5 / 4
    assert fraction({"max_epochs": 4, "epoch": 4}) == 1


def test_a_missing_cell_is_shown_not_dropped(tmp_path: Path) -> None:
    sweep = planned(tmp_path)
    sweep.cells[0].cell.path.mkdir(parents=True)
    sweep.cells[0].cell.write_result({"test": {"top1": 97.0}, "params": 1000, "macs": 2000, "train_seconds": 3.0})
    out = io.StringIO()
    print_summary(sweep.cells, [(("att=x",), "why")], Console(file=out, width=120))
    assert [line.split() for line in out.getvalue().splitlines()] == [
        ["att", "top1", "params", "MACs", "time"],
        ["none", "97.00", "1.00", "k", "2.00", "k", "3.0", "s"],
        ["triplet", "waiting"],
        ["att=x:", "left", "out:", "why"],
    ]


def test_a_row_with_stale_cells_says_so_and_has_the_counts_of_all(tmp_path: Path) -> None:
    here = f"cells.dir={tmp_path}"
    sweep = plan([["att=none", here, f"seed={seed}"] for seed in range(3)], composed)
    for one, params in zip(sweep.cells, (4910, 1420, 4910), strict=True):
        one.cell.path.mkdir(parents=True)
        one.cell.write_result({"test": {"top1": 97.0}, "params": params, "macs": 2000, "train_seconds": 3.0})
    sweep.cells[1].changed = ["mixer.model"]
    out = io.StringIO()
    print_summary(sweep.cells, [], Console(file=out, width=120))
    row = out.getvalue().splitlines()[1]
    assert "(1 stale)" in row
    assert "4.91 k / 1.42 k" in row
    assert "2.00 k /" not in row


def test_next_step_offers_seeds_first(tmp_path: Path) -> None:
    sweep = planned(tmp_path)
    assert "seed=0,1,2 runs only the cells that are missing" in next_step(
        sweep, False, "python -m exp --multirun att=x", Screen()
    )
    said = next_step(sweep, False, "python -m exp --multirun att=x seed=0 lr=1", Screen())
    assert "python -m exp --multirun att=x lr=1 seed=0,1,2 runs" in said
    for one in sweep.cells:
        one.cell.resolved = one.resolved.seeded(7, ())
    assert "att=x seed=7,8,9 runs" in next_step(sweep, False, "python -m exp --multirun att=x seed=7", Screen())
    assert "tries failed cells again" in next_step(sweep, True, "python -m exp", Screen())


def test_many_seeds_stay_on_a_line(tmp_path: Path) -> None:
    many = ",".join(map(str, range(2000)))
    assert with_short_seeds(f"exp table mine --run seed={many} lr=1") == "exp table mine --run seed=range(0,2000) lr=1"
    assert with_short_seeds("exp att=ca seed=0,1,2 noise_seed=3,4") == "exp att=ca seed=0,1,2 noise_seed=3,4"
    step = next_step(planned(tmp_path), True, f"exp --multirun att=ca seed={many}", Screen())
    assert len(step) < 200


def test_nothing_is_cut_on_a_narrow_terminal() -> None:
    headings = ["att", "kernel size", "top1", "loss", "params"]
    rows = [["triplet", "7", "97.40 ± 0.21 (3)", "0.033 ± 0.010 (3)", "703.58 k"], ["none", "3", "waiting", "", ""]]
    for width in (80, 50, 30, 12):
        out = io.StringIO()
        print_lines(headings, rows, Console(file=out, width=width), names=2)
        text = out.getvalue()
        for word in ("triplet", "97.40 ± 0.21 (3)", "waiting", "none"):
            assert word in text
        assert " ".join(text.split()).count("0.033 ± 0.010 (3)") == 1
        assert max(len(line) for line in text.splitlines()) <= max(width, 20)
    assert "loss 0.033 ± 0.010 (3), params 703.58 k" in printed(headings, rows, 50)


def printed(headings: list[str], rows: list[list[str]], width: int) -> str:
    out = io.StringIO()
    print_lines(headings, rows, Console(file=out, width=width), names=2)
    return out.getvalue()
