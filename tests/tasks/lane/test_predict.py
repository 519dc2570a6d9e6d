import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from exp.commands.front import run_verb
from exp.data.source import DataError
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.tasks.build import build_task
from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.data.lines import read_lines, write_lines
from exp.tasks.lane.data.view import View
from exp.tasks.lane.predict import fitted, predict

TINY = [
    "task=lane", "model.width=4", "model.dim=16", "model.layers=1", "model.hidden=16", "model.fpn_channels=8",
    "task.steps=12", "task.nbins=64", "data.input_height=64", "data.input_width=160", "trainer.max_epochs=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def ckpt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell whose model, untrained but for its bias, writes points everywhere."""
    folder = tmp_path_factory.mktemp("cell")
    config = resolved([*TINY[:-1]]).config
    task = build_task(config)
    with torch.no_grad():
        task.model.x_head.bias[0] = -100.0  # type: ignore[union-attr]
    torch.save({"state_dict": task.state_dict()}, folder / "best.ckpt")
    (folder / "config.json").write_text(json.dumps({"config": config.plain()}))
    return folder / "best.ckpt"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.RandomState(0)
    cv2.imwrite(str(folder / "a.png"), rng.randint(0, 255, (590, 1640, 3)).astype(np.uint8))
    cv2.imwrite(str(folder / "deep" / "b.jpg"), rng.randint(0, 255, (295, 700, 3)).astype(np.uint8))
    return folder


def main(words: list[str]) -> int:
    return run_verb("predict", words)


def words(ckpt: Path, *more: str) -> list[str]:
    return ["task=lane", f"ckpt={ckpt}", *more]


def test_lanes_and_overlays_in_the_images_own_pixels(ckpt: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(words(ckpt, f"out={out}", str(images))) == 0
    files = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert files == ["a.lines.txt", "a.overlay.png", "deep/b.lines.txt", "deep/b.overlay.png"]
    for name, (height, width) in (("a", (590, 1640)), ("deep/b", (295, 700))):
        lanes = read_lines(out / f"{name}.lines.txt")
        assert len(lanes) == 4
        top = 250 * height / 590
        for lane in lanes:
            assert len(lane) == 12
            assert ((lane >= [0, top]) & (lane <= [width, height])).all()
        overlay, image = cv2.imread(str(out / f"{name}.overlay.png")), cv2.imread(str(next(images.glob(f"{name}.*"))))
        assert overlay.shape == image.shape
        assert (overlay != image).any()


def test_known_points_are_kept(ckpt: Path, images: Path, tmp_path: Path) -> None:
    known = np.array([[300, 590], [330, 560], [380, 520]], np.float32)
    write_lines(tmp_path / "prompts" / "a.lines.txt", [known])
    out = tmp_path / "out"
    assert main(words(ckpt, f"out={out}", f"prompts={tmp_path / 'prompts'}", str(images / "a.png"))) == 0
    led = read_lines(out / "a.lines.txt")[1]  # left of the middle: the second slot
    inside = led[led[:, 1] >= 520]
    assert len(inside) == 2
    wanted = np.interp(inside[:, 1], known[::-1, 1], known[::-1, 0])
    assert np.abs(inside[:, 0] - wanted).max() <= 1640 / 64 / 2 + 0.01


def test_temperature_and_seed(ckpt: Path, images: Path, tmp_path: Path) -> None:
    def write(name: str, *more: str) -> str:
        assert main(words(ckpt, f"out={tmp_path / name}", *more, str(images / "a.png"))) == 0
        return (tmp_path / name / "a.lines.txt").read_text()

    assert write("one", "temperature=1", "seed=1") == write("two", "temperature=1", "seed=1")
    assert write("three", "temperature=1", "seed=2") != (tmp_path / "one/a.lines.txt").read_text()
    assert write("four") == write("five")


def test_a_damaged_image_is_reported_and_the_others_are_done(
    ckpt: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    assert main(words(ckpt, f"out={tmp_path / 'out'}", str(images))) == 1
    captured = capsys.readouterr()
    assert "exp predict: " in captured.err
    assert "broken.jpg" in captured.err
    assert "1 images could not be read" in captured.err
    assert "2 images, lanes and overlays" in captured.out
    assert (tmp_path / "out/a.lines.txt").exists()


def test_wrong_calls_are_one_line(ckpt: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/old.lines.txt").touch()
    for given, message in (
        ([f"out={tmp_path / 'full'}", str(images)], "old predictions must not mix"),
        (["temprature=1", str(images)], "did you mean 'temperature'"),
        (["temperature=warm", str(images)], "expected float"),
        (["temperature=-1", str(images)], "at least 0"),
        ([f"prompts={tmp_path / 'none'}", str(images)], "no such folder"),
        ([str(tmp_path / "nowhere")], "no such image or folder"),
        ([], "name a folder"),
    ):
        assert main(words(ckpt, *given)) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert main(["task=lanes", str(images)]) == 2
    assert "did you mean 'lane'" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="ckpt"):
        predict({"out": str(tmp_path / "x")}, [images])
    with pytest.raises(DataError, match="no images"):
        predict({"ckpt": str(ckpt)}, [tmp_path / "full"])


@pytest.mark.parametrize("options", [{}, {"order": "top_down", "slots": "file", "max_lanes": 3, "tokens": "relative"}])
def test_a_picture_of_another_size_has_the_same_tokens(options: dict[str, Any]) -> None:
    view = View(590, 1640, 270, 320, 800)
    half = fitted(view, np.zeros((295, 820, 3), np.uint8))
    y = np.arange(590, 330, -10, dtype=np.float32)
    lanes = [np.stack([x + (590 - y) * 0.7, y], 1) for x in (200, 700, 1300)]
    whole, small = LaneCodec(view, **options), LaneCodec(half, **options)
    ids = whole.encode([view.to_input(lane) for lane in lanes]).ids
    assert np.array_equal(small.encode([half.to_input(lane / 2) for lane in lanes]).ids, ids)
    for one, other in zip(small.decode(ids), whole.decode(ids), strict=True):
        assert np.allclose(one, other / 2, atol=1e-3)


def test_a_view_of_another_size_cuts_the_same_share() -> None:
    view = fitted(View(590, 1640, 270, 320, 800), np.zeros((295, 600, 3), np.uint8))
    assert (view.image_height, view.image_width, view.crop_top, view.height, view.width) == (295, 600, 135, 320, 800)
