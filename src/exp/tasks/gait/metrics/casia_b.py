"""CASIA-B: who walks here? Rank-1 of normal, bag and coat probes against normal walks seen from other angles.

Protocol (Yu et al., ICPR 2006, in the form used since GaitSet, AAAI 2019): the gallery is nm-01 to nm-04, the probes
are nm-05/06 (NM), bg-01/02 (BG) and cl-01/02 (CL). Each pair of a probe angle and a gallery angle is a search of its
own; pairs of the same angle are left out; a probe angle's score is the mean over the other gallery angles, a
condition's score the mean over its probe angles.

The stricter cross-view protocol: probes nm-01, bg-01 and cl-01 against nm-02, bg-02 and cl-02 of all angles at once,
entries of the probe's own person and angle left out; as one search, and of each kind of probe alone as in OpenGait.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from exp.tasks.gait.options import Metric

METRICS: tuple[Metric, ...] = get_args(Metric)
GALLERY = ("nm-01", "nm-02", "nm-03", "nm-04")
PROBES = {"nm": ("nm-05", "nm-06"), "bg": ("bg-01", "bg-02"), "cl": ("cl-01", "cl-02")}
CROSS_PROBE = ("nm-01", "bg-01", "cl-01")
CROSS_GALLERY = ("nm-02", "bg-02", "cl-02")
KINDS = ("r1", "r5", "map", "minp")
"""Scores of every angle pair: rank-1, rank-5, mean average precision and mean inverse negative penalty."""
_ROWS = 512
"""Probes of a block of the distance matrix."""


class ProtocolError(ValueError):
    """The features do not fit the protocol; the message is one line: what, where, what to do."""


@dataclass(frozen=True)
class Condition:
    """Scores of one kind of probe, in percent; NaN where a cell has no probe or no gallery entry.

    Attributes:
        views: The angles, ascending, of rows (probe) and columns (gallery).
        matrices: (v, v) for each of r1, r5, map, minp.
        per_view: (v,) for each: mean of a row without its diagonal.
        scores: The headline for each: mean of ``per_view``.
    """

    views: tuple[str, ...]
    matrices: dict[str, np.ndarray]
    per_view: dict[str, np.ndarray]
    scores: dict[str, float]


@dataclass(frozen=True)
class Report:
    """All scores of a set of features.

    Attributes:
        conditions: nm, bg and cl, where there are such probes.
        cross: r1, map and minp of the stricter cross-view protocol; empty where its sequences are missing.
        cross_conditions: The same of each kind of probe alone, as the mean over the probes' angles.
        missing: Conditions without probes.
    """

    conditions: dict[str, Condition]
    cross: dict[str, float]
    cross_conditions: dict[str, dict[str, float]]
    missing: tuple[str, ...]

    def scores(self) -> dict[str, float]:
        """Returns ``nm_r1``, ``bg_r1``, ``cl_r1``, ``mean_r1``, then the other scores and the stricter protocol's."""
        found = {f"{name}_r1": condition.scores["r1"] for name, condition in self.conditions.items()}
        found["mean_r1"] = float(np.mean(list(found.values())))
        for score in KINDS[1:]:
            found |= {f"{name}_{score}": condition.scores[score] for name, condition in self.conditions.items()}
        for name, scores in self.cross_conditions.items():
            found |= {f"cross_{name}_{score}": value for score, value in scores.items()}
        return found | {f"cross_{score}": value for score, value in self.cross.items()}


def evaluate(
    features: np.ndarray,
    ids: Sequence[Any] | np.ndarray,
    types: Sequence[str] | np.ndarray,
    views: Sequence[Any] | np.ndarray,
    *,
    metric: Metric = "euclidean",
    rounding: bool = False,
) -> Report:
    """Scores the features of a test set.

    Args:
        features: (n, c, p) one vector of c numbers for each of p parts, float.
        ids: (n,) persons.
        types: (n,) walks: nm-01 to nm-06, bg-01, bg-02, cl-01, cl-02.
        views: (n,) angles, such as 090.
        metric: Distance of two walks: Euclidean or one minus cosine, of each part, averaged over the parts.
        rounding: Whether each angle pair is rounded to two decimals before it is averaged, as published.

    Raises:
        ProtocolError: Shapes disagree, numbers are not finite, or there is no gallery or no probe.
    """
    features, ids, types, views = _checked(features, ids, types, views)
    if metric not in METRICS:
        raise ProtocolError(f"metric={metric}: not one of {', '.join(METRICS)}")
    parts = part_major(features, metric)
    names = tuple(sorted(set(views.tolist())))
    gallery = np.flatnonzero(np.isin(types, GALLERY))
    if not len(gallery):
        raise ProtocolError(f"no gallery: none of the {len(types)} walks is of type {', '.join(GALLERY)}")
    conditions = {}
    for condition, kinds in PROBES.items():
        probe = np.flatnonzero(np.isin(types, kinds))
        if len(probe):
            between = distances(parts, probe, gallery, metric)
            matrices = _matrices(between, ids[probe], views[probe], ids[gallery], views[gallery], names)
            conditions[condition] = _summed(names, matrices, rounding)
    if not conditions:
        raise ProtocolError("no probe: none of the walks is of type " + ", ".join(sum(PROBES.values(), ())))
    missing = tuple(name for name in PROBES if name not in conditions)
    cross, by_condition = _cross_view(parts, ids, types, views, metric)
    return Report(conditions, cross, by_condition, missing)


def distances(parts: np.ndarray, rows: np.ndarray, columns: np.ndarray, metric: Metric) -> np.ndarray:
    """Returns the distances of walks averaged over the parts, float32 (r, k).

    Args:
        parts: (p, n, c) features, part by part; of length 1 where the metric is cosine.
        rows: (r,) walk numbers.
        columns: (k,) walk numbers.
        metric: See ``evaluate``.
    """
    total = np.zeros((len(rows), len(columns)), dtype=np.float32)
    for part in parts:
        right = part[columns]
        squares = (right * right).sum(1)
        for low in range(0, len(rows), _ROWS):
            left = part[rows[low : low + _ROWS]]
            product = left @ right.T
            if metric == "cosine":
                total[low : low + _ROWS] += 1 - product
                continue
            product *= -2
            product += (left * left).sum(1)[:, None]
            product += squares
            np.maximum(product, 0, out=product)
            total[low : low + _ROWS] += np.sqrt(product, out=product)
    total /= len(parts)
    return total


def _checked(features: Any, ids: Any, types: Any, views: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    features = np.asarray(features)
    if features.ndim != 3 or not np.issubdtype(features.dtype, np.floating) or 0 in features.shape:
        raise ProtocolError(f"features: expected floats (n, c, p), got {features.dtype} {features.shape}")
    if not np.isfinite(features).all():
        raise ProtocolError(f"features: {int((~np.isfinite(features)).any((1, 2)).sum())} walks hold NaN or infinity")
    labels = {"ids": np.asarray(ids), "types": np.asarray(types), "views": np.asarray(views)}
    for name, values in labels.items():
        if values.shape != (len(features),) or values.dtype.kind not in "UiuS":
            raise ProtocolError(
                f"{name}: expected {len(features)} names, one a walk, got {values.dtype} {values.shape}"
            )
    text = {name: _text(values) for name, values in labels.items()}
    width = max(3, max(len(view) for view in text["views"].tolist()))
    return features, text["ids"], text["types"], np.char.zfill(text["views"], width)


def _text(values: np.ndarray) -> np.ndarray:
    return np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values.astype(str)


def part_major(features: np.ndarray, metric: Metric) -> np.ndarray:
    """Returns features (n, c, p) as contiguous float32 (p, n, c), of length 1 for cosine."""
    parts = np.ascontiguousarray(features.transpose(2, 0, 1), dtype=np.float32)
    if metric == "cosine":
        parts /= np.maximum(np.linalg.norm(parts, axis=2, keepdims=True), 1e-12)
    return parts


def _matrices(
    between: np.ndarray,
    probe_ids: np.ndarray,
    probe_views: np.ndarray,
    gallery_ids: np.ndarray,
    gallery_views: np.ndarray,
    names: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """Returns every score of every angle pair, (v, v) each, in percent."""
    found = {score: np.full((len(names), len(names)), np.nan) for score in KINDS}
    rows = [np.flatnonzero(probe_views == name) for name in names]
    for column, name in enumerate(names):
        entries = np.flatnonzero(gallery_views == name)
        if not len(entries):
            continue
        scores = ranked(between[:, entries], probe_ids[:, None] == gallery_ids[entries])
        for row, probes in enumerate(rows):
            if len(probes):
                for score in KINDS:
                    found[score][row, column] = _percent(scores[score][probes])
    return found


def ranked(between: np.ndarray, same: np.ndarray) -> dict[str, np.ndarray]:
    """Returns scores of each probe's ranking, nearest first; of equal distances the earlier gallery entry is nearer.

    Args:
        between: (r, k) distances; infinity leaves an entry out.
        same: (r, k) whether the gallery entry is the probe's person.

    Returns:
        (r,) each, 0 to 1: r1 and r5 (whether the person is among the first 1 and 5), map (average precision) and minp
        (number of right entries over the rank of the last one). For a probe whose person is not in the gallery r1 and
        r5 are 0, and map and minp NaN, which are left out of means, as in OpenGait.
    """
    order = np.argsort(between, axis=1, kind="stable")
    same = same & np.isfinite(between)
    hits = np.take_along_axis(same, order, axis=1)
    rank = np.arange(1, hits.shape[1] + 1)
    count = hits.sum(1)
    precision = (np.cumsum(hits, axis=1) / rank * hits).sum(1)
    last = (hits * rank).max(1)
    return {
        "r1": hits[:, 0].astype(float),
        "r5": hits[:, :5].any(1).astype(float),
        "map": np.where(count > 0, precision / np.maximum(count, 1), np.nan),
        "minp": np.where(count > 0, count / np.maximum(last, 1), np.nan),
    }


def _percent(shares: np.ndarray) -> float:
    """Returns the mean in percent of the shares that are numbers, NaN where none is."""
    return 100 * _average(shares)


def _average(values: np.ndarray) -> float:
    """Returns the mean of the values that are numbers, NaN where none is."""
    numbers = values[~np.isnan(values)]
    return float(numbers.mean()) if len(numbers) else np.nan


def _summed(names: tuple[str, ...], matrices: dict[str, np.ndarray], rounding: bool) -> Condition:
    if rounding:
        matrices = {score: matrix.round(2) for score, matrix in matrices.items()}
    per_view, scores = {}, {}
    for score, matrix in matrices.items():
        other = np.where(np.eye(len(names), dtype=bool), np.nan, matrix)
        if np.isnan(other).all():
            raise ProtocolError(f"views: {', '.join(names)}: no probe has a gallery entry of another angle")
        per_view[score] = _mean(other)
        scores[score] = float(np.nanmean(per_view[score]))
    return Condition(names, matrices, per_view, scores)


def _mean(rows: np.ndarray) -> np.ndarray:
    """Returns the mean of each row over its numbers, NaN where it has none."""
    count = (~np.isnan(rows)).sum(1)
    return np.where(count > 0, np.nansum(rows, axis=1) / np.maximum(count, 1), np.nan)


def _cross_view(
    parts: np.ndarray, ids: np.ndarray, types: np.ndarray, views: np.ndarray, metric: Metric
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Returns the scores of the cross-view protocol, of all probes and of each kind of probe; empty without walks."""
    probe, gallery = np.flatnonzero(np.isin(types, CROSS_PROBE)), np.flatnonzero(np.isin(types, CROSS_GALLERY))
    if not len(probe) or not len(gallery):
        return {}, {}
    between = distances(parts, probe, gallery, metric)
    same = ids[probe][:, None] == ids[gallery]
    between[same & (views[probe][:, None] == views[gallery])] = np.inf
    scores = ranked(between, same)
    kinds = ("r1", "map", "minp")
    by_condition = {}
    for kind in CROSS_PROBE:
        rows = [np.flatnonzero((types[probe] == kind) & (views[probe] == view)) for view in sorted(set(views.tolist()))]
        if any(len(row) for row in rows):
            angles = {score: np.array([_percent(scores[score][row]) for row in rows if len(row)]) for score in kinds}
            by_condition[kind.partition("-")[0]] = {score: _average(values) for score, values in angles.items()}
    return {score: _percent(scores[score]) for score in kinds}, by_condition


def load(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of an .npz file: features (n, c, p), ids, types (such as nm-05) and views (such as 090).

    Raises:
        ProtocolError: The file is missing, damaged, lacks an array or holds Python objects.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            missing = [name for name in ("features", "ids", "types", "views") if name not in found.files]
            if missing:
                raise ProtocolError(f"{path}: lacks {', '.join(missing)}; it holds {', '.join(found.files)}")
            return {name: found[name] for name in ("features", "ids", "types", "views")}
    except OSError as error:
        raise ProtocolError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        if isinstance(error, ProtocolError):
            raise
        raise ProtocolError(f"{path}: not an .npz file of plain arrays ({error})") from None
