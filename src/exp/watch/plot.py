"""Curves drawn with braille letters: two by four dots a letter."""

import itertools
from collections.abc import Mapping, Sequence

from rich.text import Text

Point = tuple[float, float]

COLOURS = ("cyan", "yellow", "green", "magenta", "blue", "red", "white")
DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
LABEL = 10
"""Letters of the axis' labels."""


def plot(series: Mapping[str, Sequence[Point]], width: int, height: int) -> list[Text]:
    """Draws curves over one another.

    Args:
        series: Points by name, each in rising x.
        width: Letters a line, axis included.
        height: Lines, the x axis and the legend included.

    Returns:
        The lines; one that says so where there is nothing to draw.
    """
    known = {name: points for name, points in series.items() if points}
    if not known:
        return [Text("nothing measured yet", style="dim")]
    columns, rows = max(4, width - LABEL - 1), max(2, height - 2)
    xs = [x for points in known.values() for x, _ in points]
    ys = [y for points in known.values() for _, y in points]
    x_low, x_high, y_low, y_high = min(xs), max(xs), min(ys), max(ys)
    canvas = [[0] * columns for _ in range(rows)]
    colour = [[""] * columns for _ in range(rows)]

    def place(point: Point) -> tuple[int, int]:
        across = (point[0] - x_low) / (x_high - x_low or 1)
        up = (point[1] - y_low) / (y_high - y_low) if y_high > y_low else 0.5
        return round(across * (2 * columns - 1)), round((1 - up) * (4 * rows - 1))

    for number, points in enumerate(known.values()):
        dots = [place(point) for point in points]
        for x, y in [dots[0], *(dot for pair in itertools.pairwise(dots) for dot in _line(*pair))]:
            canvas[y // 4][x // 2] |= DOTS[x % 2][y % 4]
            colour[y // 4][x // 2] = COLOURS[number % len(COLOURS)]
    lines = []
    for row in range(rows):
        label = {0: f"{y_high:.4g}", rows - 1: f"{y_low:.4g}"}.get(row, "")
        line = Text(f"{label:>{LABEL}}", style="dim").append("│", style="dim")
        for column in range(columns):
            line.append(chr(0x2800 + canvas[row][column]), style=colour[row][column])
        lines.append(line)
    first, last = f"{x_low:g}", f"{x_high:g}"
    lines.append(Text(f"{'':{LABEL}}└{first}{last:>{max(1, columns - len(first))}}", style="dim"))
    legend = Text(" " * (LABEL + 1))
    for number, name in enumerate(known):
        legend.append("━ ", style=COLOURS[number % len(COLOURS)]).append(f"{name}   ")
    return [*lines, legend]


def _line(start: tuple[int, int], end: tuple[int, int]) -> list[tuple[int, int]]:
    """Returns the dots of a straight line, both ends included."""
    steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
    return [
        (round(start[0] + (end[0] - start[0]) * i / steps), round(start[1] + (end[1] - start[1]) * i / steps))
        for i in range(steps + 1)
    ]
