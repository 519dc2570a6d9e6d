"""Draws figures with matplotlib: as SVG and PDF files for a paper, and as SVG that takes its colours from a page."""

import io
import re
from pathlib import Path
from typing import Any

from exp.tables.figures import Figure, Series

PALETTE = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#7a5195",
    "#8c6d31",
    "#5f6b6d",
    "#b22222",
)
"""Colours on paper; the first six after Okabe and Ito, told apart without colour vision. The page has its own."""

INK, SOFT, FAINT = "#000000", "#666666", "#d9dee2"
VARIABLES = {INK: "var(--fg)", SOFT: "var(--soft)", FAINT: "var(--line)"} | {
    colour: f"var(--c{place})" for place, colour in enumerate(PALETTE)
}
"""The page's variable for each colour."""

STYLES = ("-", "--", ":")
MARKERS = ("o", "s", "^")
FEW = 12
"""Up to so many epochs, each is marked."""
SETTINGS: Any = {
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 9,
    "svg.hashsalt": "exp",
    "axes.edgecolor": SOFT,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Writes a figure as SVG and PDF.

    Args:
        figure: The figure.
        folder: Where the files go.
        stem: Beginning of their names.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}-{figure.name}.{kind}" for kind in ("svg", "pdf")]
    _render(figure, dict(zip(("svg", "pdf"), paths, strict=True)), legend=True)
    return paths


def drawn(figure: Figure) -> str:
    """Returns a figure as an SVG document on white, with the names of its rows."""
    out = io.StringIO()
    _render(figure, {"svg": out}, legend=True, ground="white")
    text = out.getvalue()
    return text[text.index("<svg") :]


def inline(figure: Figure) -> str:
    """Returns a figure as an SVG element whose colours are the page's variables; the page has title and legend."""
    out = io.StringIO()
    _render(figure, {"svg": out}, legend=False)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[a-z._]+_\d+"', "", text)  # numbered in every figure alike; an id is for once in a page
    text = re.sub(r"#[0-9a-f]{6}\b", lambda colour: VARIABLES.get(colour[0], colour[0]), text)
    text = re.sub(
        r"<(?=svg )svg [^>]*?(viewBox=\"[^\"]*\")[^>]*>", r'<svg class="figure" role="img" \1>', text, count=1
    )
    return text.strip()


def _render(figure: Figure, files: dict[str, Any], *, legend: bool, ground: str = "none") -> None:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    with matplotlib.rc_context(SETTINGS):
        canvas = Canvas(figsize=_size(figure, legend), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        draw = {"lines": _lines, "points": _points, "forest": _forest, "steps": _steps}[figure.kind]
        draw(axes, figure)
        if legend and figure.kind != "forest":
            canvas.legend(loc="outside right upper", frameon=False, fontsize=8)
        elif figure.kind == "points":
            _name_points(axes, figure)
        axes.set_xlabel(figure.x_label)
        axes.set_ylabel(figure.y_label)
        canvas.draw_without_rendering()
        canvas.set_layout_engine("none")  # laid out once for both files
        for kind, file in files.items():
            canvas.savefig(
                file,
                format=kind,
                facecolor=ground,
                metadata={"Date": None} if kind == "svg" else {"CreationDate": None},
            )


def _size(figure: Figure, legend: bool) -> tuple[float, float]:
    """Inches: room for a line a row, and for the longest name in the margin."""
    name = 0.06 * max((len(one.name) for one in figure.series), default=0)
    if figure.kind == "forest":
        return 4.2 + name, 0.9 + 0.28 * len(figure.series)
    if not legend:
        return 5.2, 3.1
    return 4.8 + name, max(3.1, 0.4 + 0.17 * len(figure.series))


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _again(one: Series, ways: tuple[str, ...]) -> str:
    """Returns what tells a row from another of the same colour."""
    return ways[one.index // len(PALETTE) % len(ways)]


def _lines(axes: Any, figure: Figure) -> None:
    from matplotlib.ticker import MaxNLocator

    longest = max(len(one.points) for one in figure.series)
    for one in figure.series:
        xs = [p.x for p in one.points]
        width, marker = 2.2 if one.strong else 1.2, _again(one, MARKERS) if longest <= FEW else ""
        style = {"color": _colour(one.index), "lw": width, "marker": marker, "ms": 4 if longest > 1 else 6}
        axes.plot(xs, [p.y for p in one.points], _again(one, STYLES), label=one.name, **style)
        band = [p for p in one.points if p.low is not None]
        ends = [p.low for p in band], [p.high for p in band]
        if len(band) > 1:
            axes.fill_between([p.x for p in band], *ends, color=_colour(one.index), alpha=0.16, lw=0)
        elif band:
            axes.vlines([p.x for p in band], *ends, color=_colour(one.index), lw=1.2)
    epochs = [p.x for one in figure.series for p in one.points]
    room = max(0.5, 0.03 * (max(epochs) - min(epochs)))
    axes.set_xlim(min(epochs) - room, max(epochs) + room)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _points(axes: Any, figure: Figure) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    for one in figure.series:
        p = one.points[0]
        spread = None if p.low is None else p.y - p.low
        style = {"fmt": _again(one, MARKERS), "color": _colour(one.index), "ms": 6.5 if one.strong else 4.5}
        axes.errorbar(p.x, p.y, spread, label=one.name, lw=1.2, **style)
    if figure.log_x:
        axes.set_xscale("log")
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(EngFormatter(sep=" "))  # 180 k: long numbers would run into each other
    axes.margins(x=0.18, y=0.12)


def _name_points(axes: Any, figure: Figure) -> None:
    """Writes each row's name beside its point, further down where it would cover another."""
    axes.figure.draw_without_rendering()
    taken: list[tuple[float, float, float]] = []
    left, right = (axes.transAxes.transform((edge, 0))[0] for edge in (0, 1))
    for one in sorted(figure.series, key=lambda one: -one.points[0].y):
        x, y = axes.transData.transform((one.points[0].x, one.points[0].y))
        width, line = 5.5 * len(one.name) * axes.figure.dpi / 100, 13.0 * axes.figure.dpi / 100
        leftward = x + 8 + width > right and x - 8 - width > left
        start, at = (x - 8 - width if leftward else x + 8), y
        while any(abs(at - other) < line and start < end and begin < start + width for other, begin, end in taken):
            at -= line
        taken.append((at, start, start + width))
        where = axes.transData.inverted().transform((x - 8 if leftward else x + 8, at))
        side = "right" if leftward else "left"
        axes.annotate(one.name, where, ha=side, va="center", fontsize=8, annotation_clip=False)


def _forest(axes: Any, figure: Figure) -> None:
    names = [one.name for one in figure.series]
    for place, one in enumerate(figure.series):
        p = one.points[0]
        axes.plot([p.low, p.high], [place, place], color=_colour(one.index), lw=1.8)
        axes.plot(p.x, place, "o", color=_colour(one.index), ms=5)
    axes.axvline(0, color=SOFT, lw=0.9, ls="--")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(False, axis="y")


def _steps(axes: Any, figure: Figure) -> None:
    for one in figure.series:
        width = 2.0 if one.strong else 1.2
        axes.step(
            [p.x for p in one.points],
            [p.y for p in one.points],
            _again(one, STYLES),
            where="mid",
            color=_colour(one.index),
            lw=width,
            label=one.name,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(bottom=0)
