"""The attention task: the loss of mixed images, and training with everything that ImageNet recipes ask for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from exp.data.batches import ImageBatch
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.tasks.build import build_task, cost
from exp.tasks.count import shapes_only
from tests.conftest import slow_but

Train = Callable[..., dict[str, Any]]


def task(*overrides: str) -> Any:
    return build_task(resolved(["width=4", *overrides]).config).eval()


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("att=triplet model=resnet18", 11_684_256),
        ("att=triplet model=resnet50", 25_554_200),
        ("att=triplet model=resnet18 bias=false", 11_684_232),
        ("att=ca model=resnet18", 11_818_152),
        ("att=tripletca model=resnet18", 11_820_576 - 8 * 101),
        ("att=tripletca model=resnet50", 29_359_656 - 16 * 101),
        ("att=tripletlka model=resnet18", 12_527_592),
    ],
)
def test_published_nets_have_the_weights_of_notebook_004s_code(words: str, count: int) -> None:
    """Counted in its code (5c3e5ba, c381599), whose TripletCA also has an (H,W) gate of 101 weights that nothing uses."""
    with shapes_only():
        net = build_task(resolved(["recipe=published", *words.split()]).config)
    assert sum(weight.numel() for weight in net.parameters()) == count


def test_loss_of_mixed_images() -> None:
    one = task("label_smoothing=0.1", "mixup=0.8")
    images, labels, others = torch.randn(3, 1, 8, 8), torch.tensor([1, 2, 3]), torch.tensor([3, 1, 2])
    shares = torch.tensor([0.25, 0.5, 1.0])
    batch = ImageBatch(images, labels, torch.arange(3), weight=1.0, size=3, index=0, others=others, shares=shares)
    loss, count = one.loss(batch)
    soft = torch.zeros(3, 10)
    soft[range(3), labels] += shares
    soft[range(3), others] += 1 - shares
    expected = F.cross_entropy(one(images), 0.9 * soft + 0.01)
    assert count == 3
    torch.testing.assert_close(loss, expected)


COSTS = [
    ("model=van_b0 att=none data=imagenet", 4_105_800, 864_224_000),
    ("model=van_b0 att=none data=cifar100 stem=imagenet", 3_874_500, 17_657_600),
    ("model=van_b0 att=none data=imagenet kernel_size=28", 4_144_200, None),
    ("model=mobilenetv2 att=none data=imagenet", 3_504_872, 300_774_272),
    ("model=mobilenetv2 att=triplet data=imagenet kernel_size=3", 3_505_892, 301_917_344),
    ("model=mobilenetv2 att=ca data=imagenet placement=branch_mid", 3_950_648, 306_666_368),
    ("model=mobilenetv2 att=ca data=imagenet placement=branch_mid width=0.5", 2_095_568, 99_002_688),
    ("model=res2net50 att=none data=imagenet", 25_699_120, 4_255_166_464),
    ("model=res2net50 att=triplet data=imagenet", 25_703_920, None),
    ("model=res2net50 att=none data=imagenet model.scale=8 model.base_width=14", 25_059_816, None),
    ("model=resnet18 att=bam data=imagenet width=64", 11_712_503, 1_819_224_000),
    ("model=resnet50 att=step2 data=imagenet", 28_580_264, 4_100_800_360),
    ("model=resnet18 att=step2 data=cifar100 width=64", 11_375_108, 556_901_824),
]


@pytest.mark.parametrize(("words", "params", "macs"), slow_but(COSTS, COSTS[1], COSTS[7], COSTS[-1], COSTS[-3]))
def test_cost_of_cells(words: str, params: int, macs: int | None) -> None:
    counts = cost(resolved(words.split()).config)
    assert counts["params"] == params
    assert macs is None or counts["macs"] == macs


def test_plain_batches_are_not_mixed() -> None:
    assert task().mix() is None
    drawn = task("cutmix=1.0").mix()
    assert (drawn.mixup, drawn.cutmix) == (0.0, 1.0)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    random = np.random.RandomState(0)
    for part in ("train", "val"):
        for name, colour in (("blue", 0), ("red", 2)):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            for number in range(16):
                image = random.randint(0, 120, (40, 48, 3))
                image[..., colour] += 120
                assert cv2.imwrite(str(tmp_path / "set" / part / name / f"{number}.jpg"), image.astype(np.uint8))
    return tmp_path / "set"


@pytest.mark.slow
def test_the_van_recipe_trains_on_a_folder(photos: Path, train: Train) -> None:
    result = train(
        "recipe=van",
        "data=imagefolder",
        f"data.root={photos}",
        "data.size=16",
        "data.stored=20",
        "batch_size=8",
        "trainer.max_epochs=2",
        "trainer.threads=1",
        "trainer.accelerator=cpu",
        "att=ca",
        "att.record=true",
        "data.flip=0.5",
        "optim.warmup=0",
        tiny=False,
    )
    assert "state" not in result, result
    assert result["config"]["data"]["resized_crop"] == 0.08
    assert result["config"]["data"]["rand_augment"] == 9
    assert result["config"]["task"]["cutmix"] == 1.0
    assert result["config"]["trainer"]["ema"] == 0.9998
    assert result["samples_seen"] > 0
    assert (result["path"] / "attention.png").exists()
    pictures = {path.name for path in result["path"].glob("*.png")}
    assert ("confident.png" in pictures) == (result["test"]["top1"] > 0)
    assert ("mistakes.png" in pictures) == (result["test"]["top1"] < 100)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=imagefolder", "data.size=64", "data.stored=32"], "stored=32: has to be at least size=64"),
        (["data=imagefolder", "data.decode=cache", "data.workers=2"], "it needs data.decode=auto|workers"),
        (["data=imagefolder", "data.rand_augment=11"], "between 0 and 10"),
        (["data=where", "data.size=12"], "at least 4 pixels a cell"),
        (["data=where", "data.grid=6", "data.held=30"], "one image a class"),
        (["model=van_b0", "att=triplet", "kernel_size=7"], "both take it"),
        (["model=resnet18", "mixup=-1"], "at least 0"),
    ],
)
def test_contradictions_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(words)


def test_timm_has_to_be_installed() -> None:
    import importlib.util

    if importlib.util.find_spec("timm"):
        pytest.skip("timm is installed")
    with pytest.raises(ConfigError, match="timm is not installed"):
        resolved(["model=resnet18", "init=timm"])
