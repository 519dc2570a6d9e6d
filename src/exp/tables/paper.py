"""The same figures as SVG and PDF files for a paper, drawn with matplotlib."""

from pathlib import Path
from typing import Any

from exp.tables.figures import Figure

PALETTE = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#7A5195",
    "#8C6D31",
    "#5F6B6D",
    "#B22222",
)
"""The page's light colours; the first six after Okabe and Ito, told apart without colour vision."""

STYLES = ("-", "--", ":")
MARKERS = ("o", "s", "^")
SETTINGS: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "font.size": 9, "svg.hashsalt": "exp"}


def save(figure: Figure, folder: Path, stem: str) -> list[Path]:
    """Writes a figure as SVG and PDF.

    Args:
        figure: The figure.
        folder: Where the files go.
        stem: Beginning of their names.

    Returns:
        The files.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure as Canvas

    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}-{figure.name}.{kind}" for kind in ("svg", "pdf")]
    with matplotlib.rc_context(SETTINGS):
        canvas = Canvas(figsize=_size(figure), layout="constrained")
        FigureCanvasAgg(canvas)
        axes = canvas.add_subplot()
        {"lines": _lines, "points": _points, "forest": _forest}[figure.kind](axes, figure)
        if figure.kind != "forest":
            canvas.legend(loc="outside right upper", frameon=False, fontsize=8)
        axes.set_xlabel(figure.x_label)
        axes.set_ylabel(figure.y_label)
        axes.spines[["top", "right"]].set_visible(False)
        if figure.log_x:
            axes.set_xscale("log")
        for path in paths:
            empty = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None}
            canvas.savefig(path, metadata=empty)
    return paths


def _size(figure: Figure) -> tuple[float, float]:
    """Inches: room for a line a row, and for the longest name in the margin."""
    name = 0.06 * max((len(one.name) for one in figure.series), default=0)
    if figure.kind == "forest":
        return 4.2 + name, 0.9 + 0.28 * len(figure.series)
    return 4.8 + name, max(3.1, 0.4 + 0.17 * len(figure.series))


def _colour(index: int) -> str:
    return PALETTE[index % len(PALETTE)]


def _lines(axes: Any, figure: Figure) -> None:
    for one in figure.series:
        xs, style = [p.x for p in one.points], STYLES[one.index // len(PALETTE) % len(STYLES)]
        width = 2.0 if one.strong else 1.2
        axes.plot(xs, [p.y for p in one.points], style, color=_colour(one.index), lw=width, label=one.name)
        band = [p for p in one.points if p.low is not None]
        ends = [p.low for p in band], [p.high for p in band]
        axes.fill_between([p.x for p in band], *ends, color=_colour(one.index), alpha=0.18, lw=0)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _points(axes: Any, figure: Figure) -> None:
    for one in figure.series:
        p, marker = one.points[0], MARKERS[one.index // len(PALETTE) % len(MARKERS)]
        spread = None if p.low is None else p.y - p.low
        axes.errorbar(p.x, p.y, spread, fmt=marker, color=_colour(one.index), ms=6 if one.strong else 4, label=one.name)


def _forest(axes: Any, figure: Figure) -> None:
    names = [one.name for one in figure.series]
    for place, one in enumerate(figure.series):
        p = one.points[0]
        axes.plot([p.low, p.high], [place, place], color=_colour(one.index), lw=1.6)
        axes.plot(p.x, place, "o", color=_colour(one.index), ms=5)
    axes.axvline(0, color="0.4", lw=0.8, ls="--")
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
