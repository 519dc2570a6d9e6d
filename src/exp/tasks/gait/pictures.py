"""Pictures of a gait test: what the walks look like, which angles are found from which, and one search."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exp.tasks.gait.metrics.casia_b import GALLERY, PROBES, Condition, distances
from exp.tasks.gait.options import Metric

_SHOWN = 10
"""Frames of a strip."""
_EXTREMES = 4
"""Probes on a picture of the worst, or the best."""
_NAMES = {"nm": "normal", "bg": "bag", "cl": "coat"}


def strip(frames: np.ndarray, count: int = _SHOWN) -> np.ndarray:
    """Returns evenly spread frames of a clip, uint8 (T, H, W), side by side: (H, count * W)."""
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return np.concatenate(list(frames[chosen]), axis=1)


def draw_conditions(path: Path, strips: dict[str, np.ndarray]) -> None:
    """Draws a row of silhouettes a condition.

    Args:
        path: The PNG file.
        strips: By name, uint8 (H, W) each.
    """
    figure, rows = _figure(10, 1.15 * len(strips), len(strips), 1)
    for axes, (name, image) in zip(rows, strips.items(), strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
        _bare(axes)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    _save(figure, path)


def draw_views(path: Path, conditions: dict[str, Condition]) -> None:
    """Draws the rank-1 of every pair of probe and gallery angle as a heat map a condition.

    Args:
        path: The PNG file.
        conditions: nm, bg and cl, where there are such probes.
    """
    figure, panels = _figure(4.2 * len(conditions), 4.3, 1, len(conditions))
    for axes, (name, condition) in zip(panels, conditions.items(), strict=True):
        matrix = condition.matrices["r1"]
        off = np.where(np.eye(len(matrix), dtype=bool), np.nan, matrix)
        axes.imshow(np.ma.masked_invalid(off), cmap="viridis", vmin=0, vmax=100)
        for row, column in np.ndindex(off.shape):
            if not np.isnan(off[row, column]):
                colour = "black" if off[row, column] > 60 else "white"
                axes.text(column, row, f"{off[row, column]:.0f}", ha="center", va="center", color=colour, fontsize=7)
        places = range(len(condition.views))
        axes.set_xticks(places, condition.views, fontsize=7, rotation=60)
        axes.set_yticks(places, condition.views, fontsize=7)
        axes.set_xlabel("gallery angle")
        axes.set_ylabel("probe angle")
        axes.set_title(f"{_NAMES[name]}: rank-1 {condition.scores['r1']:.1f} %, same angle left out", fontsize=9)
    _save(figure, path)


def draw_search(path: Path, probe: tuple[str, np.ndarray], found: Sequence[tuple[str, bool, np.ndarray]]) -> None:
    """Draws a probe and its nearest gallery walks, right ones in green.

    Args:
        path: The PNG file.
        probe: Its name and strip.
        found: Name, whether it is the right person, and strip of each, nearest first.
    """
    figure, rows = _figure(10, 1.15 * (len(found) + 1), len(found) + 1, 1)
    entries = [(f"probe\n{probe[0]}", "black", probe[1])]
    entries += [
        (f"{place}. {name}", "tab:green" if right else "tab:red", image)
        for place, (name, right, image) in enumerate(found, 1)
    ]
    for axes, (name, colour, image) in zip(rows, entries, strict=True):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
        _bare(axes)
        for side in axes.spines.values():
            side.set(color=colour, linewidth=2)
        axes.set_ylabel(name, rotation=0, ha="right", va="center", color=colour, fontsize=8)
    _save(figure, path)


def example_probe(ids: np.ndarray, types: np.ndarray, views: np.ndarray) -> tuple[int, np.ndarray] | None:
    """Returns a walk in a coat from a middle angle and the gallery walks of other angles, None where there is none.

    Without a coat it is a walk with a bag, else a normal one; all walks are numbers.

    Args:
        ids: (n,) persons.
        types: (n,) walks.
        views: (n,) angles.
    """
    middle = sorted(set(views.tolist()))[len(set(views.tolist())) // 2]
    for kinds in (PROBES["cl"], PROBES["bg"], PROBES["nm"]):
        probes = np.flatnonzero(np.isin(types, kinds) & (views == middle))
        gallery = np.flatnonzero(np.isin(types, GALLERY) & (views != middle))
        if len(probes) and len(gallery):
            return int(probes[0]), gallery
    return None


def extreme_probes(
    parts: np.ndarray, ids: np.ndarray, types: np.ndarray, views: np.ndarray, metric: Metric
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int, int]]]:
    """Returns the probes of the middle angle that are found worst and best, among walks of other angles.

    That is by how much farther away the nearest walk of the same person is than the nearest one of another.

    Args:
        parts: Embeddings, see ``exp.tasks.gait.metrics.casia_b.part_major``.
        ids: (n,) persons.
        types: (n,) walks.
        views: (n,) angles.
        metric: Distance of two walks.

    Returns:
        Probe, nearest walk of the same person, and nearest of another, of each; the most extreme first.
    """
    middle = sorted(set(views.tolist()))[len(set(views.tolist())) // 2]
    probes = np.flatnonzero(np.isin(types, [kind for kinds in PROBES.values() for kind in kinds]) & (views == middle))
    gallery = np.flatnonzero(np.isin(types, GALLERY) & (views != middle))
    same = ids[probes][:, None] == ids[gallery]
    probes, same = probes[same.any(1) & ~same.all(1)], same[same.any(1) & ~same.all(1)]
    if not len(probes):
        return [], []
    between = distances(parts, probes, gallery, metric)
    own, other = np.where(same, between, np.inf), np.where(same, np.inf, between)
    order = np.argsort(own.min(1) - other.min(1), kind="stable")
    cases = [(int(probes[n]), int(gallery[own[n].argmin()]), int(gallery[other[n].argmin()])) for n in order]
    return cases[::-1][:_EXTREMES], cases[:_EXTREMES]


def draw_probes(path: Path, cases: Sequence[Sequence[tuple[str, np.ndarray]]]) -> None:
    """Draws probes, each beside the nearest walk of the same person and of another; nothing where there are none.

    Args:
        path: The PNG file.
        cases: Name and strip of each probe and of those two walks.
    """
    if not cases:
        return
    figure, panels = _figure(12, 1.35 * len(cases), len(cases), 3)
    heads = ("probe", "nearest of the same person", "nearest of another")
    for place, axes in enumerate(panels):
        name, image = cases[place // 3][place % 3]
        axes.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest", aspect="equal")
        _bare(axes)
        axes.set_title(f"{heads[place % 3]}: {name}", fontsize=8)
    _save(figure, path)


def _figure(width: float, height: float, rows: int, columns: int) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((width, height))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)  # inches, so that titles keep off the edge
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False).ravel()


def _bare(axes: Any) -> None:
    axes.set_xticks([])
    axes.set_yticks([])


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110)
