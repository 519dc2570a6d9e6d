"""What is in these photos, and where attention looks: the task's part of the command ``predict``.

``exp predict task=attention ckpt=CELL/best.ckpt photo.jpg ...`` prints the five likeliest classes of each
photo and writes ``NAME.attention.png`` (the photo, the effect of some blocks over it, Grad-CAM) into ``out`` (the
working directory; where two photos share a name, into folders like theirs). ``format=json`` prints one object a photo;
``maps=false`` writes no pictures. The short side of a photo is resized to the net's size and the centre cut out. A cell
with a block of your own needs ``target=package.module:Class`` again, since the block's code is run.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from exp.cells.files import read_json
from exp.data.decode import read_image
from exp.data.files import distinct_names
from exp.data.source import DataError
from exp.options.errors import ConfigError, nearest
from exp.tasks.attention.module import Attention
from exp.tasks.attention_maps import attention_maps, draw
from exp.tasks.build import attention_class
from exp.tasks.checkpoint import load_task

SHOWN = 5
OPTIONS = ("ckpt", "out", "format", "maps", "target")
CHOICES = {"format": ("text", "json"), "maps": ("true", "false")}
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # how the eye weighs red, green and blue


def predict(options: dict[str, str], paths: Sequence[Path]) -> int:
    """Prints classes and writes maps.

    Args:
        options: See the module's docstring.
        paths: Photos.

    Returns:
        0, or 1 where some photos could not be read.

    Raises:
        ConfigError: An option is unknown or wrong, or there are no photos.
        DataError: No photo could be read.
    """
    _check(options, paths)
    task = cast(Attention, load_task(options.get("ckpt"), "attention"))
    out = Path(options.get("out", "."))
    read, pixels = [], []
    paths = list(dict.fromkeys(paths))
    called = dict(zip(paths, distinct_names(paths, [path.stem for path in paths]), strict=True))
    for path in paths:
        try:
            pixels.append(as_input(path, task.source.shape[0], getattr(task.source, "stored", task.source.shape[1])))
        except DataError as error:
            print(f"exp predict: {error}", file=sys.stderr)
            continue
        read.append(path)
    if not read:
        raise DataError("none of the photos could be read")
    for path, image in zip(read, pixels, strict=True):
        picture = None if options.get("maps") == "false" else out / f"{called[path]}.attention.png"
        likeliest = classify(task, image, picture)
        if options.get("format") == "json":
            maps = None if picture is None else str(picture)
            print(json.dumps({"file": str(path), "classes": likeliest, "maps": maps}))
            continue
        print(path)
        for name, share in likeliest.items():
            print(f"  {name:<24} {100 * share:5.1f} %")
        if picture is not None:
            print(f"  maps in {picture}")
    return 0 if len(read) == len(paths) else 1


def classify(task: Attention, pixels: np.ndarray, picture: Path | None) -> dict[str, float]:
    """Returns the likeliest classes of an image with their probabilities, likeliest first.

    Args:
        task: With its weights.
        pixels: uint8 (C, H, W) of the size at which the task's images are stored.
        picture: Where maps are drawn, None for nowhere.

    Raises:
        ConfigError: The picture cannot be written.
    """
    batch, images = task.seen(pixels[None])
    maps = attention_maps(task.model, images, attention_class(task.config.att))
    shares = maps.logits[0, : task.num_classes].softmax(0)
    names = _names(task)
    best = shares.topk(min(SHOWN, len(shares)))
    likeliest = {names[place]: round(float(share), 6) for share, place in zip(best.values, best.indices, strict=True)}
    if picture is not None:
        try:
            picture.parent.mkdir(parents=True, exist_ok=True)
            draw(picture, batch, maps, [next(iter(likeliest))])
        except OSError as error:
            why = f"cannot be written ({error.strerror}); give another place with out="
            raise ConfigError(f"out={picture.parent}: {why}") from None
    return likeliest


def as_input(path: Path, channels: int, size: int) -> np.ndarray:
    """Returns a photo as uint8 (channels, size, size), in grey where there is one channel.

    Raises:
        DataError: The photo cannot be read.
    """
    image = read_image(path, size)
    if channels == 3:
        return image
    return np.rint(np.tensordot(_GREY, image.astype(np.float32), 1))[None].astype(np.uint8)


def _names(task: Attention) -> list[str]:
    """Returns the classes' names; numbers where neither the checkpoint nor the data set at hand knows them."""
    try:
        names = task.source.class_names
    except DataError:
        names = None
    return names or [str(number) for number in range(task.num_classes)]


def _check(options: dict[str, str], paths: Sequence[Path]) -> None:
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such option{nearest(unknown[0], OPTIONS)}; there are {', '.join(OPTIONS)}")
    for name, allowed in CHOICES.items():
        if options.get(name, allowed[0]) not in allowed:
            raise ConfigError(f"{name}={options[name]}: not one of {', '.join(allowed)}")
    if not paths:
        raise ConfigError("give photos: photo.jpg ...")
    cell: dict[str, Any] = read_json(Path(options.get("ckpt", "")).expanduser().parent / "config.json") or {}
    att = cell.get("config", {}).get("att", {})
    if att.get("name") == "custom" and options.get("target") != att.get("target"):
        raise ConfigError(f"ckpt={options.get('ckpt')}: runs a block of yours; say target={att.get('target')}")
    if att.get("name") != "custom" and "target" in options:
        raise ConfigError(f"target={options['target']}: the checkpoint has no block of yours")
