import json
import time
from pathlib import Path

import pytest
import torch
from rich.console import Console

from exp.options.compose import composed, resolved
from exp.run.calibrate import Enough, Stopwatch
from exp.sweep.dry import _by_macs, _Counted, estimates, measured, spread_out
from exp.sweep.estimate import Cost, Costs, makespan
from exp.sweep.plan import plan
from exp.sweep.pool import Pool, Slots
from tests.conftest import TINY, exp
from tests.tables.cells import finish


def known(*cells: tuple[list[str], float]) -> Costs:
    costs = Costs()
    for words, seconds in cells:
        one = resolved(words)
        costs.add(one.identity, one.config.plain(), seconds, 100.0)
    return costs


def test_the_nearest_cells_decide() -> None:
    costs = known((["att=ca", "seed=0"], 10.0), (["att=ca", "seed=1"], 14.0), (["att=se", "trainer.max_epochs=4"], 8.0))

    def of(*words: str, near: bool = False) -> tuple[float, str] | None:
        one = resolved(list(words))
        cost = costs.of(one.identity, one.config.plain(), near=near)
        return None if cost is None else (cost.seconds, cost.source)

    assert of("att=ca", "seed=7") == (12.0, "seeds")
    assert of("att=se", "trainer.max_epochs=2") == (4.0, "epochs")
    assert of("att=eca") == (14.0, "kind"), "the median of 10, 14 and, for four epochs of twelve, 8 s"
    assert of("att=eca", near=True) is None
    assert of("task=gait") is None


def test_the_end_of_a_sweep_follows_from_its_slots() -> None:
    assert makespan([], [5.0, 5.0, 5.0], 2) == 10
    assert makespan([4.0, 1.0], [5.0], 2) == 6
    assert makespan([4.0], [], 4) == 4
    assert makespan([], [], 1) == 0
    assert makespan([7.0, 8.0, 9.0], [1.0], 2) == 9, "more run than there are slots"


def test_costs_are_those_of_the_folder(tmp_path: Path) -> None:
    words = [["att=none", f"seed={seed}", f"cells.dir={tmp_path}"] for seed in range(3)]
    planned = plan(words, composed)
    finish(
        planned.cells[0],
        test={"top1": 90.0},
        identity=planned.cells[0].resolved.identity,
        disk_bytes=1_000_000,
    )
    one = planned.cells[1].resolved
    cost = measured(tmp_path).of(one.identity, one.config.plain())
    assert cost is not None
    assert (cost.seconds, cost.disk_bytes, cost.source) == (12.5, 1_000_000, "seeds")


@pytest.mark.slow
def test_a_sweep_tells_and_runs_nothing(tmp_path: Path) -> None:
    words = ["--multirun", *TINY, "att=none,se", "seed=0,1", "sweep.jobs=2"]
    for seed in (0, 1):
        for att in ("none", "se"):
            planned = plan([[*TINY, f"att={att}", f"seed={seed}", f"cells.dir={tmp_path}/multirun"]], composed)
            if (att, seed) != ("se", 1):
                one = planned.cells[0]
                finish(one, test={"top1": 90.0}, identity=one.resolved.identity, disk_bytes=2_000_000)
    before = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    done = exp(*words, "sweep.dry=true", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1 of 4 cells to run, 2 at a time: about 12 s, 2 MB on disk" in done.stdout
    assert "1 cell from other seeds of the same cell: 12 s each" in done.stdout
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == before
    alone = exp(*TINY, "sweep.dry=true", cwd=tmp_path)
    assert alone.returncode == 2
    assert "sweep.dry=true: is for sweeps and tables; add --multirun" in alone.stderr


def test_a_few_are_calibrated_the_smallest_and_largest_of_each_data_set(tmp_path: Path) -> None:
    rows = [("digits", macs) for macs in (50, 10, 40, 20, 30)] + [("faces", 5)]
    words = [
        [f"data={data}", f"optim.lr={0.01 + n / 100}", f"cells.dir={tmp_path}"] for n, (data, _) in enumerate(rows)
    ]
    counted = [_Counted(cell, macs, 1.0) for cell, (_, macs) in zip(plan(words, composed).cells, rows, strict=True)]
    assert [(one.data, one.macs) for one in spread_out(counted)] == [
        ("attention faces", 5),
        ("attention digits", 50),
        ("attention digits", 10),
    ]
    assert [one.macs for one in spread_out(counted[:5])] == [50, 10, 30]
    assert [one.macs for one in spread_out(counted[:1])] == [50]


def test_others_are_judged_by_their_macs(tmp_path: Path) -> None:
    words = [["trainer.max_epochs=10", f"optim.lr={0.01 + n / 100}", f"cells.dir={tmp_path}"] for n in range(4)]
    small, large, middle, huge = (
        _Counted(cell, macs, macs / 10)
        for cell, macs in zip(plan(words, composed).cells, (100, 300, 200, 600), strict=True)
    )
    pairs = [
        (small, {"start": 1.0, "epoch": 2.0, "test": 1.0, "disk_bytes": 100.0}),
        (large, {"start": 3.0, "epoch": 4.0, "test": 3.0, "disk_bytes": 300.0}),
    ]
    assert _by_macs(large, pairs) == Cost(3 + 40 + 3, 300, "calibrated")
    assert _by_macs(middle, pairs) == Cost(2 + 30 + 2, 200, "macs")
    assert _by_macs(huge, pairs) == Cost(3 + 2 * (40 + 3), 600, "macs")


def test_a_stopwatch_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    watch = Stopwatch(2.0, torch.device("cpu"))
    stopped = 0
    for batch in range(1, 100):
        now[0] += 0.5 if batch <= 2 else 0.1
        try:
            watch.on_train_batch_end()
        except Enough:
            stopped = batch
            break
    assert 22 <= stopped <= 23, "two batches to warm up, then two seconds of a tenth each"
    assert watch.batch_seconds == pytest.approx(0.1)


@pytest.mark.slow
def test_what_has_no_like_is_calibrated(tmp_path: Path) -> None:
    words = [[*TINY, f"att={att}", "seed=0", f"cells.dir={tmp_path}/multirun"] for att in ("none", "se", "ca", "eca")]
    planned = plan(words, composed)
    pool = Pool("test")
    try:
        costs = estimates(planned.todo, pool, Slots(None, 2, 1), Console(quiet=True))
        counted = pool.count(planned.todo, Slots(None, 1, 1))
    finally:
        pool.close()
    assert sorted(one.source for one in costs) == ["calibrated", "calibrated", "calibrated", "macs"]
    assert all(one.seconds > 0 and one.disk_bytes > 10_000 for one in costs)
    assert counted[1]["macs"] > counted[0]["macs"] > 0
    assert not (tmp_path / "multirun").exists()


TABLES = {
    "modules": ["recipe=quick", "att=none,ca", "seed=0", "trainer.max_epochs=6"],
    "activation": ["recipe=quick", "activation=relu,gelu", "seed=0", "trainer.max_epochs=4"],
    "gait": ["recipe=quick", "model=baseline,convlstm", "seed=0", "trainer.max_epochs=3"],
}


ATTEMPTS = 3
"""How often the estimate is compared with a run; other work on the machine may begin or end between the two."""


@pytest.mark.slow
@pytest.mark.parametrize("table", TABLES)
def test_estimates_are_within_a_factor_of_two(tmp_path: Path, table: str) -> None:
    """What the machine does besides slows calibration and run alike; so it is estimated before the run and after."""
    words = [table, "--run", *TABLES[table], "sweep.jobs=2", "trainer.threads=1"]
    compared = []
    for attempt in range(ATTEMPTS):
        here = tmp_path / str(attempt)
        here.mkdir()
        before = told(words, here)
        assert not list(here.glob("multirun/*/*"))
        done = exp("table", *words, cwd=here, timeout=3000)
        assert done.returncode == 0, done.stdout + done.stderr
        whole = max(path.stat().st_mtime for path in here.glob("multirun/*/*/result.json")) - min(
            json.loads(path.read_text())["first_started"] for path in here.glob("multirun/*/*/status.json")
        )
        after = told([*words, f"cells.dir={here}/again"], here)
        print(f"{table}: estimated {before:.0f} s before and {after:.0f} s after, cells took {whole:.0f} s")
        compared.append((before, whole, after))
        if min(before, after) / 2 <= whole <= 2 * max(before, after):
            return
    raise AssertionError(f"estimated before, measured, estimated after, in seconds: {compared}")


def told(words: list[str], here: Path) -> float:
    dry = exp("table", *words, "--dry", cwd=here, timeout=3000)
    assert dry.returncode == 0, dry.stdout + dry.stderr
    return seconds(dry.stdout.splitlines()[0].partition("about ")[2].partition(",")[0])


def seconds(text: str) -> float:
    units = {"s": 1, "min": 60, "h": 3600}
    parts = text.split()
    return sum(float(amount) * units[unit] for amount, unit in zip(parts[::2], parts[1::2], strict=True))
