"""What the figures of a table show: curves by epoch, metric against cost, differences with their intervals, gates."""

from dataclasses import dataclass, field

from exp.tables import words
from exp.tables.compare import Comparison
from exp.tables.measure import curves, gate_values
from exp.tables.plan import PlannedRow
from exp.tables.spec import Column, Under, setting
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
        kind: ``lines``, ``points``, ``steps`` (a histogram) or ``forest`` (x is the difference, y the row's place).
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
    drawn = [_curve(comparison, *key, label) for key, label in _curves(columns).items()]
    drawn += [_differences(comparison, column.name) for column in columns]
    drawn += [_cost(comparison, columns[0].name, cost) for cost in words.COST_NAMES]
    drawn += [_gates(comparison, under) for under in plan.table.settings]
    return [figure for figure in drawn if figure.series]


def _curves(columns: list[Column]) -> dict[tuple[str, str, Under], str]:
    """Split, metric and setting of every curve by epoch, with its axis's label: those of the columns, and the loss."""
    curves: dict[tuple[str, str, Under], str] = {}
    for column in columns:
        where, _, name = column.metric.partition("/")
        split = "train" if where == "train" else "eval" if where.startswith(("test", "best", "last", "epoch")) else ""
        if split:
            unit = f" ({column.unit})" if column.unit else ""
            curves.setdefault((split, name, column.under), f"{column.name if where[:5] != 'epoch' else name}{unit}")
    settings = dict.fromkeys(column.under for column in columns)
    losses = [(split, "loss", under) for under in settings for split in ("eval", "train")]
    return curves | {key: "loss" for key in losses if key not in curves}


def _curve(comparison: Comparison, split: str, metric: str, under: Under, label: str) -> Figure:
    of = "evaluation" if split == "eval" else "training"
    stem = f"{metric}-epoch" if split == "eval" else f"train-{metric}-epoch"
    where, title = _setting(comparison, under)
    return _lines(comparison, stem + where, f"{label} against epoch, {of}{title}", split, metric, under, label)


def _setting(comparison: Comparison, under: Under) -> tuple[str, str]:
    """What a file's name and a title end with where the columns are under several settings."""
    if len(comparison.plan.table.settings) == 1:
        return "", ""
    return "".join(f"-{key}-{value}" for key, value in under), f", {setting(under)}" if under else ""


def _gates(comparison: Comparison, under: Under) -> Figure:
    """How the values of all gates are spread between 0 and 1, the mean over seeds."""
    series = []
    for index, row in enumerate(comparison.plan.rows):
        results = [result for _, result in row.part(under).results.values()]
        spreads = [spread for result in results if (spread := gate_values(result))]
        if spreads:
            means = [sum(shares) / len(spreads) for shares in zip(*spreads, strict=True)]
            points = tuple(Point((place + 0.5) / len(means), 100 * share) for place, share in enumerate(means))
            series.append(Series(row.row.name, index, points, row.row.name == comparison.plan.table.reference))
    where, title = _setting(comparison, under)
    return Figure(
        _file_name(f"gates{where}"), f"Values of the gates{title}", "steps", "gate", "share (%)", tuple(series)
    )


def _lines(
    comparison: Comparison, name: str, title: str, split: str, metric: str, under: Under, y_label: str
) -> Figure:
    series = []
    for index, row in enumerate(comparison.plan.rows):
        points = _mean_curve(row.part(under), split, metric)
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
            name = f"{row.row.name} (less {row.row.against})" if row.row.against else row.row.name
            series.append(Series(name, index, (Point(test.mean, len(series), low, high),)))
    reference = comparison.plan.table.reference
    title = f"{column}: difference to {reference}, 95 % interval"
    return Figure(
        _file_name(f"{column}-difference"), title, "forest", f"{column} less that of {reference}", "", tuple(series)
    )


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
