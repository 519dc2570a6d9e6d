"""Processes of a sweep that are ended, frozen or limited: the same command goes on to the same weights."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import results
from tests.faults.sweeps import CELLS, LONG, SHORT, Faults, Sweep, left_behind, weights, whole

pytestmark = pytest.mark.slow  # each some real sweeps


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the long cells end with when they are left alone."""
    folder = tmp_path_factory.mktemp("alone")
    assert Sweep(folder, *LONG).end()[0] == 0
    return weights(folder / "multirun")


def freeze(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(pid, signal.SIGCONT)


def compare(faults: Faults, folder: Path, expected: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    ended = weights(folder / "multirun")
    faults.lost = sum(ended.get(name) != value for name, value in expected.items())
    faults.show(capsys)
    assert ended.keys() == expected.keys()
    assert not whole(folder / "multirun")
    assert not left_behind(folder)


def test_a_cell(undisturbed: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults("signals to a cell")
    sweep = Sweep(tmp_path, *LONG)
    sweep.until(sweep.saved)
    freeze(sweep.cell())
    os.kill(sweep.cell(), signal.SIGTERM)
    code, text = sweep.end()
    assert code == 1
    assert "1 cell is not finished; the same command goes on from there" in text
    assert len(results(tmp_path / "multirun")) == 1, "the other cell was left alone"
    sweep = Sweep(tmp_path, *LONG)
    sweep.until(sweep.cell)
    os.kill(sweep.cell(), signal.SIGKILL)
    code, text = sweep.end()
    assert code == 1
    assert "the process ended with SIGKILL (out of memory?)" in text
    assert Sweep(tmp_path, *LONG).end()[0] == 0
    faults.tried = 3
    compare(faults, tmp_path, undisturbed, capsys)


def test_the_front(undisturbed: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = Faults("signals to the front")
    for number, expected in ((signal.SIGTERM, 130), (signal.SIGINT, 130), (signal.SIGKILL, -9)):
        sweep = Sweep(tmp_path, *LONG)
        sweep.until(sweep.saved)
        freeze(sweep.pid)
        os.kill(sweep.pid, number)
        code, text = sweep.end()
        assert code == expected, text
        assert ("To go on: " in text) == (number != signal.SIGKILL)
        deadline = time.monotonic() + 20
        while left_behind(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left_behind(tmp_path)
        faults.tried += 2
    assert Sweep(tmp_path, *LONG).end()[0] == 0
    compare(faults, tmp_path, undisturbed, capsys)


def test_the_server(undisturbed: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is replaced, and the cells that ended with it go on: one command, exit code 0."""
    faults = Faults("signals to the warm server")
    sweep = Sweep(tmp_path, *LONG)
    for number in (signal.SIGKILL, signal.SIGTERM):
        sweep._began = time.time_ns()
        sweep.until(sweep.saved)
        freeze(sweep.server())
        os.kill(sweep.server(), number)
        faults.tried += 2
    code, text = sweep.end()
    assert code == 0, text
    assert "the sweep's server ended with SIGKILL (out of memory?); another one goes on" in text
    assert "the sweep's server ended with SIGTERM; another one goes on" in text
    assert {run["attempts"] for run in results(tmp_path / "multirun")} == {3}
    compare(faults, tmp_path, undisturbed, capsys)


def test_a_server_that_is_ended_again_and_again_is_a_line(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path, *LONG)
    seen: set[int] = set()

    def another() -> bool:
        return any(pid not in seen for pid in servers())

    def servers() -> list[int]:
        try:
            return [sweep.server()]
        except StopIteration:
            return []

    for _ in range(4):
        sweep.until(another)
        seen |= {sweep.server()}
        os.kill(sweep.server(), signal.SIGKILL)
    code, text = sweep.end()
    assert code == 1
    assert text.splitlines()[-1].startswith("exp: the sweep's server ended with SIGKILL (out of memory?), 4 times")
    assert not left_behind(tmp_path)


def test_a_rank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*CELLS, "trainer.max_epochs=25", "att=none", "trainer.devices=2", "seed=0"]
    (tmp_path / "alone").mkdir()
    (tmp_path / "fire").mkdir()
    assert Sweep(tmp_path / "alone", *words).end()[0] == 0
    faults = Faults("signals to a rank", tried=4)
    folder = tmp_path / "fire"
    sweep = Sweep(folder, *words)
    sweep.until(lambda: list(folder.glob("multirun/*/*/last.ckpt")))
    freeze(sweep.follower())
    os.kill(sweep.follower(), signal.SIGTERM)  # what it means, rank 0 decides
    os.kill(sweep.follower(), signal.SIGKILL)
    code, text = sweep.end()
    assert code == 1
    assert "rank 1 of 2 ended with code -9" in text
    sweep = Sweep(folder, *words)
    sweep.until(lambda: sweep.cell(""))
    os.kill(sweep.cell(""), signal.SIGKILL)
    assert sweep.end()[0] == 1
    assert Sweep(folder, *words).end()[0] == 0
    compare(faults, folder, weights(tmp_path / "alone" / "multirun"), capsys)


def test_a_cell_that_hangs_is_ended_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = Sweep(tmp_path, *LONG, "sweep.timeout=30s", "sweep.retry=1")
    sweep.until(sweep.saved)
    os.kill(sweep.cell(), signal.SIGSTOP)  # for ever
    code, text = sweep.end()
    assert code == 0, text
    assert "-se-digits-width4-s0: nothing in its folder changed for 30 s; it is ended" in text
    attempts = {run["slug"]: run["attempts"] for run in results(tmp_path / "multirun")}
    assert sorted(attempts.values()) == [1, 2]
    Faults("cells that hang", tried=1).show(capsys)


def test_a_cell_out_of_memory_stops_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = tmp_path / "cells.yaml"
    cells.write_text("- {width: 256}\n- {width: 4}\n")
    words = [*CELLS, "trainer.max_epochs=1", f"sweep.cells={cells}", "sweep.jobs=1"]
    limit = 2_200_000_000
    sweep = Sweep(tmp_path, *words, limit=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    code, text = sweep.end()
    assert code == 1
    failed = [line for line in text.splitlines() if line.startswith("failed 256 s0: ")]
    assert len(failed) == 1
    assert "memory" in failed[0]
    assert [run["config"]["model"]["width"] for run in results(tmp_path / "multirun")] == [4]
    Faults("cells out of memory", tried=1).show(capsys)


@pytest.fixture
def memory_group() -> Iterator[Path]:
    """A control group that holds 1.4 GB of memory, as a container or a job of SLURM is one."""
    roots = {"memory/memory.limit_in_bytes": "memory", "cgroup.subtree_control": ""}
    for file, root in roots.items():
        known = Path("/sys/fs/cgroup") / file
        if not known.is_file() or (not root and "memory" not in known.read_text().split()):
            continue
        group = Path("/sys/fs/cgroup") / root / f"exp-{os.getpid()}"
        try:
            group.mkdir()
        except OSError as error:
            pytest.skip(f"this user may not make a control group: {error}")
        (group / ("memory.limit_in_bytes" if root else "memory.max")).write_text("1400000000")
        yield group
        group.rmdir()
        return
    pytest.skip("no control groups of memory here")


def test_a_cell_that_the_kernel_kills_for_its_memory(
    memory_group: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = tmp_path / "cells.yaml"
    cells.write_text("- {width: 256}\n- {width: 4}\n")
    words = [*CELLS, "trainer.max_epochs=1", f"sweep.cells={cells}", "sweep.jobs=1"]
    sweep = Sweep(tmp_path, *words, limit=lambda: (memory_group / "cgroup.procs").write_text(str(os.getpid())))
    code, text = sweep.end()
    assert code == 1
    assert "failed 256 s0: the process ended with SIGKILL (out of memory?)" in text
    assert [run["config"]["model"]["width"] for run in results(tmp_path / "multirun")] == [4]
    assert not whole(tmp_path / "multirun")
    assert not left_behind(tmp_path)
    Faults("cells killed in a control group", tried=1).show(capsys)


def test_two_shells_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each waits for what the other runs, and both end with the whole table."""
    words = [*CELLS, "trainer.max_epochs=3", "att=none,se,eca,ca"]
    (tmp_path / "other").mkdir()
    one = Sweep(tmp_path, *words, "cells.dir=multirun")
    two = Sweep(tmp_path / "other", *words, "cells.dir=../multirun")
    ends = [one.end(), two.end()]
    assert [code for code, _ in ends] == [0, 0], ends
    runs = results(tmp_path / "multirun")
    assert len(runs) == 4
    assert {run["attempts"] for run in runs} == {1}
    ran = [int(text.split(" cells run, ")[0].split()[-1]) for _, text in ends]
    assert sum(ran) == 4
    Faults("cells raced for by two sweeps", tried=4, notes=f"{ran[0]} and {ran[1]}").show(capsys)


def test_a_cell_that_another_process_left_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = Sweep(tmp_path, *LONG)
    one.until(one.saved)
    two = Sweep(tmp_path / "other", *LONG, "cells.dir=../multirun")
    two.until(lambda: "in another process" in (tmp_path / "other" / "out.txt").read_text())
    os.kill(one.pid, signal.SIGKILL)
    assert one.end()[0] == -signal.SIGKILL
    code, text = two.end()
    assert code == 0, text
    assert "2 cells run in another process and will be waited for; Ctrl-C leaves them to it" in text
    assert {run["attempts"] for run in results(tmp_path / "multirun")} == {2}


CLOCK = """
import os, random, time
_real, _chance = time.time, random.Random(os.getpid())
time.time = lambda: _real() + _chance.choice((-86400, -3600, 0, 3600, 86400))
"""


def test_a_clock_that_jumps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A day back and forth at every look, in every process of the sweep."""
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    code, text = Sweep(tmp_path, *SHORT).end()
    assert code == 0, text
    expected = weights(tmp_path / "multirun")
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path / "clock"), *sys_path()])}
    code, text = Sweep(tmp_path, *SHORT, "sweep.timeout=10min", "cells.dir=jumps", environment=environment).end()
    assert code == 0, text
    runs = results(tmp_path / "jumps")
    assert all(0 < run["train_seconds"] < 300 for run in runs)
    faults = Faults("cells under a clock that jumps", tried=2)
    faults.lost = sum(weights(tmp_path / "jumps").get(name) != value for name, value in expected.items())
    faults.show(capsys)


def sys_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
