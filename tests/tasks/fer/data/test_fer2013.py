"""FER2013 in each of its forms, and each way in which a file can be damaged."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from exp.data.source import DataError, Split
from exp.tasks.fer.data import fer2013
from exp.tasks.fer.data.expression import EXACT, EXPRESSIONS, NEAR, ExpressionSplit
from exp.tasks.fer.data.fer2013 import FER2013
from exp.tasks.fer.data.fer_csv import OFFICIAL
from exp.tasks.fer.options import FER2013Options
from tests.tasks.fer.data.fer_files import USAGES, faces, write_csv

NAMES = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(root: Path, **options: object) -> dict[str, Split]:
    return FER2013(root=str(root), counts="any", **options).load()


def check_parts(parts: dict[str, Split], images: np.ndarray, labels: np.ndarray, *, near: float = 0) -> None:
    usages = np.array(USAGES)
    for name, usage in NAMES.items():
        assert parts[name].images.shape == (int((usages == usage).sum()), 1, 48, 48)
        for want, label in zip(images[usages == usage], labels[usages == usage], strict=True):
            distance = np.abs(parts[name].images[:, 0].astype(int) - want).mean((1, 2))
            assert distance.min() <= near
            assert parts[name].labels[distance.argmin()] == label


@pytest.mark.parametrize(
    ("name", "head"),
    [("fer2013.csv", "emotion,pixels,Usage"), ("icml_face_data.csv", "emotion, Usage, pixels")],
)
def test_public_is_validation_and_private_is_test(tmp_path: Path, name: str, head: str) -> None:
    images, labels = faces()
    write_csv(tmp_path / name, images, labels, head=head)
    check_parts(load(tmp_path), images, labels)


def test_the_second_start_reads_the_cache_and_not_the_csv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path / "fer2013.csv", *faces())
    os.utime(tmp_path / "fer2013.csv", (1.6e9, 1.6e9))  # one written just now could change again unseen
    first = load(tmp_path)

    def parse(*arguments: object) -> None:
        raise AssertionError("the csv file was read again")

    monkeypatch.setattr("exp.tasks.fer.data.fer_csv.read_faces", parse)
    monkeypatch.setattr("exp.data.fingerprint.of_files", parse)
    again = load(tmp_path)
    assert all(np.array_equal(first[name].images, again[name].images) for name in NAMES)


def test_a_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    images, labels = faces()
    write_csv(tmp_path / "fer2013.csv", images, labels)
    before = FER2013(root=str(tmp_path)).check()
    images[0, 0, 0] ^= 1
    write_csv(tmp_path / "fer2013.csv", images, labels)
    assert FER2013(root=str(tmp_path)).check() != before


def write_folder(root: Path, images: np.ndarray, labels: np.ndarray, *, bare: bool = False) -> None:
    first = np.cumsum([0, *map(sum, OFFICIAL)])
    for number, (image, label, usage) in enumerate(zip(images, labels, USAGES, strict=True)):
        part = "train" if usage == "Training" else "test"
        stem = f"{usage}_{number * 37}"
        if bare:
            part = "train" if number % 2 else "validation"  # a split of its own
            stem = str(first[list(NAMES.values()).index(usage)] + number)
        folder = root / part / EXPRESSIONS[label]
        folder.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / f"{stem}.{'png' if number % 2 else 'jpg'}"), image)


@pytest.mark.parametrize("bare", [False, True], ids=["prefix", "row number"])
def test_folders_are_split_by_the_names_of_their_files(tmp_path: Path, bare: bool) -> None:
    images, labels = faces()
    write_folder(tmp_path / "fer2013", images, labels, bare=bare)
    check_parts(load(tmp_path), images, labels, near=4)


def test_a_folder_of_another_name_is_refused(tmp_path: Path) -> None:
    images, labels = faces()
    write_folder(tmp_path, images, labels)
    (tmp_path / "train" / "bored").mkdir()
    with pytest.raises(DataError, match=r"train/bored: not one of the folders angry, disgust"):
        load(tmp_path)


def test_an_image_of_another_size_is_named(tmp_path: Path) -> None:
    images, labels = faces()
    write_folder(tmp_path, images, labels)
    assert cv2.imwrite(str(tmp_path / "train" / "happy" / "Training_9.png"), np.zeros((48, 47), np.uint8))
    with pytest.raises(DataError, match=r"happy/Training_9.png: is 47x48 pixels instead of 48x48"):
        load(tmp_path)


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    images, labels = faces()
    write_folder(tmp_path, images, labels)
    whole = (tmp_path / "train" / "disgust" / "Training_37.png").read_bytes()
    (tmp_path / "train" / "happy" / "Training_8.png").write_bytes(whole[:60])
    with pytest.raises(DataError, match=r"happy/Training_8.png: truncated PNG"):
        load(tmp_path)


def test_a_name_without_its_part_is_refused(tmp_path: Path) -> None:
    images, labels = faces()
    write_folder(tmp_path, images, labels)
    assert cv2.imwrite(str(tmp_path / "test" / "happy" / "im1.png"), images[0])
    with pytest.raises(DataError, match=r"happy/im1.png: the name should be Training_N"):
        load(tmp_path)


def write_kaggle(path: Path, images: np.ndarray, labels: np.ndarray) -> None:
    rows = [f'{label},"{" ".join(map(str, image.ravel()))}"' for image, label in zip(images, labels, strict=True)]
    path.write_text("emotion,pixels\n" + "\n".join(rows) + "\n")


def test_parts_are_held_out_of_the_competitions_train_csv(tmp_path: Path) -> None:
    images, labels = faces(70)
    write_kaggle(tmp_path / "train.csv", images, labels)
    parts = load(tmp_path, val_fraction=0.2)
    assert [len(parts[name]) for name in NAMES] == [42, 14, 14]
    for part in parts.values():
        assert np.bincount(part.labels).tolist() == [len(part) // 7] * 7
    stacked = np.concatenate([part.images[:, 0] for part in parts.values()])
    assert {image.tobytes() for image in stacked} == {image.tobytes() for image in images}


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.9])
def test_a_share_that_leaves_nothing_on_one_side_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match=f"val_fraction={fraction}: has to be above 0 and below 0.5"):
        FER2013Options(val_fraction=fraction)


def test_the_reader_takes_its_options_object(tmp_path: Path) -> None:
    images, labels = faces()
    write_csv(tmp_path / "fer2013.csv", images, labels)
    check_parts(FER2013Options(root=str(tmp_path), counts="any", layout="csv").reader().load(), images, labels)


def test_val_fraction_splits_nothing_where_there_are_parts(tmp_path: Path) -> None:
    write_csv(tmp_path / "fer2013.csv", *faces())
    with pytest.raises(DataError, match="val_fraction splits nothing"):
        FER2013(root=str(tmp_path), val_fraction=0.1).check()


def test_a_byte_order_mark_windows_line_ends_and_quotes_are_no_damage(tmp_path: Path) -> None:
    images, labels = faces()
    path = write_csv(tmp_path / "fer2013.csv", images, labels)
    head, *rows = path.read_text().splitlines()
    quoted = [",".join([row.split(",")[0], f'"{row.split(",")[1]}"', row.split(",")[2]]) for row in rows]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([head, *quoted]).encode())
    check_parts(load(tmp_path), images, labels)


def edited(tmp_path: Path, line: int, change: tuple[str, str]) -> Path:
    path = write_csv(tmp_path / "fer2013.csv", *faces())
    lines = path.read_text().splitlines(keepends=True)
    assert change[0] in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(*change, 1)
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize(
    ("line", "change", "message"),
    [
        (6, ("4,", "7,"), r"line 6: emotion '7' is not one of 0, 1, 2, 3, 4, 5, 6"),
        (6, ("4,", "x,"), r"line 6: emotion 'x'"),
        (4, (",Training", ",Trainin"), r"line 4: Usage 'Trainin' is not one of Training, PublicTest, PrivateTest"),
        (3, (" ", " 256 "), r"line 3: pixels have to be whole numbers from 0 to 255"),
        (3, (" ", " -1 "), r"line 3: pixels have to be whole numbers"),
        (3, (" ", " 1.5 "), r"line 3: pixels have to be whole numbers"),
        (9, (" ", " 1 "), r"line 9: 2305 pixels instead of 2304"),
        (1, ("pixels", "pixel"), r"line 1: has no column pixels, only emotion, pixel, Usage"),
        (1, ("Usage", "Part"), r"line 1: has no column Usage"),
    ],
)
def test_a_wrong_row_is_named_with_its_file(tmp_path: Path, line: int, change: tuple[str, str], message: str) -> None:
    path = edited(tmp_path, line, change)
    with pytest.raises(DataError, match=rf"{path}: {message}"):
        load(tmp_path)


def test_a_row_of_47_by_48_is_named(tmp_path: Path) -> None:
    images, labels = faces()
    path = write_csv(tmp_path / "fer2013.csv", images, labels)
    lines = path.read_text().splitlines()
    label, pixels, usage = lines[11].split(",")
    lines[11] = ",".join([label, " ".join(pixels.split()[: 47 * 48]), usage])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=r"line 12: 2256 pixels instead of 2304 \(48x48\)"):
        load(tmp_path)


@pytest.mark.parametrize("kept", [0.999, 0.5])
def test_a_truncated_file_is_refused_and_nothing_is_cached(tmp_path: Path, cache: Path, kept: float) -> None:
    path = write_csv(tmp_path / "fer2013.csv", *faces())
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DataError, match=r"line \d+: "):
        load(tmp_path)
    assert not list(cache.rglob("faces.npy*part"))
    assert not list(cache.rglob("faces.npy"))


def test_a_file_cut_between_two_rows_has_the_wrong_counts(tmp_path: Path) -> None:
    write_csv(tmp_path / "fer2013.csv", *faces())
    with pytest.raises(DataError, match=r"Training has 14 faces, by class \[2, 2, 2, 2, 2, 2, 2\], instead of 28709"):
        FER2013(root=str(tmp_path)).load()


def test_no_folder_and_an_empty_one_say_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        FER2013(root=str(tmp_path / "nowhere")).check()
    with pytest.raises(
        DataError,
        match=rf"found no fer2013.csv, icml_face_data.csv, train/CLASS with test/CLASS, train.csv in {tmp_path};",
    ):
        FER2013(root=str(tmp_path)).check()


def write_votes(path: Path, rows: list[list[int]], usages: list[str] = USAGES) -> None:
    head = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    lines = [
        f"{usage},fer{n}.png,{','.join(map(str, row))}" for n, (usage, row) in enumerate(zip(usages, rows, strict=True))
    ]
    path.write_text("\n".join([head, *lines]) + "\n")


def votes() -> list[list[int]]:
    rows = [[0] * 10 for _ in USAGES]
    for number, row in enumerate(rows):
        row[number % 8] = 9
        row[(number + 1) % 8] = 1  # one tagger's slip
    rows[0] = [5, 3, 0, 2, 0, 0, 0, 0, 0, 0]  # 5 of 10 is no majority
    rows[1] = [6, 2, 0, 0, 0, 0, 0, 0, 1, 1]
    rows[2] = [0, 0, 0, 0, 0, 0, 0, 0, 2, 8]  # no face
    return rows


def test_ferplus_decides_by_majority_and_keeps_the_distribution(tmp_path: Path) -> None:
    write_csv(tmp_path / "fer2013.csv", *faces())
    write_votes(tmp_path / "fer2013new.csv", votes())
    source = FER2013(root=str(tmp_path), labels="ferplus", counts="any")
    assert source.num_classes == 8
    train = source.load()["train"]
    assert isinstance(train, ExpressionSplit)
    assert train.labels.tolist() == [0, *(n % 8 for n in range(3, 14))]
    assert train.votes is not None
    assert train.votes[0].tolist() == [0.75, 0.25, 0, 0, 0, 0, 0, 0]
    assert np.allclose(train.votes.sum(1), 1)
    assert train.votes[1, 3] == 1


def test_ferplus_rows_have_to_correspond(tmp_path: Path) -> None:
    write_csv(tmp_path / "fer2013.csv", *faces())
    write_votes(tmp_path / "fer2013new.csv", votes(), [*USAGES[:13], "PublicTest", *USAGES[14:]])
    with pytest.raises(DataError, match=r"fer2013new.csv: line 15: is of another part"):
        load(tmp_path, labels="ferplus")
    write_votes(tmp_path / "fer2013new.csv", votes()[:20], USAGES[:20])
    with pytest.raises(DataError, match=r"20 rows for 28 faces"):
        load(tmp_path, labels="ferplus")


def test_copies_between_parts_are_marked_and_can_be_dropped(tmp_path: Path) -> None:
    images, labels = faces()
    images[21] = images[0]  # PrivateTest equals Training
    images[22] = np.clip(images[1][:, ::-1] * 0.8 + 20, 0, 255)  # mirrored, paler
    images[14] = images[2]
    images[23] = images[15]  # PrivateTest equals PublicTest
    write_csv(tmp_path / "fer2013.csv", images, labels)
    parts = load(tmp_path)
    assert isinstance(parts["test"], ExpressionSplit)
    assert isinstance(parts["val"], ExpressionSplit)
    assert parts["test"].copies.tolist() == [EXACT, NEAR, EXACT, 0, 0, 0, 0]
    assert parts["val"].copies.tolist() == [EXACT, 0, 0, 0, 0, 0, 0]
    dropped = load(tmp_path, copies="drop")
    assert len(dropped["train"]) == 12
    assert np.array_equal(dropped["train"].images[0, 0], images[1])
    assert len(dropped["val"]) == len(dropped["test"]) == 7


@pytest.mark.slow
def test_the_real_set_is_what_it_should_be(real_data: Path) -> None:
    if not (real_data / "fer2013").is_dir():
        pytest.skip("EXP_TEST_DATA has no fer2013")
    parts = FER2013(root=str(real_data)).load()
    assert {name: tuple(np.bincount(part.labels)) for name, part in parts.items()} == dict(
        zip(NAMES, OFFICIAL, strict=True)
    )
    test = parts["test"]
    assert isinstance(test, ExpressionSplit)
    assert int((test.copies == EXACT).sum()) == 314


def test_ferplus_in_another_order_is_seen(tmp_path: Path) -> None:
    write_csv(tmp_path / "fer2013.csv", *faces())
    write_votes(tmp_path / "fer2013new.csv", votes())
    lines = (tmp_path / "fer2013new.csv").read_text().splitlines()
    head, rows = lines[0], lines[1:]
    name = head.split(",").index("Image name")
    named = []
    for number, row in enumerate(rows):
        cells = row.split(",")
        cells[name] = f"fer{len(rows) - number:07d}.png"
        named.append(",".join(cells))
    (tmp_path / "fer2013new.csv").write_text("\n".join([head, *named]) + "\n")
    with pytest.raises(DataError, match=r"line 11: rows are not in the order of the images' names"):
        load(tmp_path, labels="ferplus")


def test_votes_of_other_faces_are_seen_by_their_agreement() -> None:
    labels = np.random.RandomState(0).randint(0, 8, 1000)
    same = np.array([6, 3, 5, 4, 0, 1, 2, 0])[labels]
    fer2013._refuse_unrelated(Path("fer2013new.csv"), labels, same)
    with pytest.raises(DataError, match="rows of the two files do not correspond"):
        fer2013._refuse_unrelated(Path("fer2013new.csv"), labels, np.roll(same, 1))


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n\n", "\n"], ids=repr)
def test_line_ends_and_blank_lines_change_nothing(tmp_path: Path, end: str) -> None:
    images, labels = faces()
    path = write_csv(tmp_path / "fer2013.csv", images, labels)
    path.write_bytes((path.read_text().replace("\n", end) + end).encode("utf-8-sig"))
    check_parts(load(tmp_path), images, labels)


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "fer2013.csv", *faces())
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "PublicTest" not in line))
    with pytest.raises(DataError, match=r"fer2013.csv: has no faces of PublicTest; get the whole set"):
        load(tmp_path)


def test_folders_beside_the_classes_and_other_files_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    images, labels = faces()
    write_folder(tmp_path, images, labels)
    (tmp_path / "train" / ".ipynb_checkpoints").mkdir()
    (tmp_path / "train" / EXPRESSIONS[0] / "notes.gif").touch()
    (tmp_path / "test").rename(tmp_path / "val")
    check_parts(load(tmp_path), images, labels, near=1)
    assert "left out 1 .gif" in caplog.text


def test_another_image_of_equal_size_is_another_set(tmp_path: Path) -> None:
    images, labels = faces()
    write_folder(tmp_path, images, labels)
    before = FER2013(root=str(tmp_path), counts="any").check()
    path = next((tmp_path / "train").rglob("*.*"))
    data = path.read_bytes()
    path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    assert FER2013(root=str(tmp_path), counts="any").check() != before


def test_a_first_line_that_no_csv_has_is_named(tmp_path: Path) -> None:
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage" + "x" * 200_000 + "\n0,1 2,Training\n")
    with pytest.raises(DataError, match=r"fer2013\.csv: line 1: field larger than field limit"):
        FER2013(FER2013Options(root=str(tmp_path))).check()
