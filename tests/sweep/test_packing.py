"""How many cells at once: by cores, memory, and what a step leaves a GPU to do."""

import json

import pytest

from exp.__main__ import run
from exp.cells.machine import cpus
from exp.sweep.packing import Room, cells_at_once, fits, room_here

GB = 10**9


@pytest.mark.parametrize(
    ("cores", "memory", "step", "jobs"),
    [(8, 64, 1.0, 8), (8, 64, 7.0, 7), (2, 64, 7.0, 2), (8, 4, 1.0, 2), (8, 4, 30.0, 1)],
)
def test_cores_and_memory_bound_cells_on_a_cpu(cores: int, memory: int, step: float, jobs: int) -> None:
    assert cells_at_once(Room(cores, memory * GB), int(step * GB), 1e12) == jobs


@pytest.mark.parametrize(
    ("room", "step", "operations", "jobs"),
    [
        (Room(64, 256 * GB, 1, 80 * GB), 0.1, 1e10, 5),  # 1 ms of work in 5 ms
        (Room(64, 256 * GB, 4, 80 * GB), 0.1, 1e10, 20),
        (Room(64, 256 * GB, 1, 80 * GB), 0.1, 1e12, 1),  # busy for 100 ms a step
        (Room(8, 256 * GB, 4, 80 * GB), 0.1, 1e9, 8),  # two cores a GPU
        (Room(64, 256 * GB, 1, 16 * GB), 6.0, 1e9, 2),
        (Room(2, 256 * GB, 4, 80 * GB), 0.1, 1e9, 4),
    ],
)
def test_a_gpu_takes_several_cells_where_a_step_keeps_it_idle(
    room: Room, step: float, operations: float, jobs: int
) -> None:
    assert cells_at_once(room, int(step * GB), operations) == jobs


def test_the_machine_at_hand() -> None:
    room = room_here(on_gpus=False)
    assert room.cores == cpus()
    assert room.memory > 100_000_000
    assert room.gpus == 0


def test_exp_cost_says_what_a_step_takes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cost", "model=resnet18", "width=16", "data=digits", "att=none", "trainer.accelerator=cpu"]
    assert run([*words, "batch_size=64", "trainer.accumulate=2"]) == 0
    said = capsys.readouterr().out
    assert "(32 samples; weights, gradients, optimizer" in said
    assert "sweep.jobs=" in said
    counted = []
    for extra in ([], ["trainer.precision=bf16-mixed"], ["optim.name=sgd"]):
        assert run([*words, *extra, "--format", "json"]) == 0
        counted.append(json.loads(capsys.readouterr().out))
    full, half, sgd = counted
    assert full["state_bytes"] == half["state_bytes"] == 16 * full["params"]
    assert sgd["state_bytes"] == 12 * full["params"]
    kept = [one["step_bytes"] - one["state_bytes"] for one in counted]
    assert kept[0] == 2 * kept[1] == kept[2]
    assert full["operations"] == 6 * full["macs"] * full["samples"]


@pytest.mark.parametrize(
    ("room", "step", "enough"),
    [
        (Room(8, 4 * GB), 2.9, True),
        (Room(8, 4 * GB), 3.1, False),
        (Room(8, 4 * GB, 1, 80 * GB), 3.1, True),
        (Room(8, 400 * GB, 1, 80 * GB), 80.0, False),
    ],
)
def test_whether_one_has_room(room: Room, step: float, enough: bool) -> None:
    assert fits(room, int(step * GB)) is enough


def test_what_has_no_room_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cost", "model=resnet50", "att=triplet", "data=imagenet", "batch_size=4000000", "trainer.accelerator=cpu"]
    assert run(words) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("cells at once here"))
    assert line.split("(")[0].split()[-1] == "0"
    assert line.endswith(
        "too little for one: a smaller data.batch_size, trainer.accumulate=2 for the same batch in pieces,"
        " or a smaller model)"
    )
    assert run([*words, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["jobs"] == 0
