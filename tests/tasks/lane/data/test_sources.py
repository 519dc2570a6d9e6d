import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.data.source import DataError
from exp.tasks.lane.data.culane import CULane, category, label_name, read_list
from exp.tasks.lane.data.lines import write_lines
from exp.tasks.lane.data.road_scene import SHARES, labels, make
from exp.tasks.lane.data.roads import Roads
from exp.tasks.lane.data.source import Frame, spread
from exp.tasks.lane.data.tusimple import TuSimple, read_labels
from exp.tasks.lane.data.view import View

SMALL: dict[str, Any] = {"image_height": 60, "image_width": 160, "crop_top": 20, "input_height": 32, "input_width": 64}


@pytest.fixture
def culane(tmp_path: Path) -> Path:
    root = tmp_path / "culane"
    (root / "list/test_split").mkdir(parents=True)
    names = [f"driver_1/a.MP4/{number:05d}.jpg" for number in range(20)]
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / name), np.full((60, 160, 3), (0, 0, 10 * number), np.uint8))
        lanes = [np.array([[x, 59], [x + 5, 40], [x + 9, 25]]) for x in (30, 60, 90)[: number % 4]]
        write_lines(root / (name[:-4] + ".lines.txt"), lanes)
    for part, some in (("train", names[:12]), ("val", names[12:15]), ("test", names[15:])):
        (root / f"list/{part}.txt").write_text("".join(f"/{name}\n" for name in some))
    (root / "list/test_split/test0_normal.txt").write_text("\n".join(names[15:18]) + "\n")
    (root / "list/test_split/test7_cross.txt").write_text("\n".join(names[18:]) + "\n")
    return root


def test_culane_as_published(culane: Path) -> None:
    source = CULane(root=str(culane.parent), **SMALL)
    assert source.shape == (3, 32, 64)
    parts = source.load()
    assert {part: len(split) for part, split in parts.items()} == {"train": 12, "val": 3, "test": 5}
    assert parts["test"].categories == ["normal"] * 3 + ["cross"] * 2
    assert parts["test"].names[0] == "driver_1/a.MP4/00015.jpg"
    assert [len(lanes) for lanes in parts["train"].lanes] == [0, 1, 2, 3] * 3
    assert abs(int(parts["train"].images[5, 0].mean()) - 50) <= 2  # red, in the first channel
    assert parts["train"].images[5, 1:].max() <= 3
    assert parts["train"].report.empty_images == 3
    assert len(source.check()) == 32


def test_culane_holdout_and_overfit(culane: Path) -> None:
    (culane / "list/val.txt").unlink()
    held = CULane(root=str(culane), parts="holdout", **SMALL).load()
    assert [held[part].names[-1][-9:-4] for part in ("train", "val", "test")] == ["00009", "00010", "00011"]
    few = CULane(root=str(culane), overfit=3, **SMALL).load()
    assert few["train"] is few["val"] is few["test"]
    assert [name[-9:-4] for name in few["train"].names] == ["00003", "00007", "00011"]  # those with three lanes
    with pytest.raises(ValueError, match="only 3 training frames"):
        CULane(root=str(culane), overfit=4, **SMALL).load()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "driver_1/a.MP4/00003.jpg").unlink(), "00003.jpg is listed but not there"),
        (lambda root: (root / "driver_1/a.MP4/00003.lines.txt").unlink(), "00003.lines.txt is listed but not there"),
        (lambda root: (root / "list/val.txt").write_text(""), "an empty list"),
        (lambda root: (root / "list/val.txt").write_text("/a.jpg\na.jpg\n"), "is listed twice"),
        (lambda root: (root / "list/val.txt").unlink(), "val.txt: cannot be read"),
    ],
)
def test_culane_check_finds_what_is_missing(culane: Path, spoil: Any, message: str) -> None:
    spoil(culane)
    with pytest.raises(DataError, match=message):
        CULane(root=str(culane), **SMALL).check()


def test_culane_damage_found_while_loading(culane: Path) -> None:
    with pytest.raises(DataError, match=r"160x60 pixels, expected 1640x590; set data.image_width"):
        CULane(root=str(culane)).load()
    (culane / "driver_1/a.MP4/00003.lines.txt").write_text("1 2 3\n")
    with pytest.raises(DataError, match="line 1: 3 numbers"):
        CULane(root=str(culane), **SMALL).load()
    (culane / "driver_1/a.MP4/00003.lines.txt").write_text("")
    path = culane / "driver_1/a.MP4/00005.jpg"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="truncated JPEG"):
        CULane(root=str(culane), **SMALL).load()


def test_a_changed_label_changes_the_fingerprint(culane: Path) -> None:
    before = CULane(root=str(culane), **SMALL).check()
    (culane / "driver_1/a.MP4/00003.lines.txt").write_text("1 50 2 40\n")
    assert CULane(root=str(culane), **SMALL).check() != before


def test_lists_name_images_and_categories(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("/driver_1/x.MP4/00000.jpg mask.png 1 1\n\na/1.lines.txt\n")
    names = read_list(path)
    assert names == ["driver_1/x.MP4/00000.jpg", "a/1.lines.txt"]
    assert [label_name(name) for name in names] == ["driver_1/x.MP4/00000.lines.txt", "a/1.lines.txt"]
    assert category(Path("test2_hlight.txt")) == "hlight"
    assert category(Path("mine.txt")) == "mine"
    for text, message in (("a/1.jpg\na/1.jpg\n", "a/1.jpg is listed twice"), ("\n", "an empty list")):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_list(path)
    path.write_bytes(b"a\xff\xfe")
    with pytest.raises(DataError, match="not a text file"):
        read_list(path)


@pytest.fixture
def tusimple(tmp_path: Path) -> Path:
    for file, count in (("label_data_0313", 2), ("label_data_0601", 1), ("label_data_0531", 1), ("test_label", 2)):
        lines = []
        for number in range(count):
            name = f"clips/{file}/{number}/20.jpg"
            (tmp_path / name).parent.mkdir(parents=True)
            cv2.imwrite(str(tmp_path / name), np.zeros((60, 160, 3), np.uint8))
            lines.append(json.dumps({"raw_file": name, "lanes": [[-2, 30, 32], [-2] * 3], "h_samples": [30, 40, 50]}))
        (tmp_path / f"{file}.json").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_tusimple(tusimple: Path) -> None:
    source = TuSimple(root=str(tusimple), **SMALL)
    parts = source.load()
    assert {part: len(split) for part, split in parts.items()} == {"train": 3, "val": 1, "test": 2}
    assert [[lane.tolist() for lane in lanes] for lanes in parts["val"].lanes] == [[[[32, 50], [30, 40]]]]
    assert len(source.check()) == 32
    (tusimple / "clips/test_label/1/20.jpg").unlink()
    with pytest.raises(DataError, match="labelled but not there"):
        TuSimple(root=str(tusimple), **SMALL).check()


@pytest.mark.parametrize("line", ['{"raw_file": "a"}', "{", '{"raw_file": "a", "lanes": [[1]], "h_samples": [1, 2]}'])
def test_damaged_tusimple_labels(tmp_path: Path, line: str) -> None:
    path = tmp_path / "label.json"
    path.write_text(line)
    with pytest.raises(DataError, match="line 1"):
        read_labels(path)


def test_real_tusimple_labels(real_data: Path) -> None:
    frames = read_labels(real_data / "tusimple/label_data_0601.json")
    assert len(frames) == 410
    assert {len(frame.lanes) for frame in frames} == {3, 4, 5}


def test_roads_are_their_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path))
    parts = Roads(train_images=6, val_images=3, test_images=2, input_height=64, input_width=160).load()
    again = Roads(train_images=4, val_images=3, test_images=2, input_height=64, input_width=160).load()
    assert np.array_equal(parts["train"].images[:4], again["train"].images)
    assert not np.array_equal(parts["val"].images[0], parts["train"].images[0])
    assert all(np.array_equal(*pair) for pair in zip(parts["train"].lanes[1], again["train"].lanes[1], strict=True))
    assert set(parts["train"].categories) <= set(SHARES)
    assert parts["train"].report.problems() == ""
    assert parts["train"].images.max() > 200


@pytest.mark.parametrize("category", list(SHARES))
def test_markings_lie_on_the_labels(category: str) -> None:
    view = View(590, 1640, 250, 128, 320)
    brighter = []
    for number in range(6):
        scene = make((0, number), view, category)
        same, named = labels((0, number), view, category)
        assert named == scene.category == category
        assert all(np.array_equal(*pair) for pair in zip(scene.lanes, same, strict=True))
        assert (len(scene.lanes) == 0) == (category == "cross")
        for lane in scene.lanes:
            assert (np.diff(lane[:, 1]) == -10).all()
            points = np.rint(view.to_input(lane)).astype(int)
            points = points[(points[:, 0] >= 8) & (points[:, 0] < 312) & (points[:, 1] > 20) & (points[:, 1] < 127)]
            on = scene.image[:, points[:, 1], points[:, 0]].mean()
            beside = np.mean([scene.image[:, points[:, 1], points[:, 0] + shift].mean() for shift in (-8, 8)])
            brighter.append(on - beside)
    if category in ("normal", "curve", "arrow", "night"):
        assert np.mean(brighter) > 5


def test_overfit_frames_are_spread() -> None:
    frames = [Frame(str(n), [np.zeros((2, 2))] * (3 if n % 2 else 1)) for n in range(20)]
    assert [frame.name for frame in spread(frames, 2)] == ["5", "15"]
    assert len(spread([Frame("a", [np.zeros((2, 2))])], 1)) == 1


def spoilt(root: Path, names: dict[str, bytes]) -> Path:
    for name, data in names.items():
        (root / name).write_bytes(data)
    return root


def test_lists_made_on_windows_name_the_same_images(culane: Path) -> None:
    source = CULane(root=str(culane), **SMALL)
    before = [source.load()[part].names for part in ("train", "val", "test")]
    categories = source.load()["test"].categories
    lists = sorted((culane / "list").rglob("*.txt"))
    for path, encoding in zip(lists, ("utf-8-sig", "utf-16", "utf-8-sig", "utf-16", "utf-8-sig"), strict=True):
        lines = path.read_text().split()
        path.write_bytes("".join(f".\\{line.lstrip('/')}\r\n".replace("/", "\\") for line in lines).encode(encoding))
    for path in culane.rglob("*.lines.txt"):
        path.write_bytes(path.read_text().replace("\n", "\r\n").encode("utf-8-sig"))
    again = CULane(root=str(culane), **SMALL).load()
    assert [again[part].names for part in ("train", "val", "test")] == before
    assert again["test"].categories == categories


def test_a_folder_may_have_blanks(culane: Path) -> None:
    (culane / "driver_1").rename(culane / "driver 1")
    for path in (culane / "list").rglob("*.txt"):
        path.write_text(path.read_text().replace("driver_1", "driver 1").replace(".jpg", ".jpg /masks/1.png 1 0"))
    assert CULane(root=str(culane), **SMALL).load()["train"].names[0] == "driver 1/a.MP4/00000.jpg"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"list/val.txt": b"../../etc/passwd.jpg\n"}, r"val.txt, line 1: .* leads out of the set's folder"),
        (
            {"list/test_split/test0_normal.txt": b"a.jpg\n", "list/test_split/test7_cross.txt": b"b.jpg\n"},
            "name none of",
        ),
        ({f"driver_1/a.MP4/{n:05d}.lines.txt": b"" for n in range(15, 20)}, "none of the 5 labels of the test part"),
        ({f"driver_1/a.MP4/{n:05d}.lines.txt": b"" for n in range(20)}, "none of the 12 labels of the train part"),
        ({"driver_1/a.MP4/00016.lines.txt": b"1 2 3\n"}, "00016.lines.txt, line 1: 3 numbers"),
    ],
    ids=["leads out", "categories", "no test lane", "no lane", "damaged"],
)
def test_what_cannot_be_used_is_refused_before_anything_starts(
    culane: Path, spoil: dict[str, bytes], message: str
) -> None:
    with pytest.raises(DataError, match=message) as error:
        CULane(root=str(spoilt(culane, spoil)), **SMALL).check()
    assert len(str(error.value).splitlines()) == 1


def test_an_image_of_equal_size_and_a_list_in_another_order_are_other_data(culane: Path) -> None:
    prints = [CULane(root=str(culane), **SMALL).check()]
    path = culane / "driver_1/a.MP4/00003.jpg"
    path.write_bytes(path.read_bytes()[:-3] + bytes([path.read_bytes()[-3] ^ 1]) + b"\xff\xd9")
    prints.append(CULane(root=str(culane), **SMALL).check())
    lines = (culane / "list/train.txt").read_text().splitlines()
    (culane / "list/train.txt").write_text("\n".join(reversed(lines)) + "\n")
    prints.append(CULane(root=str(culane), **SMALL).check())
    assert len(set(prints)) == 3


def test_tusimple_needs_the_labels_of_the_test(tusimple: Path) -> None:
    tasks = [json.loads(line) for line in (tusimple / "test_label.json").read_text().splitlines()]
    (tusimple / "test_label.json").rename(tusimple / "test_tasks_0627.json")
    with pytest.raises(DataError, match="lacks test_label.json"):
        TuSimple(root=str(tusimple), **SMALL).check()
    empty = "\n".join(json.dumps(frame | {"lanes": [[-2, -2, -2]]}) for frame in tasks)
    (tusimple / "test_label.json").write_text(empty)
    with pytest.raises(DataError, match="none of the 2 labels of the test part has a lane"):
        TuSimple(root=str(tusimple), **SMALL).check()


def test_tusimple_images_are_known_by_content(tusimple: Path) -> None:
    before = TuSimple(root=str(tusimple), **SMALL).check()
    path = tusimple / "clips/test_label/1/20.jpg"
    path.write_bytes(path.read_bytes()[:-3] + bytes([path.read_bytes()[-3] ^ 1]) + b"\xff\xd9")
    assert TuSimple(root=str(tusimple), **SMALL).check() != before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"raw_file": "../a.jpg", "lanes": [[1]], "h_samples": [1]}', "leads out"),
        ('{"raw_file": 5, "lanes": [[1]], "h_samples": [1]}', "raw_file is 5"),
        ('{"raw_file": "a", "lanes": null, "h_samples": [1]}', "lanes are null"),
        ('{"raw_file": "a", "lanes": [5], "h_samples": [1]}', r"lanes are \[5\]"),
        ('{"raw_file": "a", "lanes": [["x"]], "h_samples": [1]}', "lanes are"),
        ('{"raw_file": "a", "lanes": [[NaN]], "h_samples": [1]}', "lanes are"),
        ('{"raw_file": "a", "lanes": [[1e99]], "h_samples": [1]}', "lanes are"),
        ('{"raw_file": "a", "lanes": [[1]], "h_samples": {}}', "h_samples are"),
        ("[" * 5000, "damaged JSON"),
    ],
)
def test_odd_tusimple_labels_are_one_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "label.json"
    path.write_text("\ufeff" + line + "\r\n")
    with pytest.raises(DataError, match=rf"label.json, line 1: .*{message}"):
        read_labels(path)


def test_a_frame_labelled_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "label.json"
    line = '{"raw_file": "%s", "lanes": [[1]], "h_samples": [1]}\n'
    path.write_text(line % "clips/a.jpg" + line % "/clips/a.jpg")
    with pytest.raises(DataError, match="line 2: clips/a.jpg is labelled twice"):
        read_labels(path)
