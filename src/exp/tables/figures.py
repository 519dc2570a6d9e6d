"""What the figures of a table show: curves by epoch, metric against cost, differences with their intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from exp.tables import words
from exp.tables.compare import Comparison
from exp.tables.measure import curves
from exp.tables.plan import PlannedRow
from exp.tables.statistics import mean_sd


@dataclass(frozen=True)
class Point:
    """A point with what it may spread over.

    Attributes:
        low: Lower end of the band or whisker, None without one.
        high: Upper end.
    """

    x: float
    y: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Series:
    """One row's line, or point.

    Attributes:
        index: The row's place in its table, which gives the colour.
        strong: Whether it is the reference row.
    """

    name: str
    index: int
    points: tuple[Point, ...]
    strong: bool = False


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: Part of the file name.
        kind: ``lines``, ``points`` or ``forest`` (x is the difference, y the row's place).
        log_x: Whether x is logarithmic.
    """

    name: str
    title: str
    kind: str
    x_label: str
    y_label: str
    series: tuple[Series, ...] = field(default_factory=tuple)
    log_x: bool = False


def figures(comparison: Comparison) -> list[Figure]:
    """All figures of a table that have something to show."""
    plan = comparison.plan
    columns = list(plan.table.columns.values())
    found = []
    for column in columns:
        where, _, name = column.metric.partition("/")
        if where in ("test", "best") and name != "loss":
            unit = f" ({column.unit})" if column.unit else ""
            found.append(
                _lines(
                    comparison, f"{column.name}-epoch", f"{column.name} against epoch", "eval", name, column.name + unit
                )
            )
            break
    loss = _lines(comparison, "loss-epoch", "Loss against epoch, evaluation", "eval", "loss", "loss")
    train = _lines(comparison, "train-loss-epoch", "Loss against epoch, training", "train", "loss", "loss")
    found += [loss if loss.series else train]
    found += [_differences(comparison, column.name) for column in columns]
    found += [_cost(comparison, columns[0].name, cost) for cost in words.COST_NAMES]
    return [figure for figure in found if figure.series]


def _lines(comparison: Comparison, name: str, title: str, split: str, metric: str, y_label: str) -> Figure:
    series = []
    for index, row in enumerate(comparison.plan.rows):
        points = _mean_curve(row, split, metric)
        if points:
            series.append(Series(row.row.name, index, points, row.row.name == comparison.plan.table.reference))
    return Figure(_file_name(name), title, "lines", "epoch", y_label, tuple(series))


def _mean_curve(row: PlannedRow, split: str, metric: str) -> tuple[Point, ...]:
    """Mean over the seeds at each epoch that all of them reached, with a band of one standard deviation."""
    by_seed = [curve for folder, _ in row.results.values() if (curve := curves(folder, split, metric))]
    if not by_seed:
        return ()
    epochs = sorted(set.intersection(*(set(curve) for curve in by_seed)))
    points = []
    for epoch in epochs:
        mean, sd = mean_sd([curve[epoch] for curve in by_seed])
        points.append(Point(epoch, mean, None if sd is None else mean - sd, None if sd is None else mean + sd))
    return tuple(points)


def _differences(comparison: Comparison, column: str) -> Figure:
    series: list[Series] = []
    for index, row in enumerate(comparison.plan.rows):
        test = comparison.entry(row.row.name, column).difference
        if test is not None and test.n >= 3:
            low, high = test.interval or (test.mean, test.mean)
            series.append(Series(row.row.name, index, (Point(test.mean, len(series), low, high),)))
    reference = comparison.plan.table.reference
    title = f"{column}: difference to {reference}, 95 % interval"
    return Figure(_file_name(f"{column}-difference"), title, "forest", f"difference in {column}", "", tuple(series))


def _cost(comparison: Comparison, column: str, cost: str) -> Figure:
    series = []
    for index, row in enumerate(comparison.plan.rows):
        entry, x = comparison.entry(row.row.name, column), comparison.costs[row.row.name].get(cost)
        if entry.mean is None or not x:
            continue
        low, high = (None, None) if entry.sd is None else (entry.mean - entry.sd, entry.mean + entry.sd)
        strong = row.row.name == comparison.plan.table.reference
        series.append(Series(row.row.name, index, (Point(x, entry.mean, low, high),), strong))
    xs = [one.points[0].x for one in series]
    label = words.COST_NAMES[cost] + (" (s)" if cost == "train_seconds" else "")
    log = bool(xs) and max(xs) > 10 * min(xs)
    return Figure(
        _file_name(f"{column}-{cost}"),
        f"{column} against {words.COST_NAMES[cost]}",
        "points",
        label,
        column,
        tuple(series),
        log,
    )


def _file_name(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in text.lower())


def ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers that cover a range."""
    if high <= low:
        low, high = low - 0.5, high + 0.5
    raw = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]


def extent(values: Sequence[float], room: float = 0.06) -> tuple[float, float]:
    """Smallest and largest of the values with some room around."""
    low, high = min(values), max(values)
    space = (high - low) * room or abs(high) * room or 0.5
    return low - space, high + space


def short(value: float) -> str:
    """``1.2M`` for an axis."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'k' else limit):.3g}{unit}"
    return f"{value:.6g}"
