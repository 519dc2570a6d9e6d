from pathlib import Path

import pytest

from exp.data.source import DataError
from exp.tasks.lane.data.lines import write_lines
from exp.tasks.lane.metrics.culane_folders import PUBLISHED_IMAGES, evaluate
from tests.tasks.lane.conftest import straight


def test_scores_by_category_and_image(folders: Path) -> None:
    lists = {"normal": ["a/1.lines.txt", "a/2.lines.txt"], "cross": ["a/3.lines.txt"]}
    scores = evaluate(folders / "pred", folders / "gt", lists, per_image=True)
    normal, cross = scores["categories"]["normal"], scores["categories"]["cross"]
    assert (normal["images"], cross["images"], scores["total"]["images"]) == (2, 1, 3)
    assert {key: normal["iou"]["0.5"][key] for key in ("tp", "fp", "fn")} == {"tp": 2, "fp": 1, "fn": 1}
    assert {key: cross["iou"]["0.5"][key] for key in ("tp", "fp", "fn")} == {"tp": 0, "fp": 1, "fn": 0}
    assert scores["total"]["iou"]["0.5"]["f1"] == pytest.approx(200 * 2 / (4 + 2 + 1))
    assert scores["images"]["a/1.lines.txt"] == {"0.5": [1, 1, 1], "0.75": [1, 1, 1]}
    assert scores["warnings"] == []


def test_an_image_in_two_lists_counts_once_in_the_total(folders: Path) -> None:
    lists = {"one": ["a/1.lines.txt"], "both": ["a/1.lines.txt", "a/2.lines.txt"]}
    scores = evaluate(folders / "pred", folders / "gt", lists)
    assert (scores["total"]["images"], scores["categories"]["both"]["images"]) == (2, 2)
    assert scores["total"]["iou"]["0.5"] == scores["categories"]["both"]["iou"]["0.5"]


def test_processes_change_nothing(folders: Path) -> None:
    lists = {"all": [f"a/{number}.lines.txt" for number in range(200)]}
    for name in lists["all"]:
        write_lines(folders / "gt" / name, [straight(400)])
        write_lines(folders / "pred" / name, [straight(400)])
    alone, shared = (evaluate(folders / "pred", folders / "gt", lists, jobs=jobs) for jobs in (1, 2))
    assert alone == shared
    assert alone["total"]["mf1"] == 100


def test_missing_predictions_are_no_lanes_and_warned_of(folders: Path) -> None:
    (folders / "pred/a/2.lines.txt").unlink()
    scores = evaluate(folders / "pred", folders / "gt", {"all": ["a/1.lines.txt", "a/2.lines.txt"]})
    assert scores["total"]["iou"]["0.5"]["fn"] == 2
    assert scores["warnings"] == ["1 of 2 images have no prediction (the first is a/2.lines.txt): no lanes counted"]


def test_published_counts_are_compared(folders: Path) -> None:
    lists = {name: ["a/1.lines.txt"] for name in PUBLISHED_IMAGES}
    scores = evaluate(folders / "pred", folders / "gt", lists)
    assert "cross has 1 images, the published list 3122" in scores["warnings"]
    assert sum(PUBLISHED_IMAGES.values()) == 34_680


def test_a_folder_without_predictions_is_refused(folders: Path) -> None:
    with pytest.raises(DataError, match="none of the 1 images has a prediction"):
        evaluate(folders / "splits", folders / "gt", {"all": ["a/1.lines.txt"]})
