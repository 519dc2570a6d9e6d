"""``report.html``: every table with its verdicts and figures in one file that needs no network."""

import base64
import os
import time
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from exp.cells.provenance import PACKAGE, git_state
from exp.sweep.plan import Planned
from exp.tables import words
from exp.tables.compare import Comparison, Entry, verdicts
from exp.tables.figures import Figure, figures
from exp.tables.plan import PlannedRow
from exp.tables.svg import colour, draw

FILE = "report.html"
FIGURES = "figures"
PICTURES = {".png": "png", ".jpg": "jpeg", ".svg": "svg+xml"}
LARGEST_PICTURE = 1_500_000
"""Bytes of a picture that still goes into the page; larger ones are linked."""
ERROR_LINES = 12
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""Nothing is fetched, and the browser sees to it."""
TEXT_COLUMNS = ("row", "cells", "verdict", "claim", "column", "rests on", "the source", "table", "state", "title")


def write(comparisons: Sequence[Comparison], root: Path) -> Path:
    """Writes the report, and its figures as SVG and PDF files, below the folder of all cells."""
    from exp.tables.paper import save

    for comparison in comparisons:
        for figure in figures(comparison):
            save(figure, root / FIGURES, _stem(comparison))
    path = root / FILE
    root.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{FILE}.{os.getpid()}")
    fresh.write_text(page(comparisons, root), encoding="utf-8")
    fresh.replace(path)
    return path


def page(comparisons: Sequence[Comparison], root: Path) -> str:
    """The page.

    Args:
        comparisons: Tables with their numbers.
        root: Folder of all cells, where the page is meant to lie; links to cells start there.
    """
    style = (Path(__file__).parent / "report.css").read_text()
    script = (Path(__file__).parent / "report.js").read_text()
    sections = "\n".join(_section(comparison, root) for comparison in comparisons)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon" href="data:,">\n'
        f"<title>Ablation tables</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header><h1>Ablation tables</h1><button id="theme" type="button">light / dark</button></header>\n'
        f'<p class="soft">{escape(_made())}</p>\n{_overview(comparisons) if len(comparisons) > 1 else ""}\n'
        f"{sections}\n<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _made() -> str:
    state = git_state(PACKAGE) or git_state(Path.cwd())
    commit = f", commit {state['commit'][:10]}{' with changes' if state['dirty'] else ''}" if state else ""
    return (
        f"written {time.strftime('%Y-%m-%d %H:%M')}{commit}; reproduced and published numbers are in separate columns"
    )


def _stem(comparison: Comparison) -> str:
    variant = "".join(letter if letter.isalnum() else "-" for letter in comparison.plan.variant)
    return "-".join(filter(None, (comparison.name, variant)))


def _overview(comparisons: Sequence[Comparison]) -> str:
    rows = []
    for comparison in comparisons:
        plan = comparison.plan
        done = sum(row.count("done", "stale") for row in plan.rows)
        given = ", ".join(f"{n} {word}" for word, n in verdicts(comparison).items())
        claimed = [verdict for _, _, _, verdict, _, _ in words.claims(comparison)]
        claims = ", ".join(f"{claimed.count(w)} {w}" for w in ("supported", "refuted", "undecided") if w in claimed)
        name = f'<a href="#{_stem(comparison)}">{escape(comparison.name)}</a>'
        rows.append(
            [
                ("text", comparison.name, name),
                ("text wrap", "", escape(plan.table.title)),
                ("", str(done / max(plan.expected, 1)), f"{done}/{plan.expected}"),
                ("text wrap", "", escape(plan.variant or "as published")),
                ("text", "", escape(given)),
                ("text", "", escape(claims)),
            ]
        )
    shown = ("", "", "", "run with", "verdicts", "claims")
    return _table(("table", "title", "done", "state", "verdict", "claim"), rows, shown)


def _section(comparison: Comparison, root: Path) -> str:
    plan = comparison.plan
    parts = [f'<section id="{_stem(comparison)}"><h2>{escape(plan.table.name)}: {escape(plan.table.title)}</h2>']
    for source in plan.table.sources.values():
        parts.append(f'<p class="soft">Source {escape(words.source(source))}</p>')
    variant = f"<code>{escape(plan.variant)}</code>: " if plan.variant else ""
    parts.append(f"<p>{variant}{escape(words.state(plan))}</p>")
    if label := words.label(plan):
        parts.append(_banner(f"Not as published: {label}."))
    parts += [_banner(text) for text in words.remarks(comparison)]
    touched = any(one.state != "missing" for one in plan.cells)
    if not touched:
        parts.append("<details><summary>nothing of it has run; what was published, claims and notes</summary>")
    parts += [_metric(comparison, column) for column in plan.table.columns]
    parts += [_costs(comparison), _claims(comparison), _figures(comparison), _notes(comparison)]
    parts += [_failures(comparison), _pictures(comparison), _cells(comparison, root)]
    parts += [] if touched else ["</details>"]
    parts.append("</section>")
    return "\n".join(part for part in parts if part)


def _banner(text: str) -> str:
    return f'<p class="banner">{escape(text)}</p>'


Cell = tuple[str, str, str]
"""Class, value to sort by, and HTML of a table's cell."""


def _table(headings: Sequence[str], rows: Iterable[Sequence[Cell]], shown: Sequence[str] = ()) -> str:
    head = "".join(
        f'<th class="{"text" if name in TEXT_COLUMNS else "published" if name == "published" else ""}">'
        f"{escape(shown[i] if i < len(shown) and shown[i] else name)}</th>"
        for i, name in enumerate(headings)
    )
    body = "".join(
        "<tr>"
        + "".join(
            f'<td class="{kind}"{f" data-sort={chr(34)}{escape(sort)}{chr(34)}" if sort else ""}>{text}</td>'
            for kind, sort, text in row
        )
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _metric(comparison: Comparison, column: str) -> str:
    entries = [comparison.entry(row.row.name, column) for row in comparison.plan.rows]
    fields = [words.fields(entry) for entry in entries]
    used = [i for i in range(len(words.HEADINGS)) if i < 3 or any(row[i] for row in fields)]
    rows = [
        [_field(entry, words.HEADINGS[i], texts[i]) for i in used] for entry, texts in zip(entries, fields, strict=True)
    ]
    name, _, rest = words.criteria(comparison, column).partition(", ")
    heading = f"<h3>{escape(name)} <small>{escape(rest)}</small></h3>"
    return heading + _table([words.HEADINGS[i] for i in used], rows)


def _field(entry: Entry, heading: str, text: str) -> Cell:
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
    kind = (
        "text narrow"
        if heading == "verdict"
        else "text"
        if heading in TEXT_COLUMNS
        else "published"
        if heading == "published"
        else ""
    )
    if heading == "verdict" and entry.verdict in ("better", "worse"):
        kind += f" {entry.verdict}"
    elif heading == "reproduced" and entry.mean is None:
        kind += " missing"
    elif heading == "delta" and entry.within is not None:
        kind += " ok" if entry.within else " outside"
    return kind.strip(), "" if sort is None else repr(sort), escape(text)


def _costs(comparison: Comparison) -> str:
    if not any(comparison.costs.values()):
        return ""
    rows = []
    for row in comparison.plan.rows:
        known, texts = comparison.costs[row.row.name], words.costs(comparison, row.row.name)
        cells = [
            ("", repr(known[key]) if key in known else "", escape(text))
            for key, text in zip(words.COST_NAMES, texts, strict=True)
        ]
        rows.append([("text", "", escape(row.row.name)), *cells])
    return "<h3>Cost</h3>" + _table(("row", *words.COST_NAMES.values()), rows)


def _claims(comparison: Comparison) -> str:
    rows: list[list[Cell]] = [
        [
            ("text wrap", "", escape(claim)),
            ("text", "", escape(column)),
            ("", "", escape(p)),
            (f"text {verdict}", "", escape(verdict)),
            ("text wrap", "", escape(detail)),
            ("text", "", escape(note)),
        ]
        for claim, column, p, verdict, detail, note in words.claims(comparison)
    ]
    return "<h3>Claims</h3>" + _table(words.CLAIM_HEADINGS, rows) if rows else ""


def _figures(comparison: Comparison) -> str:
    drawn = figures(comparison)
    if not drawn:
        return ""
    legend = "".join(
        f'<span class="{colour(index)}">{escape(row.row.name)}</span>'
        for index, row in enumerate(comparison.plan.rows)
        if row.results
    )
    shown = "".join(_figure(figure) for figure in drawn)
    note = "bands and whiskers: one standard deviation over seeds"
    head = f'<h3>Figures <small>{note}</small></h3><div class="legend">{legend}</div>'
    return f'{head}<div class="figures">{shown}</div>'


def _figure(figure: Figure) -> str:
    return f"<figure><figcaption>{escape(figure.title)}</figcaption>{draw(figure)}</figure>"


def _notes(comparison: Comparison) -> str:
    listed = "".join(f"<li>{escape(note)}</li>" for note in words.notes(comparison))
    return f"<h3>Notes and doubts</h3><ul>{listed}</ul>" if listed else ""


def _listed(comparison: Comparison) -> list[tuple[PlannedRow, Planned]]:
    return [(row, one) for row in comparison.plan.rows for one in row.cells]


def _failures(comparison: Comparison) -> str:
    parts = []
    for row, one in _listed(comparison):
        if one.state not in ("failed", "diverged"):
            continue
        trace = one.cell.path / "error.txt"
        lines = trace.read_text(errors="replace").splitlines()[-ERROR_LINES:] if trace.is_file() else []
        note = one.cell.status().get("error", "")
        head = f"{row.row.name}, seed {one.seed}: {one.state}: {note}"
        text = escape(chr(10).join(lines))
        parts.append(f'<details><summary class="failed">{escape(head)}</summary><pre>{text}</pre></details>')
    return "<h3>Failed cells</h3>" + "".join(parts) if parts else ""


def _pictures(comparison: Comparison) -> str:
    """Pictures that the tasks left in the first finished cell of each row."""
    parts = []
    for row in comparison.plan.rows:
        if not row.results:
            continue
        seed, (folder, _) = next(iter(row.results.items()))
        found = [*folder.glob("*"), *folder.glob("*/*")]
        images = "".join(_picture(path) for path in sorted(found) if path.suffix in PICTURES)
        if images:
            parts.append(
                f"<details><summary>{escape(row.row.name)}, seed {seed}</summary>"
                f'<div class="pictures">{images}</div></details>'
            )
    return "<h3>Pictures</h3>" + "".join(parts) if parts else ""


def _picture(path: Path) -> str:
    name = escape(path.stem.replace("_", " "))
    if path.stat().st_size > LARGEST_PICTURE:
        return f"<p>{name}: too large for this page, see {escape(str(path))}</p>"
    data = base64.b64encode(path.read_bytes()).decode()
    source = f"data:image/{PICTURES[path.suffix]};base64,{data}"
    return f'<figure><figcaption>{name}</figcaption><img src="{source}" alt="{name}"></figure>'


def _cells(comparison: Comparison, root: Path) -> str:
    items = []
    for row, one in _listed(comparison):
        if one.state == "missing":
            continue
        path = os.path.relpath(one.cell.path, root)
        changed = f" (changed since: {', '.join(one.changed[:4])})" if one.changed else ""
        items.append(
            f"<li>{escape(row.row.name)}, seed {one.seed}: {escape(one.state + changed)}, "
            f'<a href="{escape(path)}/">{escape(path)}</a></li>'
        )
    return f"<details><summary>{len(items)} cells</summary><ul>{''.join(items)}</ul></details>" if items else ""
