"""Pictures of a classifier: its confusion matrix, its accuracy over the epochs, its most confident answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_TILE = 116  # pixels of a tile of the contact sheet, of which the face takes 96
_FACE = 96
_ROW = 10
_COARSE = 64  # pixels of a side below which an image is shown with its pixels as squares
_LONGEST = 24  # letters of a class name beside a confusion matrix
_LETTERS = 17  # that fit below a tile


def draw_confusion(path: Path, confusion: Sequence[Sequence[int]], class_names: Sequence[str]) -> None:
    """Draws a confusion matrix with rows normalised to percent.

    Args:
        path: The PNG file.
        confusion: (C, C) counts, row = label.
        class_names: C names.
    """
    figure, axes = _figure(6.4, 5.6)
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in class_names]
    side = 0.3 + 0.075 * max(map(len, names))  # inches; to measure them is to draw twice, which takes half a second
    figure.subplots_adjust((side + 0.8) / 6.4, (0.7 * side + 0.4) / 5.6, 0.98, 0.94)
    counts = np.asarray(confusion, dtype=float)
    support = counts.sum(1)
    shares = 100 * counts / np.maximum(support, 1)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.argwhere(counts):  # an empty field says 0 by its colour
        colour = "white" if shares[row, column] > 55 else "black"
        axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)
    # Ticks take matplotlib a third of the time; texts in their places do not.
    axes.set_axis_off()
    gap = 0.012 * len(names)
    for place, (name, n) in enumerate(zip(names, support, strict=True)):
        axes.text(
            place, len(names) - 0.5 + gap, name, rotation=40, ha="right", va="top", rotation_mode="anchor", fontsize=10
        )
        axes.text(-0.5 - gap, place, f"{name} ({int(n)})", ha="right", va="center", fontsize=10)
    figure.text(0.5, 0.01, "prediction", ha="center", va="bottom")
    figure.text(0.01, 0.5, "label (samples)", rotation=90, ha="left", va="center")
    axes.set_title("Row-normalised confusion matrix, %")
    _save(figure, path)


def draw_curves(path: Path, curve: Sequence[dict[str, Any]], title: str) -> None:
    """Draws training and validation accuracy over the epochs.

    Args:
        path: The PNG file.
        curve: For each epoch, ``epoch`` (from 0 on), ``train_top1`` and ``val_top1`` in percent, None where not
            measured.
        title: Line above the picture.
    """
    figure, axes = _figure(6.4, 4.2)
    figure.subplots_adjust(0.1, 0.12, 0.98, 0.88)
    epochs = [point["epoch"] + 1 for point in curve]
    for name, label in (("train_top1", "training, as seen"), ("val_top1", "validation")):
        values = [np.nan if point[name] is None else point[name] for point in curve]
        axes.plot(epochs, values, marker="o", markersize=3, label=label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy, %")
    axes.set_title(title, fontsize=8, wrap=True)
    axes.grid(alpha=0.3)
    axes.legend()
    _save(figure, path)


def worst_mistakes(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Returns the wrong answers whose probability exceeds the right one's by most.

    Args:
        labels: int64 (N,).
        probabilities: float (N, C).
        count: Most of them.

    Returns:
        int64, row numbers, the worst first; equally bad ones in their order.
    """
    right = probabilities[np.arange(len(labels)), labels]
    margin = probabilities.max(1) - right
    wrong = np.flatnonzero(probabilities.argmax(1) != labels)
    return wrong[np.argsort(-margin[wrong], kind="stable")][:count]


def surest_answers(labels: np.ndarray, probabilities: np.ndarray, count: int) -> np.ndarray:
    """Returns the right answers of the highest probability, in the form of ``worst_mistakes``."""
    right = np.flatnonzero(probabilities.argmax(1) == labels)
    return right[np.argsort(-probabilities.max(1)[right], kind="stable")][:count]


def draw_answers(path: Path, images: Sequence[np.ndarray], captions: Sequence[tuple[str, str]]) -> None:
    """Draws a contact sheet of images with two short lines below each; nothing where there are none.

    Args:
        path: The PNG file.
        images: uint8 (H, W), or (H, W, 3) in RGB.
        captions: The lines of each; what does not fit below its image is cut.

    Raises:
        OSError: The file cannot be written.
    """
    import cv2

    if not images:
        return
    rows = -(-len(images) // _ROW)
    sheet = np.full((rows * (_TILE + 14), min(len(images), _ROW) * _TILE, 3), 255, dtype=np.uint8)
    for place, (image, lines) in enumerate(zip(images, captions, strict=True)):
        top, left = place // _ROW * (_TILE + 14) + 4, place % _ROW * _TILE + (_TILE - _FACE) // 2
        pixels = np.ascontiguousarray(image if image.ndim == 3 else np.stack([image] * 3, 2))
        height, width = (max(1, round(side * _FACE / max(pixels.shape[:2]))) for side in pixels.shape[:2])
        way = cv2.INTER_NEAREST if max(pixels.shape[:2]) < _COARSE else cv2.INTER_AREA
        sheet[top : top + height, left : left + width] = cv2.resize(pixels, (width, height), interpolation=way)
        for number, text in enumerate(lines):
            spot = (left, top + _FACE + 12 + 12 * number)
            ascii_text = text.encode("ascii", "replace").decode()[:_LETTERS]
            cv2.putText(sheet, ascii_text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    write_image(path, sheet[:, :, ::-1])


def write_image(path: Path, pixels: np.ndarray, *flags: int) -> None:
    """Writes an image in the format that the file's name says; OpenCV's own writer does not say why it failed.

    Args:
        path: The file.
        pixels: uint8 (H, W), or (H, W, 3) in BGR.
        flags: OpenCV's flags of the encoder, each followed by its value.

    Raises:
        OSError: The file cannot be written.
    """
    import cv2

    _, encoded = cv2.imencode(path.suffix, pixels, flags)
    path.write_bytes(encoded.tobytes())


def caption(label: str, answer: str, probability: float) -> tuple[str, str]:
    """Returns the lines below an image: its label with the answer's probability in percent, and a wrong answer."""
    sure = f"{100 * probability:.0f} %"
    return (label, sure) if label == answer else (f"{label} >", f"{answer[: _LETTERS - 8]} ({sure})")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110)
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, pil_kwargs={"compress_level": 1})
