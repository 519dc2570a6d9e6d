import json
from pathlib import Path

from exp.watch.metrics_tail import MetricsTail, best_value, curves, epoch_seconds, thinned
from tests.watch.cells import lines


def test_a_line_that_is_being_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    tail = MetricsTail(tmp_path / "metrics.jsonl")
    assert not tail.update(), "no file yet"
    lines(tmp_path, [50.0])
    line = json.dumps({"split": "val", "epoch": 1, "step": 20, "top1": 60.0})
    with open(tail.path, "a") as file:
        file.write(line[:25])
    assert tail.update()
    assert [record["epoch"] for record in tail.records] == [0, 0]
    assert not tail.update(), "half a line is nothing new"
    with open(tail.path, "a") as file:
        file.write(line[25:] + "\n")
    assert tail.update()
    assert tail.records[-1]["top1"] == 60.0


def test_a_file_that_a_resumed_run_has_rewritten_is_read_anew(tmp_path: Path) -> None:
    lines(tmp_path, [50.0, 60.0, 70.0])
    tail = MetricsTail(tmp_path / "metrics.jsonl")
    tail.update()
    fresh = tmp_path / "fresh"
    fresh.write_text("".join(tail.path.read_text().splitlines(keepends=True)[:2]))
    fresh.replace(tail.path)
    assert tail.update()
    assert [record["epoch"] for record in tail.records] == [0, 0]


def test_what_is_no_measurement_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('[1]\nnonsense\n{"epoch": "x"}\n{"split": "val", "epoch": 0, "step": 1, "top1": null, "a": "b"}\n')
    tail = MetricsTail(path)
    tail.update()
    assert curves(tail.records) == {}


def test_curves_go_by_epoch_and_leave_the_final_test_out(tmp_path: Path) -> None:
    lines(tmp_path, [50.0, 70.0, 60.0])
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"split": "step", "epoch": 0, "step": 5, "loss": 2.0}) + "\n")
        file.write(json.dumps({"split": "test", "epoch": 3, "step": 30, "top1": 65.0}) + "\n")
    tail = MetricsTail(tmp_path / "metrics.jsonl")
    tail.update()
    assert curves(tail.records) == {
        "val/top1": [(1, 50.0), (2, 70.0), (3, 60.0)],
        "train/loss": [(1, 1.0), (2, 0.5), (3, 1 / 3)],
        "step/loss": [(5, 2.0)],
    }
    assert best_value(tail.records, "top1", "max") == 70
    assert best_value(tail.records, "top1", "min") == 50
    assert best_value(tail.records, "f1", "max") is None
    assert epoch_seconds(tail.records) == 3
    assert epoch_seconds([]) is None


def test_long_curves_are_thinned_to_their_end() -> None:
    points = [(float(x), 1.0) for x in range(5000)]
    kept = thinned(points, 100)
    assert len(kept) == 101
    assert kept[-1] == points[-1]
    assert thinned(points[:7], 100) == points[:7]
