"""Figures as SVG that takes its colours from the page, so that it reads in light and dark."""

import math
from collections.abc import Callable, Sequence
from html import escape

from exp.tables.figures import Figure, Point, extent, short, ticks

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 58, 16, 14, 46
COLOURS = 10
DASHES = ("", "6 4", "2 3")

Scale = Callable[[float], float]


def draw(figure: Figure) -> str:
    """The figure as an SVG element; its title is the page's to show."""
    if figure.kind == "forest":
        return _forest(figure)
    points = [point for one in figure.series for point in one.points]
    x, x_ticks = _x_scale(figure, points)
    ys = [value for p in points for value in (p.y, p.low, p.high) if value is not None]
    low, high = extent(ys)
    y = _linear(low, high, HEIGHT - BOTTOM, TOP)
    parts = _frame(figure, x, x_ticks, y, ticks(low, high), HEIGHT)
    for one in figure.series:
        parts.append(_line(one.points, one.index, one.strong, one.name, x, y) if figure.kind == "lines" else "")
    if figure.kind == "points":
        parts += _labelled_points(figure, x, y)
    return _svg(figure, parts, HEIGHT)


def colour(index: int) -> str:
    """The CSS class of a row's colour."""
    return f"c{index % COLOURS}"


def _svg(figure: Figure, parts: Sequence[str], height: float) -> str:
    head = f'<svg class="figure" viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(figure.title)}">'
    return head + "".join(parts) + "</svg>"


def _x_scale(figure: Figure, points: Sequence[Point]) -> tuple[Scale, list[float]]:
    xs = [point.x for point in points]
    if figure.log_x:
        low, high = extent([math.log10(x) for x in xs], 0.1)
        inner = _linear(low, high, LEFT, WIDTH - RIGHT)
        exponents = range(math.floor(low), math.ceil(high) + 1)
        marks = [m * 10.0**e for e in exponents for m in (1, 2, 5) if low <= math.log10(m * 10.0**e) <= high]
        return (lambda value: inner(math.log10(value))), marks
    low, high = (min(xs), max(xs)) if figure.kind == "lines" else extent(xs, 0.12)
    if low == high:
        low, high = low - 0.5, high + 0.5
    marks = ticks(low, high)
    if figure.kind == "lines":
        marks = sorted({round(mark) for mark in marks})
    return _linear(low, high, LEFT, WIDTH - RIGHT), [mark for mark in marks if low <= mark <= high]


def _linear(low: float, high: float, start: float, end: float) -> Scale:
    return lambda value: start + (value - low) / (high - low) * (end - start)


def _frame(figure: Figure, x: Scale, x_ticks: list[float], y: Scale, y_ticks: list[float], height: float) -> list[str]:
    floor = height - BOTTOM
    parts = []
    for mark in y_ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{short(mark)}</text>')
    for mark in x_ticks:
        parts.append(f'<line class="axis" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{floor}" y2="{floor + 5}"/>')
        parts.append(f'<text class="tick" x="{x(mark):.1f}" y="{floor + 18}" text-anchor="middle">{short(mark)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{height - 8}" text-anchor="middle">{escape(figure.x_label)}</text>'
    )
    turned = f'transform="translate(13 {(TOP + floor) / 2}) rotate(-90)"'
    parts.append(f'<text class="label" {turned} text-anchor="middle">{escape(figure.y_label)}</text>')
    return parts


def _line(points: Sequence[Point], index: int, strong: bool, name: str, x: Scale, y: Scale) -> str:
    band = [p for p in points if p.low is not None and p.high is not None]
    parts = [f'<g class="{colour(index)}"><title>{escape(name)}</title>']
    if len(band) > 1:
        edge = [(p.x, p.high) for p in band] + [(p.x, p.low) for p in reversed(band)]
        corners = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in edge if b is not None)
        parts.append(f'<polygon class="band" points="{corners}"/>')
    line = " ".join(f"{x(p.x):.1f},{y(p.y):.1f}" for p in points)
    dash = DASHES[index // COLOURS % len(DASHES)]
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    parts.append(f'<polyline class="line" points="{line}" style="stroke-width: {3.2 if strong else 1.8}"{dashed}/>')
    if len(points) == 1:
        parts.append(f'<circle class="dot" cx="{x(points[0].x):.1f}" cy="{y(points[0].y):.1f}" r="4"/>')
    return "".join(parts) + "</g>"


def _labelled_points(figure: Figure, x: Scale, y: Scale) -> list[str]:
    """Points with whiskers; labels are beside them and are pushed apart where they would overlap."""
    parts: list[str] = []
    placed: list[tuple[float, float, float]] = []
    for one in sorted(figure.series, key=lambda one: one.points[0].y, reverse=True):
        p = one.points[0]
        px, py = x(p.x), y(p.y)
        parts.append(f'<g class="{colour(one.index)}"><title>{escape(one.name)}</title>')
        if p.low is not None and p.high is not None:
            parts.append(f'<line class="line" x1="{px:.1f}" x2="{px:.1f}" y1="{y(p.low):.1f}" y2="{y(p.high):.1f}"/>')
        parts.append(f'<circle class="dot" cx="{px:.1f}" cy="{py:.1f}" r="{6 if one.strong else 4.5}"/></g>')
        width = 7.2 * len(one.name)
        leftward = px + 10 + width > WIDTH - RIGHT
        start = px - 10 - width if leftward else px + 10
        at = py + 4
        while any(abs(at - other) < 14 and start < right and left < start + width for other, left, right in placed):
            at += 14
        placed.append((at, start, start + width))
        anchor, where = ("end", px - 10) if leftward else ("start", px + 10)
        parts.append(
            f'<text class="name {colour(one.index)}" x="{where:.1f}" y="{at:.1f}" text-anchor="{anchor}">'
            f"{escape(one.name)}</text>"
        )
    return parts


def _forest(figure: Figure) -> str:
    row_height, left = 26, min(210.0, 26 + 7.0 * max(len(one.name) for one in figure.series))
    height = TOP + row_height * len(figure.series) + BOTTOM
    points = [one.points[0] for one in figure.series]
    low, high = extent([0.0, *(value for p in points for value in (p.x, p.low, p.high) if value is not None)])
    x = _linear(low, high, left, WIDTH - RIGHT)
    floor = height - BOTTOM
    parts = []
    for mark in ticks(low, high):
        kind = "zero" if mark == 0 else "grid"
        parts.append(f'<line class="{kind}" x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="{TOP}" y2="{floor}"/>')
        parts.append(f'<text class="tick" x="{x(mark):.1f}" y="{floor + 18}" text-anchor="middle">{short(mark)}</text>')
    for place, one in enumerate(figure.series):
        p, at = one.points[0], TOP + row_height * (place + 0.5)
        assert p.low is not None and p.high is not None
        name = one.name if len(one.name) <= 28 else one.name[:27] + "…"
        parts.append(f'<text class="name" x="{left - 12}" y="{at + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        parts.append(
            f'<g class="{colour(one.index)}"><title>{escape(one.name)}</title>'
            f'<line class="line" x1="{x(p.low):.1f}" x2="{x(p.high):.1f}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<circle class="dot" cx="{x(p.x):.1f}" cy="{at:.1f}" r="5"/></g>'
        )
    middle = (left + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="label" x="{middle}" y="{height - 8}" text-anchor="middle">{escape(figure.x_label)}</text>'
    )
    return _svg(figure, parts, height)
