"""Signs of life of a cell, and cells that other processes run."""

import time
from pathlib import Path

import pytest

from exp.cells.cell import Cell
from exp.options.compose import resolved
from exp.sweep.plan import Planned
from exp.sweep.pulse import Pulse
from exp.sweep.queue import Queue


def test_silence_is_time_without_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    pulse = Pulse(tmp_path)
    silences = []
    for step, name in enumerate((None, None, "lock", "status.json", None, ".clock-1", None)):
        now += 0.25
        if name is not None:
            (tmp_path / name).write_text(str(step))
        silences.append(pulse.silence())
    assert silences == [0.25, 0.5, 0.75, 0.0, 0.25, 0.5, 0.75], "neither a lock nor a look at the clock is a sign"
    now += 3600
    assert pulse.silence() == 1.75, "a machine that slept for an hour is no cell that hangs"


def test_cells_of_other_processes_are_waited_for(tmp_path: Path) -> None:
    cells = [Cell.of(resolved([f"seed={seed}"]), tmp_path) for seed in range(4)]
    locks = [cell.open() for cell in cells]
    running = [Planned(cell, [], "running") for cell in cells]
    queue = Queue(running, retry=2)
    lines: list[str] = []
    for _ in range(2):
        queue.look_elsewhere(lines.append)
    assert lines == ["4 cells run in another process and will be waited for; Ctrl-C leaves them to it"]
    assert {outcome.state for outcome in queue.outcomes.values()} == {"running"}
    cells[0].write_result({})
    cells[1].write_status("failed", error="broken")
    cells[2].write_status("waiting")
    for lock in locks[:3]:
        lock.release()
    queue.look_elsewhere(lines.append)
    assert [one for one, _ in queue.elsewhere] == running[3:]
    assert list(queue.waiting) == [(running[2], 2)], "what was stopped there goes on here"
    assert cells[0].key not in queue.outcomes, "it was not run here"
    assert (queue.outcomes[cells[1].key].state, queue.outcomes[cells[1].key].error) == ("failed", "broken")
    locks[3].release()
