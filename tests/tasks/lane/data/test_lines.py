from pathlib import Path

import numpy as np
import pytest

from exp.data.source import DataError
from exp.tasks.lane.data.lines import LabelReport, clean, read_lines, write_lines, x_at_bottom


def lane(*points: tuple[float, float]) -> np.ndarray:
    return np.array(points, np.float32)


def test_there_and_back(tmp_path: Path) -> None:
    lanes = [lane((1.5, 590), (-20.25, 580)), lane(), lane((1700, 300), (3, 290))]
    write_lines(tmp_path / "a" / "x.lines.txt", [one.reshape(-1, 2) for one in lanes])
    back = read_lines(tmp_path / "a" / "x.lines.txt")
    assert [one.shape for one in back] == [(2, 2), (0, 2), (2, 2)]
    assert all(np.array_equal(one, other.reshape(-1, 2)) for one, other in zip(back, lanes, strict=True))


def test_an_empty_file_has_no_lanes_and_an_empty_line_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x.lines.txt"
    for text, count in (("", 0), ("\n", 1), ("1 2 3 4", 1), ("1 2 3 4\n\n", 2), ("1 2\r\n3 4 \r\n", 2)):
        path.write_bytes(text.encode())
        assert len(read_lines(path)) == count


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "line 1: 3 numbers do not make x y pairs"),
        ("1 2\n1 x", "line 2: 'x' is no number"),
        ("1 nan", "a coordinate is nan"),
        ("inf 2", "a coordinate is inf"),
        ("1 1e9", r"a coordinate is 1e\+09"),
    ],
)
def test_damage_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.lines.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        read_lines(path)
    assert str(path) in str(caught.value)
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(tmp_path / "nowhere.lines.txt")


def test_what_cannot_be_trained_on_is_mended_and_counted() -> None:
    report = LabelReport()
    good = lane((10, 590), (20, 580), (30, 570))
    kept = clean(
        [
            good,
            lane((50, 570), (40, 590), (45, 580)),  # rows out of order
            lane((70, 590), (71, 590), (80, 580)),  # a row twice
            lane((90, 590)),  # one point
            good,  # twice
            lane((100, 580), (-5, 590)),  # from the top down, and left of the image
        ],
        1640,
        report,
    )
    assert [one.tolist() for one in kept] == [
        good.tolist(),
        [[40, 590], [45, 580], [50, 570]],
        [[70, 590], [80, 580]],
        [[-5, 590], [100, 580]],
    ]
    assert report == LabelReport(1, 4, 0, 1, 1, 1, 1, 1, 1)
    assert report.problems() == "1 repeated, 1 unordered, 1 short, 1 duplicates, 1 unsorted images"
    clean([], 1640, report)
    assert (report.images, report.empty_images) == (2, 1)


def test_where_a_lane_meets_a_row() -> None:
    steep = lane((100, 500), (110, 490), (120, 480), (130, 470))
    assert x_at_bottom(steep, 485) == pytest.approx(115)
    assert x_at_bottom(steep, 590) == pytest.approx(10)


def test_real_labels_are_clean(real_data: Path) -> None:
    report = LabelReport()
    for path in sorted((real_data / "culane").glob("driver_*/*/*.lines.txt")):
        clean(read_lines(path), 1640, report)
    assert (report.images, report.lanes, report.empty_images, report.problems()) == (180, 575, 9, "")
