"""Lanes in your own images: ``exp predict task=lane ckpt=CELL/best.ckpt images/``.

For each image OUT/NAME.lines.txt (CULane's format, pixels of the image) and OUT/NAME.overlay.png. Options: ``out``
(predictions), ``temperature`` (0: greedy), ``seed`` (0), ``batch_size`` (16), ``prompts``, a folder of NAME.lines.txt
with known points of some lanes, which are kept while the model writes the rest.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from exp.data.decode import ENDINGS, read_colour
from exp.data.files import distinct_names
from exp.data.source import DataError
from exp.data.text import natural
from exp.metrics.pictures import write_image
from exp.options.errors import ConfigError, nearest
from exp.tasks.checkpoint import load_task
from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.data.lines import ENDING, LabelReport, clean, read_lines, write_lines
from exp.tasks.lane.data.view import View
from exp.tasks.lane.module import CELL, Lane
from exp.tasks.lane.pictures import draw_lanes

OPTIONS = ("ckpt", "out", "temperature", "seed", "batch_size", "prompts")


def predict(options: dict[str, str], paths: Sequence[Path]) -> int:
    """Writes lanes and overlays, and returns the exit code: 0, or 1 where some images could not be read.

    Args:
        options: See the module's docstring.
        paths: Images, or folders of images.

    Raises:
        ConfigError: An option is missing, unknown or of the wrong type.
        DataError: There are no images, or a prompt is damaged.
    """
    unknown = [name for name in options if name not in OPTIONS]
    if unknown:
        raise ConfigError(f"{unknown[0]}: no such option{nearest(unknown[0], OPTIONS)}; there are {', '.join(OPTIONS)}")
    temperature = _number(options, "temperature", 0.0, float)
    seed = _number(options, "seed", 0, int)
    batch_size = _number(options, "batch_size", 16, int)
    if temperature < 0 or batch_size < 1:
        raise ConfigError("temperature has to be at least 0 and batch_size at least 1")
    listed = dict(_images(paths))
    images = list(zip(listed, distinct_names(list(listed), list(listed.values())), strict=True))
    if not images:
        raise DataError(f"no images ({', '.join(ENDINGS)}) in {', '.join(map(str, paths)) or 'nothing: name a folder'}")
    out = _out_folder(options)
    prompts = _prompts_folder(options)
    task = cast(Lane, load_task(options.get("ckpt"), "lane"))
    generator = torch.Generator().manual_seed(seed) if temperature else None
    damaged = 0
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        decoded = list(_decoded(batch))
        damaged += len(batch) - len(decoded)
        if decoded:
            known = [_prompt(prompts, name) for name, _ in decoded]
            pictures = [picture for _, picture in decoded]
            views = [fitted(task.codec.view, picture) for picture in pictures]
            lanes = lanes_of(task, pictures, views, known, temperature, generator)
            for (name, picture), some in zip(decoded, lanes, strict=True):
                write_lines(out / (name + ENDING), some)
                _draw(out / f"{name}.overlay.png", picture, some)
    print(f"{len(images) - damaged} images, lanes and overlays in {out}")
    if damaged:
        print(f"{damaged} images could not be read", file=sys.stderr)
    return 1 if damaged else 0


def lanes_of(
    task: Lane,
    pictures: Sequence[np.ndarray],
    views: Sequence[View],
    prompts: Sequence[Sequence[np.ndarray]],
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> list[list[np.ndarray]]:
    """Returns the lanes of a batch of pictures, (points, 2) of (x, y) each, in the pixels of each picture.

    Args:
        task: A lane task with its weights.
        pictures: uint8 (H, W, 3) each, RGB.
        views: How each becomes a network input.
        prompts: Known points of some lanes of each, (points, 2) in its pixels; empty where there are none.
        temperature: 0 for greedy decoding.
        generator: Generator of the draws at a temperature above 0.
    """
    codecs = [LaneCodec(view, task.config.task) for view in views]
    mean = torch.as_tensor(task.config.data.mean, dtype=torch.float32).view(-1, 1, 1) * 255
    std = torch.as_tensor(task.config.data.std, dtype=torch.float32).view(-1, 1, 1) * 255
    inputs = np.stack([view.image(picture) for view, picture in zip(views, pictures, strict=True)])
    filled = torch.from_numpy(np.stack([_filled(view) for view in views]))
    known = torch.from_numpy(np.stack([_known(codec, lanes) for codec, lanes in zip(codecs, prompts, strict=True)]))
    task.eval()
    with torch.inference_mode():
        seen = task.model.see((torch.from_numpy(inputs).float() - mean) / std, filled)
        ids = task.model.generate(
            task.model.remember(seen), temperature=temperature, generator=generator, prompt=known
        ).numpy()
    return [codec.decode(table) for codec, table in zip(codecs, ids, strict=True)]


def fitted(view: View, picture: np.ndarray) -> View:
    """Returns the view of a picture that may have another size: cut at the same share of its height."""
    height, width = picture.shape[:2]
    if (height, width) == (view.image_height, view.image_width):
        return view
    return replace(
        view, image_height=height, image_width=width, crop_top=round(view.crop_top * height / view.image_height)
    )


def _number(options: dict[str, str], name: str, default: Any, kind: type) -> Any:
    try:
        return kind(options.get(name, default))
    except ValueError:
        raise ConfigError(f"{name}={options[name]}: expected {kind.__name__}") from None


def _images(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yields images, each with its name without ending, relative to the folder that was given."""
    for path in paths:
        if path.is_dir():
            for file in sorted(path.rglob("*"), key=lambda file: natural(file.as_posix())):
                if file.suffix.lower() in ENDINGS and not file.name.endswith(".overlay.png"):
                    yield file, file.relative_to(path).with_suffix("").as_posix()
        elif path.exists():
            yield path, path.stem
        else:
            raise DataError(f"{path}: no such image or folder")


def _out_folder(options: dict[str, str]) -> Path:
    out = Path(options.get("out", "predictions"))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"out={out}: not empty, and old predictions must not mix with new ones; name another folder")
    return out


def _prompts_folder(options: dict[str, str]) -> Path | None:
    prompts = Path(options["prompts"]) if "prompts" in options else None
    if prompts is not None and not prompts.is_dir():
        raise ConfigError(f"prompts={prompts}: no such folder")
    return prompts


def _decoded(images: Sequence[tuple[Path, str]]) -> Iterator[tuple[str, np.ndarray]]:
    """Yields name and uint8 (H, W, 3) pixels of the images that can be read, and prints an error for the others."""
    for path, name in images:
        try:
            yield name, read_colour(path)
        except DataError as error:
            print(f"exp predict: {error}", file=sys.stderr)


def _prompt(folder: Path | None, name: str) -> list[np.ndarray]:
    path = None if folder is None else folder / (name + ENDING)
    return [] if path is None or not path.exists() else read_lines(path)


def _filled(view: View) -> np.ndarray:
    """Returns bool (H / 8, W / 8), true where a cell's middle is inside the image."""
    rows, columns = view.filled
    ys, xs = ((np.arange(side // CELL) + 0.5) * CELL for side in (view.height, view.width))
    return (ys[:, None] < rows) & (xs[None] < columns)


def _known(codec: LaneCodec, lanes: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the tokens of the known points, int64 (slots, rows), -1 at all other rows."""
    kept = clean(lanes, codec.view.image_width, LabelReport())
    ids = codec.encode([codec.view.to_input(lane) for lane in kept]).ids
    return np.where(ids > 0, ids, -1)


def _draw(path: Path, picture: np.ndarray, lanes: Sequence[np.ndarray]) -> None:
    canvas = np.ascontiguousarray(picture[..., ::-1])
    draw_lanes(canvas, lanes)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, canvas)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); give another place with out=") from error
