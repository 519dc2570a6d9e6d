"""Who walks in these clips? ``exp predict task=gait ckpt=CELL/best.ckpt [gallery=PATH] CLIP ...``

A clip is a folder of silhouettes or an .npz file with one uint8 array (T, H, W). Each is embedded, and a gallery
ranked by distance: ``gallery`` is a features.npz that a cell has left (``task.save_features=true``), or a folder of
clips, each named by its folder or file; without it, the normal walks of the cell's own test part. ``format=json``
prints one object a clip.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from exp.data.decode import ENDINGS
from exp.data.source import unreadable
from exp.data.text import natural
from exp.options.errors import ConfigError, DataError, nearest
from exp.tasks.checkpoint import load_task
from exp.tasks.gait.data.silhouette import aligned, read_silhouette, spread
from exp.tasks.gait.metrics.casia_b import GALLERY, ProtocolError, distances, load, part_major

if TYPE_CHECKING:
    from exp.tasks.gait.module import Gait

SHOWN = 5
"""Gallery walks that are listed for a clip."""
_OPTIONS = ("ckpt", "gallery", "format")


def predict(options: dict[str, str], files: Sequence[Path]) -> int:
    """Prints the nearest gallery walks of each clip and returns the exit code.

    Args:
        options: ``ckpt``, ``gallery`` and ``format``.
        files: Clips.

    Raises:
        ConfigError: An option is unknown or wrong, or there is no clip.
        DataError: A clip or the gallery cannot be read.
    """
    unknown = [name for name in options if name not in _OPTIONS]
    if unknown:
        raise ConfigError(
            f"{unknown[0]}: no such option{nearest(unknown[0], _OPTIONS)}; there are {', '.join(_OPTIONS)}"
        )
    form = options.get("format", "text")
    if form not in ("text", "json"):
        raise ConfigError(f"format={form}: not one of text, json")
    if not files:
        raise ConfigError("give clips: folders of silhouettes or .npz files with one array (T, H, W)")
    task = cast("Gait", load_task(options.get("ckpt"), "gait"))
    for entry in search(task, files, options.get("gallery")):
        if form == "json":
            print(json.dumps(entry))
            continue
        print(f"{entry['clip']} ({entry['frames']} frames)")
        for place, walk in enumerate(entry["nearest"], 1):
            print(f"  {place}. {walk['name']}  {walk['distance']:.4f}")
    return 0


def search(task: Gait, probes: Sequence[Path], gallery: str | None) -> list[dict[str, Any]]:
    """Returns the nearest gallery walks of each clip.

    Each clip has a dictionary of ``clip``, ``frames`` and ``nearest``: ``name`` and ``distance``, nearest first.

    Args:
        task: The task with its tested weights.
        probes: Clips.
        gallery: A features.npz or a folder of clips; None for the task's own test part.

    Raises:
        DataError: A clip or the gallery cannot be read, or does not fit the net.
    """
    size = task.source.shape[1:]
    clips = [read_clip(path, size) for path in probes]
    lengths = {len(frames) for frames in clips}
    fixed = task.config.task.test_frames
    if fixed != "all" and min(lengths) < fixed:
        raise DataError(f"a clip of {min(lengths)} frames, but the net was tested with {fixed} (test_frames)")
    vectors = np.stack([embed(task, frames) for frames in clips])
    names, entries = _gallery(task, gallery)
    if entries.shape[1:] != vectors.shape[1:]:
        raise DataError(f"gallery={gallery}: features of {entries.shape[1:]}, but the net makes {vectors.shape[1:]}")
    metric = task.config.task.metric
    parts = part_major(np.concatenate([vectors, entries]), metric)
    between = distances(parts, np.arange(len(vectors)), np.arange(len(vectors), len(vectors) + len(entries)), metric)
    found = []
    for path, frames, row in zip(probes, clips, between, strict=True):
        order = np.argsort(row, kind="stable")[:SHOWN].tolist()
        listed = [{"name": names[place], "distance": round(float(row[place]), 4)} for place in order]
        found.append({"clip": str(path), "frames": len(frames), "nearest": listed})
    return found


def embed(task: Gait, frames: np.ndarray) -> np.ndarray:
    """Returns the embedding (c, p) of a clip uint8 (T, H, W), of which as many frames count as in the task's test."""
    import torch

    wanted = task.config.task.test_frames
    kept = frames[: task.config.data.max_frames if wanted == "all" else wanted]
    walk = torch.from_numpy(kept).float().div_(255).to(task.device)
    with torch.inference_mode():
        return task(walk, [len(walk)]).embedding[0].float().cpu().numpy()


def read_clip(path: Path, size: tuple[int, int]) -> np.ndarray:
    """Returns silhouettes aligned to the net's size, uint8 (T, H, W); frames without a person are left out.

    Args:
        path: A folder of images, taken in the order of their numbers, or an .npz file with one array.
        size: (H, W) of the net's frames.

    Raises:
        DataError: There is nothing there, it is damaged, or no frame shows a person.
    """
    if path.is_dir():
        images = (file for file in path.iterdir() if file.suffix.lower() in ENDINGS and not file.name.startswith("."))
        files = sorted(images, key=lambda file: natural(file.name))
        if not files:
            raise DataError(f"{path}: no images ({', '.join(ENDINGS)}) in this folder")
        raw = [read_silhouette(file) for file in files]
    else:
        raw = list(_array(path))
    height, width = size
    found = [frame for frame in (aligned(np.ascontiguousarray(frame), height) for frame in raw) if frame is not None]
    if not found:
        raise DataError(f"{path}: no frame shows a person (fewer than about 40 white pixels in each)")
    cut = (height - width) // 2
    return np.stack(found)[:, :, cut : cut + width]


def _array(path: Path) -> np.ndarray:
    """Returns the one array (T, H, W) of an .npz file, as uint8."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if len(file.files) != 1:
                raise DataError(f"{path}: expected one array (T, H, W), it holds {', '.join(file.files) or 'none'}")
            frames = file[file.files[0]]
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not an .npz file of a plain array ({error})") from None
    if frames.dtype == bool:
        frames = frames.astype(np.uint8) * np.uint8(255)
    if frames.ndim != 3 or frames.dtype != np.uint8 or not len(frames):
        raise DataError(f"{path}: expected uint8 (T, H, W), got {frames.dtype} {frames.shape}")
    return spread(frames)


def _gallery(task: Gait, wanted: str | None) -> tuple[list[str], np.ndarray]:
    """Returns the names and embeddings (g, c, p) of the gallery."""
    if wanted is None:
        clips = task.clips("test")
        assert clips is not None
        rows = np.flatnonzero(np.isin(clips.types, GALLERY)).tolist()
        names = [f"{clips.ids[row]} {clips.types[row]} {clips.views[row]}" for row in rows]
        return names, np.stack([embed(task, clips.read(row)) for row in rows])
    if wanted.endswith(".npz"):
        try:
            arrays = load(Path(wanted))
        except ProtocolError as error:
            raise DataError(f"gallery: {error}") from None
        labels = zip(arrays["ids"].tolist(), arrays["types"].tolist(), arrays["views"].tolist(), strict=True)
        return [" ".join(map(str, label)) for label in labels], arrays["features"].astype(np.float32)
    folder = Path(wanted)
    clips_there = sorted(path for path in folder.glob("*") if path.is_dir() or path.suffix == ".npz")
    if not clips_there:
        raise DataError(f"gallery={wanted}: no clips (folders of silhouettes, .npz files) in this folder")
    size = task.source.shape[1:]
    return [path.name for path in clips_there], np.stack([embed(task, read_clip(path, size)) for path in clips_there])
