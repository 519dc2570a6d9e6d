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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
_BLOCK = 1 << 20
"""Entries of a block of the distance matrix, 4 MB: with it the memory is bounded whatever the number of walks."""
_FEW = 8
"""Up to this many right entries a probe, ranks are counted entry by entry; above, distances are sorted."""


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
            matrices = _matrices(parts, ids, views, probe, gallery, names, metric)
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
    blocks = [between for _, between in _blocks(parts, rows, columns, metric)]
    return np.concatenate(blocks) if blocks else np.zeros((0, len(columns)), dtype=np.float32)


def _blocks(
    parts: np.ndarray, rows: np.ndarray, columns: np.ndarray, metric: Metric
) -> Iterator[tuple[slice, np.ndarray]]:
    """Yields the distances of some rows at a time, with their places among the rows.

    A square distance is one scalar product, (a, 1, a^2) (-2 b, b^2, 1), so that no pass over the matrix adds squares.
    """
    right = parts[:, columns]
    if metric == "euclidean":
        squares = np.einsum("pkc,pkc->pk", right, right)[:, :, None]
        right = np.concatenate([-2 * right, squares, np.ones_like(squares)], axis=2)
    step = max(1, min(len(rows), _BLOCK // max(1, len(columns))))
    for low in range(0, len(rows), step):
        at = slice(low, low + step)
        total = np.zeros((len(rows[at]), len(columns)), dtype=np.float32)
        product = np.empty_like(total)
        for part, entries in zip(parts, right, strict=True):
            left = part[rows[at]]
            if metric == "cosine":
                total += np.subtract(1, np.matmul(left, entries.T, out=product), out=product)
                continue
            squares = np.einsum("rc,rc->r", left, left)[:, None]
            np.matmul(np.concatenate([left, np.ones_like(squares), squares], axis=1), entries.T, out=product)
            total += np.sqrt(np.maximum(product, 0, out=product), out=product)
        total /= len(parts)
        yield at, total


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
    parts: np.ndarray,
    ids: np.ndarray,
    views: np.ndarray,
    probe: np.ndarray,
    gallery: np.ndarray,
    names: tuple[str, ...],
    metric: Metric,
) -> dict[str, np.ndarray]:
    """Returns every score of every angle pair, (v, v) each, in percent."""
    gallery = gallery[np.argsort(views[gallery], kind="stable")]  # the entries of an angle side by side
    ends = np.searchsorted(views[gallery], names, side="right").tolist()
    shares = {score: np.full((len(probe), len(names)), np.nan) for score in KINDS}
    for at, between in _blocks(parts, probe, gallery, metric):
        same = ids[probe[at]][:, None] == ids[gallery]
        for column, (low, high) in enumerate(pairwise([0, *ends])):
            if low < high:
                scores = ranked(between[:, low:high], same[:, low:high])
                for score in KINDS:
                    shares[score][at, column] = scores[score]
    found = {score: np.full((len(names), len(names)), np.nan) for score in KINDS}
    for row, name in enumerate(names):
        probes = views[probe] == name
        for column in range(len(names)):
            for score in KINDS:
                found[score][row, column] = _percent(shares[score][probes, column])
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
    ranks = _ranks(between, same & np.isfinite(between))
    count = (ranks > 0).sum(1)
    ranks.sort(axis=1)  # zeros, of probes that have fewer right entries than others, come first
    number = np.arange(ranks.shape[1]) - (ranks.shape[1] - count[:, None]) + 1
    precision = np.where(ranks > 0, number / np.maximum(ranks, 1), 0).sum(1)
    first = np.where(ranks > 0, ranks, between.shape[1] + 1).min(1, initial=between.shape[1] + 1)
    return {
        "r1": (first == 1).astype(float),
        "r5": ((first <= 5) & (count > 0)).astype(float),
        "map": np.where(count > 0, precision / np.maximum(count, 1), np.nan),
        "minp": np.where(count > 0, count / np.maximum(ranks.max(1, initial=0), 1), np.nan),
    }


def _ranks(between: np.ndarray, same: np.ndarray) -> np.ndarray:
    """Returns the rank, from 1, of each right entry of each probe, int (r, m); 0 beyond a probe's right entries.

    Only right entries are looked for: their rank is 1 plus the entries nearer plus the equally near before them.
    """
    row, column = np.nonzero(same)
    count = np.bincount(row, minlength=len(same))
    place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    distance = between[row, column]
    if count.max(initial=0) <= _FEW:
        nearer, equal = np.zeros(len(row), dtype=np.int64), np.zeros(len(row), dtype=np.int64)
        for number in range(count.max(initial=0)):
            those = np.flatnonzero(place == number)
            rows = between if len(those) == len(between) else between[row[those]]
            nearer[those] = np.count_nonzero(rows < distance[those, None], axis=1)
            equal[those] = np.count_nonzero(rows == distance[those, None], axis=1)
    else:
        ordered, ends = np.sort(between, axis=1), np.cumsum(count)
        found = [
            [np.searchsorted(line, wanted, side) for side in ("left", "right")]
            for line, wanted in zip(ordered, np.split(distance, ends[:-1]), strict=True)
        ]
        nearer, right = (np.concatenate(side) for side in zip(*found, strict=True))
        equal = right - nearer
    for tie in np.flatnonzero(equal > 1).tolist():
        nearer[tie] += np.count_nonzero(between[row[tie], : column[tie]] == distance[tie])
    ranks = np.zeros((len(same), count.max(initial=0)), dtype=np.int64)
    ranks[row, place] = nearer + 1
    return ranks


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
    blocks = []
    for at, between in _blocks(parts, probe, gallery, metric):
        same = ids[probe[at]][:, None] == ids[gallery]
        between[same & (views[probe[at]][:, None] == views[gallery])] = np.inf
        blocks.append(ranked(between, same))
    scores = {score: np.concatenate([block[score] for block in blocks]) for score in KINDS}
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
