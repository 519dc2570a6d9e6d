from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.commands.front import run_verb
from exp.data import files
from exp.data.decode import read_image
from exp.data.source import DataError
from exp.tasks.attention.data import imagefolder
from exp.tasks.attention.data.imagefolder import ImageFolder

CLASSES = ["ant", "bee", "cat"]


def picture(height: int, width: int, seed: int) -> np.ndarray:
    """A smooth random BGR image."""
    small = np.random.RandomState(seed).randint(0, 256, (4, 4, 3)).astype(np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def tree(root: Path, parts: Sequence[str], count: int = 10) -> Path:
    seed = 0
    for part in parts:
        for name in CLASSES:
            folder = root / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                seed += 1
                ending = ".png" if number % 2 else ".JPEG"
                assert cv2.imwrite(str(folder / f"{number:02d}{ending}"), picture(20 + number, 24, seed))
    return root


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tree(tmp_path / "set", ["train", "val"])


def stems(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_val_becomes_test_and_a_part_of_train_val(root: Path) -> None:
    source = ImageFolder(root=str(root), size=16, val_fraction=0.2)
    parts = source.load()
    assert {name: part.images.shape for name, part in parts.items()} == {
        "train": (24, 3, 16, 16),
        "val": (6, 3, 16, 16),
        "test": (30, 3, 16, 16),
    }
    assert list(np.bincount(parts["val"].labels)) == [2, 2, 2]
    assert source.class_names == CLASSES
    assert source.num_classes == 3
    expected = {bytes(read_image(path, 16)): CLASSES.index(path.parent.name) for path in (root / "train").rglob("*.*")}
    for part in (parts["train"], parts["val"]):
        assert isinstance(part.images, np.memmap)
        assert [expected.pop(bytes(image)) for image in part.images] == list(part.labels)
    assert not expected
    files = sorted((root / "val").rglob("*.*"))
    assert all(
        np.array_equal(image, read_image(path, 16)) for image, path in zip(parts["test"].images, files, strict=True)
    )


def test_default_share_and_none(root: Path) -> None:
    assert len(ImageFolder(root=str(root), size=8).load()["val"]) == 3
    assert set(ImageFolder(root=str(root), size=8, val_fraction=0).load()) == {"train", "test"}


def test_three_folders(tmp_path: Path) -> None:
    root = tree(tmp_path / "set", ["train", "val", "test"], count=2)
    parts = ImageFolder(root=str(root), size=8).load()
    assert {name: len(part) for name, part in parts.items()} == {"train": 6, "val": 6, "test": 6}
    with pytest.raises(DataError, match="val_fraction splits nothing"):
        ImageFolder(root=str(root), size=8, val_fraction=0.1).check()


def test_cache_is_reused_across_shares_and_made_again_for_other_data(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []

    def count(path: Path, size: int) -> np.ndarray:
        decoded.append(path)
        return read_image(path, size)

    monkeypatch.setattr(files, "read_image", count)
    for fraction in (0.2, 0.2, 0.4, 0):
        ImageFolder(root=str(root), size=16, val_fraction=fraction).load()
    assert len(decoded) == 60
    assert stems(cache) == ["train.npy", "val.npy"]
    ImageFolder(root=str(root), size=8).load()
    assert len(decoded) == 120
    first = ImageFolder(root=str(root)).check()
    (root / "train" / "ant" / "00.JPEG").unlink()
    assert ImageFolder(root=str(root)).check() != first
    ImageFolder(root=str(root), size=16).load()
    assert len(decoded) == 179


def test_fingerprint_is_of_names_and_contents(root: Path, tmp_path: Path) -> None:
    first = ImageFolder(root=str(root)).check()
    moved = root.rename(tmp_path / "moved")
    assert ImageFolder(root=str(moved), size=32, val_fraction=0.3).check() == first
    path = moved / "val" / "cat" / "01.png"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert ImageFolder(root=str(moved)).check() != first


def test_swapped_class_folders_are_decoded_anew(root: Path, tmp_path: Path) -> None:
    before = ImageFolder(root=str(root), size=8).load()["test"]
    for part in ("train", "val"):
        (root / part / "ant").rename(root / part / "ant-bee")
        (root / part / "bee").rename(root / part / "ant")
        (root / part / "ant-bee").rename(root / part / "bee")
    after = ImageFolder(root=str(root), size=8).load()["test"]
    assert np.array_equal(after.images[after.labels == 0], before.images[before.labels == 1])
    assert np.array_equal(after.images[after.labels == 2], before.images[before.labels == 2])


@pytest.mark.parametrize("kind", ["truncated jpeg", "truncated png", "empty", "text"])
def test_a_broken_image_is_named_and_leaves_no_cache(root: Path, cache: Path, kind: str) -> None:
    path = root / "train" / "bee" / ("03.png" if kind == "truncated png" else "04.JPEG")
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"not an image"}.get(kind, content[: len(content) * 2 // 3]))
    with pytest.raises(DataError) as error:
        ImageFolder(root=str(root), size=16).load()
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    assert stems(cache) == []
    path.write_bytes(content)
    assert len(ImageFolder(root=str(root), size=16).load()["test"]) == 30


def test_check_names_every_damaged_image(root: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb("data", ["imagefolder", f"root={root}", "size=16"]) == 0
    for name in ("train/bee/04.JPEG", "val/ant/01.png"):
        (root / name).write_bytes((root / name).read_bytes()[:40])
    capsys.readouterr()
    assert run_verb("data", ["imagefolder", f"root={root}", "size=16"]) == 1
    printed = capsys.readouterr().out
    assert "classes      3" in printed
    assert "images       train 30, val 30" in printed
    assert "damaged      2" in printed
    assert str(root / "train/bee/04.JPEG") in printed
    assert str(root / "val/ant/01.png") in printed
    assert stems(cache) == []


def test_files_are_what_the_cache_holds(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    streamed = ImageFolder(root=str(root), size=16, decode="workers")
    assert not streamed.cached
    parts = streamed.load()
    assert stems(cache) == []
    cached = ImageFolder(root=str(root), size=16, decode="cache").load()
    for name, part in parts.items():
        assert part.images.shape == cached[name].images.shape
        assert np.array_equal(np.stack([part.images[row] for row in range(len(part))]), cached[name].images)
        assert np.array_equal(part.labels, cached[name].labels)
    assert streamed.check() == ImageFolder(root=str(root), decode="cache").check()
    assert ImageFolder(root=str(root), size=16).cached
    monkeypatch.setattr(imagefolder, "CACHED_UP_TO", 60 * 3 * 16**2 - 1)
    assert not ImageFolder(root=str(root), size=16).cached
    assert ImageFolder(root=str(root), size=16, decode="cache").cached
    with pytest.raises(ValueError, match="decode=disk: not one of auto, cache, workers"):
        ImageFolder(decode="disk")


def test_layout_errors(root: Path) -> None:
    def fails(match: str, num_classes: int | None = None, val_fraction: float | None = None) -> None:
        with pytest.raises(DataError, match=match) as error:
            ImageFolder(root=str(root), num_classes=num_classes, val_fraction=val_fraction).check()
        assert "\n" not in str(error.value)

    fails("has 3 classes, but num_classes=10", num_classes=10)
    fails("takes 0 of its 10 samples", val_fraction=0.01)
    (root / "val" / "dog").mkdir()
    fails("class dog is in .*val but not in .*train")
    (root / "val" / "dog").rename(root / "train" / "dog")
    fails("class dog is in .*train but not in .*val")
    (root / "val" / "dog").mkdir()
    fails("dog has no images")
    (root / "train" / "dog" / "readme.txt").touch()
    (root / "train" / "dog" / ".hidden.png").touch()
    fails("train/dog has no images")
    (root / "val").rename(root / "validation")
    fails("neither val nor test")
    (root / "train").rename(root / "training")
    fails("found no train")
    (root / "train").mkdir()
    (root / "validation").rename(root / "val")
    fails("has no class folders")


def test_images_in_deeper_folders(root: Path) -> None:
    (root / "train" / "ant" / "images").mkdir()
    (root / "train" / "ant" / "01.png").rename(root / "train" / "ant" / "images" / "01.png")
    assert len(ImageFolder(root=str(root), size=8, val_fraction=0).load()["train"]) == 30


def test_bad_options() -> None:
    cases: list[dict[str, Any]] = [{"size": 0}, {"num_classes": 0}, {"val_fraction": 1.0}]
    for options in cases:
        with pytest.raises(ValueError, match="=".join(map(str, next(iter(options.items()))))):
            ImageFolder(**options)


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (16, 16), (9, 12), (300, 170), (17, 333)])
def test_geometry(tmp_path: Path, shape: tuple[int, int]) -> None:
    # From a picture of its own coordinates follows where the square was cut.
    height, width = shape
    y, x = np.mgrid[:height, :width]
    image = np.stack([np.zeros(shape), y * 255 / height, x * 255 / width], axis=-1).round().astype(np.uint8)
    for ending, slack in ((".png", 4), (".jpg", 12)):
        path = tmp_path / f"a{ending}"
        cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 100])
        red, green, blue = read_image(path, 16).astype(float)
        short = min(shape)
        top, left = (height - short) / 2, (width - short) / 2
        place = (np.arange(16) + 0.5) * short / 16 - 0.5
        assert blue.max() <= slack
        coarse = 255 / short / 2  # the cut is to a whole pixel of the image
        assert np.abs(red - (left + place[None, :]) * 255 / width).max() <= slack + coarse
        assert np.abs(green - (top + place[:, None]) * 255 / height).max() <= slack + coarse


def test_reduced_decoding_is_close_to_full(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    image = picture(400, 520, 1)
    cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    full = cv2.resize(image, (round(520 * 48 / 400), 48), interpolation=cv2.INTER_AREA)[:, 7:55, ::-1]
    assert np.abs(read_image(path, 48).transpose(1, 2, 0).astype(float) - full).mean() < 3


def test_grey_alpha_and_progressive(tmp_path: Path) -> None:
    grey = picture(20, 20, 2)[..., 0]
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    assert np.array_equal(read_image(tmp_path / "grey.png", 20), np.stack([grey] * 3))
    colour = picture(20, 20, 3)
    cv2.imwrite(str(tmp_path / "alpha.png"), np.dstack([colour, np.full((20, 20), 7, np.uint8)]))
    assert np.array_equal(read_image(tmp_path / "alpha.png", 20), colour[..., ::-1].transpose(2, 0, 1))
    cv2.imwrite(str(tmp_path / "p.jpg"), colour, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert read_image(tmp_path / "p.jpg", 20).shape == (3, 20, 20)
    with pytest.raises(DataError, match="cannot be read"):
        read_image(tmp_path / "none.jpg", 20)


def test_real_imagenette(real_data: Path) -> None:
    if not (real_data / "imagenette").is_dir():
        pytest.skip(f"no imagenette in {real_data}")
    source = ImageFolder(root=str(real_data / "imagenette"), size=32, num_classes=10)
    parts = source.load()
    assert {name: len(part) for name, part in parts.items()} == {"train": 1350, "val": 150, "test": 500}


def test_images_may_be_stored_larger_than_they_are_used(root: Path) -> None:
    source = ImageFolder(root=str(root), size=16, stored=20)
    assert source.shape == (3, 16, 16)
    parts = source.load()
    assert parts["train"].images.shape[1:] == (3, 20, 20)
    file = root / "val" / "ant" / "01.png"
    assert np.array_equal(parts["test"].images[1], read_image(file, 20))
    with pytest.raises(ValueError, match="stored=12: has to be at least size=16"):
        ImageFolder(size=16, stored=12)


def test_links_are_followed_and_what_is_left_out_is_counted(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (root / "train" / "ant").rename(elsewhere)
    (root / "train" / "ant").mkdir()
    (root / "train" / "ant" / "linked").symlink_to(elsewhere, target_is_directory=True)
    (elsewhere / "round").symlink_to(elsewhere, target_is_directory=True)
    (root / "train" / "bee" / "00.JPEG").rename(root / "train" / "bee" / "00.jfif")
    for name in ("a.gif", "b.gif", "c.avif", "d"):
        (root / "train" / "bee" / name).write_bytes(b"x")
    (root / "train" / "bee" / "broken.png").symlink_to(root / "gone.png")
    source = ImageFolder(root=str(root), size=8, val_fraction=0)
    assert len(source.load()["train"]) == 30
    assert "left out 2 .gif" in caplog.text
    for counted in ("1 .avif", "1 without ending", "1 broken link", "1 link to a folder above"):
        assert counted in caplog.text
    run_verb("data", ["imagefolder", f"root={root}", "size=8"])
    assert "left out" in capsys.readouterr().out


def test_a_name_of_an_older_system_is_refused(root: Path) -> None:
    (root / "train" / "bee" / os.fsdecode(b"caf\xe9.png")).write_bytes(b"x")
    with pytest.raises(DataError, match=r"bee/caf\\xe9.png: the name is not UTF-8"):
        ImageFolder(root=str(root), size=8).check()
