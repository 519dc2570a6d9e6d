"""Pictures of a classifier: its confusion matrix, its accuracy over the epochs, its most confident mistakes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_TILE = 116  # pixels of a tile of the contact sheet, of which the face takes 96
_FACE = 96
_ROW = 10


def draw_confusion(path: Path, confusion: Sequence[Sequence[int]], class_names: Sequence[str]) -> None:
    """Draws a confusion matrix with rows normalised to percent.

    Args:
        path: The PNG file.
        confusion: (C, C) counts, row = label.
        class_names: C names.
    """
    figure, axes = _figure(6.4, 5.6)
    counts = np.asarray(confusion, dtype=float)
    support = counts.sum(1)
    shares = 100 * counts / np.maximum(support, 1)[:, None]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    for row, column in np.ndindex(shares.shape):
        colour = "white" if shares[row, column] > 55 else "black"
        axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(class_names)), class_names, rotation=40, ha="right")
    labels = [f"{name} ({int(n)})" for name, n in zip(class_names, support, strict=True)]
    axes.set_yticks(range(len(class_names)), labels)
    axes.set_xlabel("prediction")
    axes.set_ylabel("label (samples)")
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


def draw_mistakes(
    path: Path,
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str],
    count: int,
) -> None:
    """Draws a contact sheet of the worst mistakes, each with "label > prediction" and its probability in percent.

    Args:
        path: The PNG file.
        images: uint8 (N, H, W).
        labels: int64 (N,).
        probabilities: float (N, C).
        class_names: C names.
        count: Most mistakes shown.

    Raises:
        OSError: The file cannot be written.
    """
    import cv2

    chosen = worst_mistakes(labels, probabilities, count)
    rows = max(1, -(-len(chosen) // _ROW))
    sheet = np.full((rows * (_TILE + 14), _ROW * _TILE), 255, dtype=np.uint8)
    for place, row in enumerate(chosen):
        top, left = place // _ROW * (_TILE + 14) + 4, place % _ROW * _TILE + (_TILE - _FACE) // 2
        face = cv2.resize(np.ascontiguousarray(images[row]), (_FACE, _FACE), interpolation=cv2.INTER_CUBIC)
        sheet[top : top + _FACE, left : left + _FACE] = face
        answer = probabilities[row].argmax()
        lines = (f"{class_names[labels[row]]} >", f"{class_names[answer]} {100 * probabilities[row, answer]:.0f}")
        for number, text in enumerate(lines):
            spot = (left, top + _FACE + 12 + 12 * number)
            cv2.putText(sheet, text, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.38, 0, 1, cv2.LINE_AA)
    if not cv2.imwrite(str(path), sheet):
        raise OSError(f"{path}: cannot be written")


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path)
