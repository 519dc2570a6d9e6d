import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exp.data.lines import read_lines, write_lines
from exp.data.source import DataError
from exp.metrics.culane import (
    MF1,
    PUBLISHED_IMAGES,
    Count,
    areas,
    category,
    count,
    evaluate,
    label_name,
    main,
    matched,
    read_list,
    score,
)


def straight(x: float, top: int = 300) -> np.ndarray:
    y = np.arange(590, top, -10, dtype=np.float32)
    return np.stack([np.full_like(y, x), y], 1)


def test_thresholds_are_strict_and_misses_are_counted() -> None:
    label = straight(400)
    ious = matched(areas([straight(410)]), areas([label]))
    assert count(ious, 1, 1, float(ious[0])) == Count(0, 1, 1)
    assert count(ious, 1, 1, float(ious[0]) - 1e-9) == Count(1, 0, 0)
    assert score([label, straight(900)], [label], [0.5, 0.75]) == [Count(1, 1, 0)] * 2
    assert score([], [label, label]) == [Count(0, 0, 2)]
    assert score([label], []) == [Count(0, 1, 0)]
    assert score([], []) == [Count()]


def test_an_empty_line_counts_as_a_lane() -> None:
    nothing = np.zeros((0, 2), np.float32)
    assert score([nothing], [straight(400), nothing]) == [Count(0, 1, 2)]


def test_the_assignment_is_the_best_one() -> None:
    rng = np.random.RandomState(1)
    labels = [straight(x) for x in (400, 418, 440, 465)]
    predicted = [straight(x) for x in rng.uniform(395, 470, 4)]
    found = matched(areas(predicted), areas(labels)).sum()
    table = [[matched(areas([p]), areas([one]))[0] for p in predicted] for one in labels]
    best = max(sum(table[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(4)))
    assert found == pytest.approx(best)


def test_rates() -> None:
    found = Count(6, 2, 4)
    assert (found.precision, found.recall) == (75.0, 60.0)
    assert found.f1 == pytest.approx(2 * 75 * 60 / 135)
    assert (Count().precision, Count().recall, Count().f1) == (0.0, 0.0, 0.0)
    assert len(MF1) == 10
    assert MF1[0] == 0.5
    assert MF1[-1] == 0.95


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Two categories: normal (one right, one far off), cross (a false positive)."""
    for name, labels, predicted in (
        ("a/1", [straight(400), straight(800)], [straight(402), straight(600)]),
        ("a/2", [straight(500)], [straight(501)]),
        ("a/3", [], [straight(500)]),
    ):
        write_lines(tmp_path / "gt" / f"{name}.lines.txt", labels)
        write_lines(tmp_path / "pred" / f"{name}.lines.txt", predicted)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "test0_normal.txt").write_text("a/1.jpg\na/2.jpg\n")
    (tmp_path / "splits" / "test7_cross.txt").write_text("/a/3.jpg mask.png 1 0\n")
    return tmp_path


def test_folders_by_category(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--pred", str(folders / "pred"), "--gt", str(folders / "gt"), "--splits", str(folders / "splits")]
    assert main([*words, "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    normal, cross = found["categories"]["normal"], found["categories"]["cross"]
    assert {key: normal["iou"]["0.5"][key] for key in ("tp", "fp", "fn")} == {"tp": 2, "fp": 1, "fn": 1}
    assert {key: cross["iou"]["0.5"][key] for key in ("tp", "fp", "fn")} == {"tp": 0, "fp": 1, "fn": 0}
    assert found["total"]["iou"]["0.5"]["f1"] == pytest.approx(200 * 2 / (4 + 2 + 1))
    assert found["images"]["a/1.lines.txt"] == {"0.5": [1, 1, 1], "0.75": [1, 1, 1]}
    assert found["warnings"] == []
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-1].split()[:2] == ["total", "3"]


def test_processes_change_nothing(folders: Path) -> None:
    lists = {"all": [f"a/{number}.lines.txt" for number in range(200)]}
    for name in lists["all"]:
        write_lines(folders / "gt" / name, [straight(400)])
        write_lines(folders / "pred" / name, [straight(400)])
    alone, shared = (evaluate(folders / "pred", folders / "gt", lists, jobs=jobs) for jobs in (1, 2))
    assert alone == shared
    assert alone["total"]["mf1"] == 100


def test_missing_predictions_are_no_lanes_and_said(folders: Path) -> None:
    (folders / "pred/a/2.lines.txt").unlink()
    found = evaluate(folders / "pred", folders / "gt", {"all": ["a/1.lines.txt", "a/2.lines.txt"]})
    assert found["total"]["iou"]["0.5"]["fn"] == 2
    assert found["warnings"] == ["1 of 2 images have no prediction (the first is a/2.lines.txt): no lanes counted"]


def test_published_counts_are_compared(folders: Path) -> None:
    lists = {name: ["a/1.lines.txt"] for name in PUBLISHED_IMAGES}
    found = evaluate(folders / "pred", folders / "gt", lists)
    assert "cross has 1 images, the published list 3122" in found["warnings"]
    assert sum(PUBLISHED_IMAGES.values()) == 34_680


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda at: (at / "gt/a/1.lines.txt").unlink(), "1 of 2 labels are missing, the first is a/1.lines.txt"),
        (lambda at: (at / "pred/a/1.lines.txt").write_text("1 2 3\n"), "line 1: 3 numbers do not make x y pairs"),
        (lambda at: (at / "pred/a/1.lines.txt").write_text("1 2\nnan 3\n"), "line 2: a coordinate is nan"),
        (lambda at: (at / "pred/a/1.lines.txt").write_text("1 two\n"), "line 1: 'two' is no number"),
        (lambda at: (at / "pred/a/1.lines.txt").write_bytes(b"\xff\xfe"), "not a text file"),
    ],
)
def test_damaged_files_are_one_line(folders: Path, spoil, said: str, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    spoil(folders)
    names = folders / "list.txt"
    names.write_text("a/1.jpg\na/2.jpg\n")
    assert main(["--pred", str(folders / "pred"), "--gt", str(folders / "gt"), "--list", str(names)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_wrong_folders_and_lists(folders: Path) -> None:
    with pytest.raises(DataError, match="none of the 1 images has a prediction"):
        evaluate(folders / "splits", folders / "gt", {"all": ["a/1.lines.txt"]})
    (folders / "twice.txt").write_text("a/1.jpg\na/1.jpg\n")
    with pytest.raises(DataError, match="stands there twice"):
        read_list(folders / "twice.txt")
    (folders / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="an empty list"):
        read_list(folders / "empty.txt")


def test_names() -> None:
    assert label_name("/driver_1/x.MP4/00000.jpg mask 1 1") == "driver_1/x.MP4/00000.lines.txt"
    assert category(Path("test2_hlight.txt")) == "hlight"
    assert category(Path("mine.txt")) == "mine"


def test_no_torch_is_needed() -> None:
    code = "import sys, exp.metrics.culane, exp.metrics.tusimple; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_labels_score_themselves(real_data: Path) -> None:
    root = real_data / "culane"
    names = [label_name(line) for line in (root / "list/train.txt").read_text().splitlines()][::6]
    total = Count()
    for name in names:
        lanes = read_lines(root / name)
        total += score(lanes, lanes, [0.95])[0]
    assert total == Count(total.tp, 0, 0)
    assert total.tp > 80
