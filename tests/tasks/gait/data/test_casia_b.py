"""CASIA-B from pickles and PNG frames: what comes out is what lay on disk, and damage is one clear line."""

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.commands.front import run_verb
from exp.data.source import DataError
from exp.tasks.gait.data.casia_b import CasiaB, write_pickles
from exp.tasks.gait.data.clips import Clips
from exp.tasks.gait.data.silhouette import aligned
from exp.tasks.gait.data.walkers import Walkers


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EXP_DATA", raising=False)


def walkers() -> Walkers:
    return Walkers(size=16, train_subjects=4, val_subjects=0, test_subjects=2, views=2, clip_frames=6)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("casia")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXP_CACHE", str(folder / "cache"))
        for part in walkers().load().values():
            write_pickles(part, folder / "tree")
    return folder / "tree"


@pytest.fixture
def tree(written: Path, tmp_path: Path) -> Path:
    return shutil.copytree(written, tmp_path / "tree")


def reader(tree: Path, **options: Any) -> CasiaB:
    return CasiaB(**{"root": str(tree), "size": 16, "train_subjects": 4, "val_subjects": 0} | options)


def main(words: list[str]) -> int:
    return run_verb("data", words)


def test_walkers_written_as_opengaits_tree_come_back_pixel_by_pixel(tree: Path) -> None:
    source = reader(tree)
    assert len(source.check()) == 32
    parts, original = source.load(), walkers().load()
    assert set(parts) == {"train", "test"}
    for split, part in parts.items():
        assert part.packed
        assert part.people == original[split].people
        there = {tuple(row): k for k, row in enumerate(zip(part.ids, part.types, part.views, strict=True))}
        first = original[split]
        for k, row in enumerate(zip(first.ids, first.types, first.views, strict=True)):
            assert np.array_equal(part.read(there[tuple(row)]), first.read(k))
    assert source.num_classes == 4
    assert source.class_names == ["001", "002", "003", "004"]


def test_validation_people_are_taken_from_the_training(tree: Path) -> None:
    parts = reader(tree, val_subjects=2).load()
    assert set(parts) == {"train", "val", "test"}
    people = [set(part.people) for part in parts.values()]
    assert sum(map(len, people)) == len(set.union(*people))
    assert set(parts["test"].people) == {"005", "006"}
    assert reader(tree, val_subjects=2).num_classes == 2
    assert parts["val"].read(0).any()


def test_columns_are_cut_and_sizes_changed(tree: Path) -> None:
    cut = reader(tree, cut=2)
    whole = reader(tree).load()["test"]
    assert cut.shape == (1, 16, 12)
    assert np.array_equal(cut.load()["test"].read(3), whole.read(3)[:, :, 2:-2])
    larger = reader(tree, size=32).load()["test"]
    assert larger.size == (32, 32)
    assert not larger.packed


def silhouette(left: int, height: int = 60) -> np.ndarray:
    image = np.zeros((120, 160), np.uint8)
    cv2.ellipse(image, (left, 60), (12, height // 2), 0, 0, 360, 255, -1)
    return image


def test_raw_frames_are_aligned(tmp_path: Path) -> None:
    for person in ("001", "002", "003", "004"):
        for walk in ("nm-01", "nm-05"):
            for view in ("000", "090"):
                folder = tmp_path / "raw" / person / walk / view
                folder.mkdir(parents=True)
                for number in range(3):
                    image = silhouette(40 + 10 * number) if number else np.zeros((120, 160), np.uint8)
                    cv2.imwrite(str(folder / f"{person}-{walk}-{view}-{number:03d}.png"), image)
    source = CasiaB(root=str(tmp_path / "raw"), size=32, train_subjects=2, val_subjects=0)
    clip = source.load()["train"].read(0)
    assert clip.shape == (2, 32, 32)
    assert np.abs(clip[0].astype(int) - clip[1]).mean() < 5
    assert source.report()["layout"] == "frames"


def test_alignment_is_full_height_and_centred_on_the_mass() -> None:
    frame = aligned(silhouette(30), 64)
    assert frame is not None
    assert frame.shape == (64, 64)
    assert frame[0].any()
    assert frame[-1].any()
    mass = np.cumsum(frame.sum(0, dtype=float))
    assert abs(int(np.argmax(mass > mass[-1] / 2)) - 32) <= 1
    shifted = aligned(silhouette(9), 64)
    assert shifted is not None
    assert shifted[:, 32:].any()
    assert aligned(np.zeros((240, 320), np.uint8), 64) is None
    speck = np.zeros((240, 320), np.uint8)
    speck[:6, :6] = 255
    assert aligned(speck, 64) is None


def row_of(part: Clips) -> int:
    """The clip of ``one``."""
    return int(np.flatnonzero((part.ids == "001") & (part.types == "nm-01") & (part.views == "000"))[0])


def one(tree: Path) -> Path:
    return tree / "001" / "nm-01" / "000" / "000.pkl"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(np.zeros((3, 16, 16), np.float32)), "refused, the pickle asks for an array of type 'f4'"),
        (pickle.dumps(np.zeros((3, 16, 16), np.int64), protocol=5), "refused"),
        (pickle.dumps(np.zeros((0, 16, 16), np.uint8)), "no frame with a person"),
        (pickle.dumps(np.zeros((16, 16), np.uint8)), r"shape \(16, 16\), expected T x 64 x 64"),
        (pickle.dumps(np.zeros((3, 16, 16), np.uint8))[:-40], "damaged or truncated"),
        (pickle.dumps({"a": 1}), "holds a dict, not an array"),
        (b"", "damaged or truncated"),
    ],
)
def test_a_damaged_pickle_is_named(tree: Path, content: bytes, message: str) -> None:
    one(tree).write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        reader(tree).load()
    assert "001" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (f"{os.environ['EXP_CACHE']}-pwned",)


def test_a_malicious_pickle_is_refused_and_runs_nothing(tree: Path) -> None:
    one(tree).write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(DataError, match=r"000.pkl: refused, the pickle asks for posix.mkdir"):
        reader(tree).load()
    assert not Path(f"{os.environ['EXP_CACHE']}-pwned").exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles_of_every_protocol_are_read(tree: Path, protocol: int) -> None:
    frames = np.random.RandomState(0).randint(0, 2, (4, 16, 16)).astype(np.uint8) * 255
    one(tree).write_bytes(pickle.dumps(frames, protocol=protocol))
    part = reader(tree).load()["train"]
    assert np.array_equal(part.read(row_of(part)), frames)


def test_a_clip_of_one_frame_is_read_and_an_empty_folder_named(tree: Path) -> None:
    one(tree).write_bytes(pickle.dumps(np.full((1, 16, 16), 255, np.uint8)))
    part = reader(tree).load()["train"]
    assert part.lengths[row_of(part)] == 1
    one(tree).unlink()
    with pytest.raises(DataError, match=r"001/nm-01/000 is empty"):
        reader(tree).check()


def test_a_missing_or_foreign_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="set data.root or EXP_DATA"):
        CasiaB().check()
    with pytest.raises(DataError, match="is no folder"):
        CasiaB(root=str(tmp_path / "gone")).check()
    with pytest.raises(DataError, match="no <person>/<walk>/<angle> folders"):
        CasiaB(root=str(tmp_path)).check()
    (tmp_path / "anna" / "nm-01" / "000").mkdir(parents=True)
    (tmp_path / "anna" / "nm-01" / "000" / "000.pkl").touch()
    with pytest.raises(DataError, match="anna .* is no person's number"):
        CasiaB(root=str(tmp_path)).check()


def test_too_few_people_are_named(tree: Path) -> None:
    with pytest.raises(DataError, match="0 persons for test"):
        reader(tree, train_subjects=74).check()
    with pytest.raises(DataError, match=r"6 persons to train on, of whom data.val_subjects=5"):
        reader(tree, train_subjects=74, val_subjects=5).check()


def test_check_reports_counts_gaps_and_damage(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["casia_b", f"root={tree}", "size=16", "train_subjects=4", "val_subjects=0", "--format", "json"]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["clips"] == 6 * 10 * 2
    assert found["persons"] == {"train": 4, "val": 0, "test": 2}
    assert len(found["missing"]) == 6 * 10 * 9
    assert found["fingerprint"] == reader(tree).check()
    (tree / "002" / "cl-01" / "180" / "180.pkl").write_bytes(b"nothing")
    one(tree).write_bytes(pickle.dumps(np.full((2, 16, 16), 255, np.uint8)))
    assert main(words[:-2]) == 1
    text = capsys.readouterr().out
    assert "180.pkl: damaged" in text
    assert "001/nm-01/000: 2 frames" in text
    assert "and 530 more" in text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["casia"], "no such data set"),
        (["casia_b"], "set data.root or EXP_DATA"),
        (["casia_b", "rooot=x"], "did you mean 'root'?"),
        (["casia_b", "size"], "expected OPTION=VALUE"),
        (["walkers", "views=99"], "has to be 2 to 11"),
    ],
)
def test_check_says_what_is_wrong_in_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_an_unknown_format_is_argparses_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digits", "--format", "xml"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "--format: invalid choice: 'xml'" in error
    assert "text" in error
    assert "json" in error


def test_check_works_for_every_set_that_needs_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["digits"]) == 0
    assert "parts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 15}, "size=15: has to be at least 16"),
        ({"cut": -1}, "cut=-1: has to be at least 0"),
        ({"cut": 8}, "cut=8: leaves nothing of size=16 columns"),
        ({"train_subjects": 1}, "train_subjects=1: has to be at least 2"),
        ({"val_subjects": -1}, "val_subjects=-1: has to be at least 0"),
        ({"val_subjects": 3}, "val_subjects=3: two of train_subjects=4 persons have to be left"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, int], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        reader(tmp_path, **options)


def frames_of(folder: Path) -> list[np.ndarray]:
    """Silhouettes that grow wider from frame to frame, in place of a walk's pickle."""
    for path in folder.iterdir():
        path.unlink()
    return [silhouette(20 + 2 * number) for number in range(12)]


def test_frames_are_read_in_the_order_of_their_numbers(tree: Path) -> None:
    folder = one(tree).parent
    images = frames_of(folder)
    for number, image in enumerate(images):
        cv2.imwrite(str(folder / f"{number + 1}.png"), image)
    part = reader(tree).load()["train"]
    wanted = [frame for frame in (aligned(image, 16) for image in images) if frame is not None]
    assert np.array_equal(part.read(row_of(part)), np.stack(wanted))


@pytest.mark.parametrize("ending", [".PNG", ".bmp", ".jpg", ".tif"])
def test_frames_of_other_formats_and_of_zeros_and_ones_are_read(tree: Path, ending: str) -> None:
    folder = one(tree).parent
    images = frames_of(folder)
    for number, image in enumerate(images):
        written = image if ending == ".jpg" else image // 255
        cv2.imwrite(str(folder / f"{number:03d}{ending.lower()}"), written)
        (folder / f"{number:03d}{ending.lower()}").rename(folder / f"{number:03d}{ending}")
    part = reader(tree).load()["train"]
    wanted = np.stack([frame for frame in (aligned(image, 16) for image in images) if frame is not None])
    got = part.read(row_of(part))
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).mean() < (8 if ending == ".jpg" else 0.01)


def test_pickles_of_zeros_and_ones_are_white_on_black(tree: Path) -> None:
    frames = np.random.RandomState(0).randint(0, 2, (4, 16, 16)).astype(np.uint8)
    one(tree).write_bytes(pickle.dumps(frames, protocol=4))
    part = reader(tree).load()["train"]
    assert np.array_equal(part.read(row_of(part)), frames * 255)


def test_angles_without_zeros_are_read_and_what_is_no_angle_is_said(tree: Path, capsys: Any) -> None:
    for walk in tree.glob("*/*"):
        (walk / "000").rename(walk / "0")
        (walk / "0" / "000.pkl").rename(walk / "0" / "0.pkl")
    (tree / "001" / "background").mkdir()
    (tree / "001" / "nm-01" / "left").mkdir()
    source = reader(tree)
    assert set(source.load()["test"].views) == {"000", "180"}
    assert sorted(source.left_out) == ["001/background", "001/nm-01/left"]
    main(["casia_b", f"root={tree}", "size=16", "train_subjects=4", "val_subjects=0"])
    assert "left out     2" in capsys.readouterr().out
    (tree / "001" / "nm-01" / "000").mkdir()
    with pytest.raises(DataError, match="are the same angle"):
        reader(tree).check()


def test_a_part_that_cannot_be_scored_is_refused_before_training(tree: Path, caplog: Any) -> None:
    for walk in tree.glob("00[56]/cl-*"):
        walk.rename(tree / walk.name.replace("cl", f"{walk.parent.name}cl"))
    for folder in tree.glob("*cl-*"):
        folder.rename(tree.parent / folder.name)
    reader(tree).check()
    assert "test: no CL walks; mean_r1 is the mean of NM, BG" in caplog.text
    for walk in tree.glob("00[56]/nm-0[1-4]/180"):
        walk.rename(tree.parent / f"{walk.parent.parent.name}{walk.parent.name}")
    for walk in tree.glob("00[56]/*/180"):
        walk.rename(tree.parent / f"{walk.parent.parent.name}{walk.parent.name}x")
    with pytest.raises(DataError, match="test: all walks are from one angle"):
        reader(tree).check()


def test_equal_names_and_sizes_with_other_pixels_are_other_data(tree: Path) -> None:
    before, first = reader(tree).check(), reader(tree).load()["train"]
    frames = first.read(row_of(first)).copy()
    frames[0] = 255 - frames[0]
    size = one(tree).stat().st_size
    one(tree).write_bytes(pickle.dumps(frames, protocol=4))
    assert one(tree).stat().st_size == size
    assert reader(tree).check() != before
    part = reader(tree).load()["train"]
    assert np.array_equal(part.read(row_of(part)), frames), "the cache of the former pixels is not used"
