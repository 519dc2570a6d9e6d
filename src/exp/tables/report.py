"""``report.html``: every table with its verdicts and figures in one file that needs no network."""

import base64
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from exp.cells.counted import counted
from exp.cells.files import replace_whole
from exp.cells.provenance import git_state
from exp.options.folders import PACKAGE
from exp.sweep.plan import Planned
from exp.tables import words
from exp.tables.compare import Comparison, Entry
from exp.tables.drawing import PALETTE, inline, save
from exp.tables.figures import figures
from exp.tables.outcome import claims_counted, result
from exp.tables.plan import PlannedRow

FILE = "report.html"
FIGURES = "figures"
PICTURES = {".png": "png", ".jpg": "jpeg", ".svg": "svg+xml"}
LARGEST_PICTURE = 1_500_000
"""Bytes of a picture that still goes into the page; larger ones are linked."""
ERROR_LINES = 12
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Nothing is fetched, and the browser sees to it."""
TEXT_COLUMNS = ("row", "cells", "verdict", "claim", "column", "rests on", "the source", "table", "run with", "claims")
WIDE_COLUMNS = ("claim", "rests on", "title")
HERE = Path(__file__).parent


@dataclass(frozen=True)
class PageCell:
    """A cell of a table on the page.

    Attributes:
        kind: CSS classes.
        sort: What it is sorted by; None for its text.
        link: Anchor that it leads to.
    """

    text: str
    kind: str = ""
    sort: float | str | None = None
    link: str = ""


@dataclass(frozen=True)
class Grid:
    """A table on the page; ``named`` says that the first cell of a row is the row's name."""

    heads: Sequence[PageCell]
    rows: Sequence[Sequence[PageCell]]
    named: bool = True


def write(comparisons: Sequence[Comparison], root: Path) -> Path:
    """Writes the report, and its figures as SVG and PDF files, below the folder of all cells."""
    drawn = [(figure, stem(comparison)) for comparison in comparisons for figure in figures(comparison)]
    for figure, name in counted(drawn, "drawing figures", len(drawn)):
        save(figure, root / FIGURES, name)
    path = root / FILE
    root.mkdir(parents=True, exist_ok=True)
    with replace_whole(path) as fresh:
        fresh.write_text(page(comparisons, root), encoding="utf-8")
    return path


def page(comparisons: Sequence[Comparison], folder: Path) -> str:
    """The page: what has run first, tables of which nothing has run folded at the end.

    Args:
        comparisons: Tables with their numbers.
        folder: Where the page will lie; links to cells start there.
    """
    run = [one for one in comparisons if _touched(one)]
    untouched = [one for one in comparisons if not _touched(one)]
    shown = run or untouched
    return (
        _environment()
        .get_template("report.html")
        .render(
            title=f"{shown[0].plan.table.title}" if len(comparisons) == 1 else "Ablation tables",
            policy=POLICY,
            style=(HERE / "report.css").read_text(),
            script=(HERE / "report.js").read_text(),
            made=_made(),
            overview=_overview(run) if len(run) > 1 else None,
            run=[_section(one, folder) for one in run],
            untouched=[_section(one, folder) for one in untouched],
        )
    )


def fragment(comparison: Comparison) -> str:
    """Returns a table as it is on the page, for a page of somebody else's: no style, no figures, no links to files."""
    apart: dict[str, Any] = {"figures": [], "pictures": [], "cells": [], "failures": []}
    one = _section(comparison, Path(), drawn=False) | apart
    template = _environment().from_string('{% from "section.html" import section %}{{ section(one) }}')
    return template.render(one=one)


def _environment() -> Environment:
    return Environment(
        autoescape=True, loader=FileSystemLoader(HERE), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )


def stem(comparison: Comparison) -> str:
    """What its anchor and the files of its figures are called."""
    variant = "".join(letter if letter.isalnum() else "-" for letter in comparison.plan.variant)
    return "-".join(filter(None, (comparison.plan.table.slug, variant)))


def _touched(comparison: Comparison) -> bool:
    return any(one.state != "missing" for one in comparison.plan.cells)


def _made() -> str:
    state = git_state(PACKAGE) or git_state(Path.cwd())
    commit = f", commit {state['commit'][:10]}{' with changes' if state['dirty'] else ''}" if state else ""
    return f"written {time.strftime('%Y-%m-%d %H:%M')}{commit}; published numbers are in columns of their own"


def _overview(comparisons: Sequence[Comparison]) -> Grid:
    rows = []
    for comparison in comparisons:
        plan = comparison.plan
        done = sum(row.count("done", "stale") for row in plan.rows)
        rows.append(
            [
                PageCell(comparison.name, "text", link=stem(comparison)),
                PageCell(f"{done}/{plan.expected}", "", done / max(plan.expected, 1)),
                PageCell(result(comparison), "text wrap"),
                PageCell(claims_counted(comparison), "text wrap"),
                PageCell(plan.variant or ("as published" if plan.table.published else "as in its file"), "text wrap"),
                PageCell(plan.table.title, "text wrap"),
            ]
        )
    heads = [_head(name) for name in ("table", "done", "verdict", "claims", "run with", "title")]
    return Grid(heads, rows)


def _head(name: str) -> PageCell:
    return PageCell(name, "text" if name in (*TEXT_COLUMNS, "title") else "published" if name == "published" else "")


def _section(comparison: Comparison, folder: Path, *, drawn: bool = True) -> dict[str, Any]:
    """Returns everything that the page shows of a table, with its figures and pictures or without."""
    plan = comparison.plan
    label = words.label(plan)
    banners = [f"{words.label_words(plan).capitalize()}: {label}."] if label else []
    return {
        "anchor": stem(comparison),
        "name": comparison.name,
        "title": plan.table.title,
        "result": result(comparison),
        "sources": [words.source(one) for one in plan.table.sources.values()],
        "variant": plan.variant,
        "state": words.state(plan),
        "banners": [*banners, *words.remarks(comparison)],
        "metrics": [_metric(comparison, column) for column in plan.table.columns],
        "costs": _costs(comparison) if any(comparison.costs.values()) else None,
        "claims": _claims(comparison),
        "legend": [
            {"name": row.row.name, "colour": index % len(PALETTE)} for index, row in enumerate(plan.rows) if row.results
        ],
        "figures": [{"title": one.title, "svg": inline(one)} for one in (figures(comparison) if drawn else ())],
        "notes": words.notes(comparison),
        "failures": [_failure(row, one) for row, one in _listed(comparison) if one.state in ("failed", "diverged")],
        "pictures": _pictures(comparison, folder) if drawn else [],
        "cells": [_cell(row, one, folder) for row, one in _listed(comparison) if one.state != "missing"],
    }


def _metric(comparison: Comparison, column: str) -> dict[str, Any]:
    entries = [comparison.entry(row.row.name, column) for row in comparison.plan.rows]
    used, names = words.used(comparison, column), words.headings(comparison)
    rows = [[_field(entry, words.HEADINGS[i], words.fields(entry)[i]) for i in used] for entry in entries]
    unit = comparison.plan.table.columns[column].unit
    name = f"{column} ({unit})" if unit else column
    rest = words.criteria(comparison, column).removeprefix(name).removeprefix(", ")
    table = Grid([_head(names[i]) for i in used], rows)
    return {"name": name, "rest": rest, "table": table, "below": words.seeds_wanted(comparison, column)}


def _field(entry: Entry, heading: str, text: str) -> PageCell:
    test = entry.difference
    sort = {
        "reproduced": entry.mean,
        "difference": test.mean if test else None,
        "95 % interval": test.interval[0] if test and test.interval else None,
        "effect": test.effect if test else None,
        "p (corrected)": entry.p,
        "published": entry.published.value if entry.published else None,
        "delta": entry.delta,
    }.get(heading)
    kinds = [_head(heading).kind]
    if heading == "verdict" and entry.verdict in ("better", "worse"):
        kinds.append(entry.verdict)
    elif heading == "reproduced" and entry.mean is None:
        kinds.append("missing")
    elif heading == "delta" and entry.within is not None:
        kinds.append("ok" if entry.within else "outside")
    return PageCell(text, " ".join(filter(None, kinds)), sort)


def _costs(comparison: Comparison) -> Grid:
    rows = []
    for row in comparison.plan.rows:
        known, texts = comparison.costs[row.row.name], words.costs(comparison, row.row.name)
        numbers = [PageCell(text, "", known.get(key)) for key, text in zip(words.COST_NAMES, texts, strict=True)]
        rows.append([PageCell(row.row.name, "text"), *numbers])
    return Grid([_head(name) for name in ("row", *words.COST_NAMES.values())], rows)


def _claims(comparison: Comparison) -> Grid | None:
    headings = words.CLAIM_HEADINGS
    rows = []
    for texts in words.claims(comparison):
        named = dict(zip(headings, texts, strict=True))
        kinds = {
            name: "text wrap" if name in WIDE_COLUMNS else f"text {text}" if name == "verdict" else _head(name).kind
            for name, text in named.items()
        }
        rows.append([PageCell(text, kinds[name]) for name, text in named.items()])
    return Grid([_head(name) for name in headings], rows) if rows else None


def _listed(comparison: Comparison) -> list[tuple[PlannedRow, Planned]]:
    return [(part, one) for row in comparison.plan.rows for part in row.each for one in part.cells]


def _failure(row: PlannedRow, one: Planned) -> dict[str, str]:
    trace = one.cell.path / "error.txt"
    lines = trace.read_text(errors="replace").splitlines()[-ERROR_LINES:] if trace.is_file() else []
    note = one.cell.status().get("error", "")
    return {"head": f"{row.title}, seed {one.seed}: {one.state}: {note}", "text": "\n".join(lines)}


def _pictures(comparison: Comparison, folder: Path) -> list[dict[str, Any]]:
    """Pictures that the tasks left in the first finished cell of each row, those of one kind beside each other."""
    groups: dict[str, list[dict[str, str]]] = {}
    for part in (part for row in comparison.plan.rows for part in row.each):
        if not part.results:
            continue
        seed, (cell, _) = next(iter(part.results.items()))
        for path in sorted([*cell.glob("*"), *cell.glob("*/*")]):
            if path.suffix in PICTURES:
                image = _picture(path, folder) | {"caption": f"{part.title}, seed {seed}"}
                groups.setdefault(path.stem.replace("_", " "), []).append(image)
    return [{"name": name, "images": images} for name, images in groups.items()]


def _picture(path: Path, folder: Path) -> dict[str, str]:
    if path.stat().st_size > LARGEST_PICTURE:
        return {"link": _link(path, folder)}
    data = base64.b64encode(path.read_bytes()).decode()
    return {"source": f"data:image/{PICTURES[path.suffix]};base64,{data}"}


def _cell(row: PlannedRow, one: Planned, folder: Path) -> dict[str, str]:
    changed = f" (changed since: {', '.join(one.changed[:4])})" if one.changed else ""
    return {"text": f"{row.title}, seed {one.seed}: {one.state}{changed}", "link": _link(one.cell.path, folder)}


def _link(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
