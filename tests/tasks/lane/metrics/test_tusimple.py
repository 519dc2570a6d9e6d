import json
import math
from pathlib import Path

import pytest

from exp.data.source import DataError
from exp.tasks.lane.metrics.tusimple import Score, evaluate, frame

ROWS = list(range(160, 720, 10))


def lane(x: float, slope: float = 0.0, absent: int = 0) -> list[float]:
    return [-2.0] * absent + [x + slope * (row - 160) for row in ROWS[absent:]]


def test_right_and_wrong_lanes() -> None:
    labels = [lane(300), lane(700)]
    assert frame(labels, labels, ROWS) == Score(1.0, 0.0, 0.0)
    assert frame([lane(300)], labels, ROWS) == Score(0.5, 0.0, 0.5)
    assert frame([lane(300), lane(500)], labels, ROWS) == Score(0.5, 0.5, 0.5)
    assert frame([], labels, ROWS) == Score(0.0, 0.0, 1.0)


def test_twenty_pixels_over_the_cosine_of_the_slope() -> None:
    limit = 20 / math.cos(math.atan(1.0))
    label = lane(200, 1.0)
    assert frame([[x + limit - 0.01 for x in label]], [label], ROWS).accuracy == 1.0
    assert frame([[x + limit + 0.01 for x in label]], [label], ROWS).accuracy == 0.0


def test_absent_rows_agree_with_absent_rows() -> None:
    half = len(ROWS) // 2
    label = lane(300, absent=half)
    assert frame([lane(300, absent=half)], [label], ROWS).accuracy == 1.0
    assert frame([lane(300)], [label], ROWS).accuracy == pytest.approx(1 - half / len(ROWS))
    assert frame([[-2.0] * len(ROWS)], [label], ROWS).accuracy == pytest.approx(half / len(ROWS))


def test_too_many_predictions_or_too_slow_spoil_a_frame() -> None:
    labels = [lane(300)]
    assert frame([lane(300)] * 4, labels, ROWS) == Score(0.0, 0.0, 1.0)
    truth = [{"raw_file": "a", "lanes": labels, "h_samples": ROWS}]
    slow = [{"raw_file": "a", "lanes": labels, "run_time": 201}]
    assert evaluate(slow, truth) == Score(0.0, 0.0, 1.0)
    assert evaluate(slow, truth, timed=False) == Score(1.0, 0.0, 0.0)


def test_a_fifth_label_forgives_one_miss() -> None:
    labels = [lane(x) for x in (100, 300, 500, 700, 900)]
    assert frame(labels[:4], labels, ROWS) == Score(1.0, 0.0, 0.0)
    assert frame(labels[:3], labels, ROWS) == Score(0.75, 0.0, 0.25)


def test_one_prediction_may_match_two_labels() -> None:
    assert frame([lane(300)], [lane(295), lane(305)], ROWS) == Score(1.0, -1.0, 0.0)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        ([{"raw_file": "b", "lanes": [], "run_time": 1}], "b is none of the 1 labelled frames"),
        ([{"raw_file": "a", "lanes": []}], "frame 1: lacks run_time"),
        ([{"raw_file": "a", "lanes": [[1.0]], "run_time": 1}], "a: a lane has 1 values for 56 rows"),
        ([], "no frames there"),
    ],
)
def test_damaged_predictions(predictions: list[dict[str, object]], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(predictions, [{"raw_file": "a", "lanes": [lane(300)], "h_samples": ROWS}])


def test_real_labels_score_themselves(real_data: Path, tmp_path: Path) -> None:
    labels = [json.loads(line) for line in (real_data / "tusimple/label_data_0531.json").read_text().splitlines()]
    score = evaluate([label | {"run_time": 1} for label in labels], labels)
    assert (score.accuracy, score.fn) == (1.0, 0.0)
