"""``exp report --site DIR``: the pages as files, for a web host or a paper's supplement; no server needed.

Each page holds its values, draws itself with the same script as the live pages, and says the same in plain HTML to
whoever runs no script. A folder is replaced whole or not at all.
"""

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from exp.cells.counted import counted
from exp.options.errors import ConfigError
from exp.tables import words
from exp.tables.compare import Comparison, verdicts
from exp.tables.drawing import save
from exp.tables.figures import figures
from exp.tables.render import as_csv, as_json, latex, markdown
from exp.watch import payload
from exp.watch.cell_state import CellState
from exp.watch.folder import Folder
from exp.watch.remaining import Remaining
from exp.watch.text_files import pictures
from exp.watch.web import assets

MARK = ".exp-site"
"""A file by which a folder is known as a site that may be replaced."""
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'"
OWN = ("sweep", "cells", "logger", "origin")
"""Options about how a cell was run on its machine, which a reader of a site has no use for."""

Links = Sequence[tuple[str, str]]


def write_site(comparisons: Sequence[Comparison], folder: Path) -> int:
    """Writes a page a table, a page a cell, figures and downloads.

    Args:
        comparisons: The tables.
        folder: Where the site goes; a site that is there is replaced.

    Returns:
        How many pages there are.

    Raises:
        ConfigError: The folder holds something else than a site.
        OSError: It cannot be written.
    """
    _refuse_foreign(folder)
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(fresh, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        pages = _Site(fresh, comparisons).write()
        grave = folder.with_name(f".{folder.name}.{os.getpid()}.old")
        if folder.exists():
            folder.rename(grave)
        fresh.rename(folder)
        shutil.rmtree(grave, ignore_errors=True)
    except OSError as error:
        if str(error.filename).startswith(str(fresh)):
            error.filename = str(folder)
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return pages


def _refuse_foreign(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARK).is_file():
        raise ConfigError(f"--site {folder}: holds other files, which would be lost; give a folder of its own")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"--site {folder}: is a file; give a folder")


class _Site:
    """Writes the pages of some tables below a folder."""

    def __init__(self, folder: Path, comparisons: Sequence[Comparison]) -> None:
        self.folder = folder
        self.comparisons = comparisons
        self.nav = [(self._title(table), f"tables/{stem(table)}.html") for table in comparisons]

    def write(self) -> int:
        for name in ("tables", "cells", "pictures", "downloads", "figures", "assets"):
            (self.folder / name).mkdir(parents=True)
        for name, (_, content) in assets().items():
            if name != "index.html":
                (self.folder / "assets" / name).write_bytes(content)
        cells = self._cells()
        hrefs = [href for _, href in self.nav]
        tables = counted(zip(self.comparisons, hrefs, strict=True), "writing tables", len(hrefs))
        for comparison, href in tables:
            self._table(comparison, href, cells)
        for name, cell in counted(cells.items(), "writing cells", len(cells)):
            self._cell(name, cell)
        self._page("index.html", "Ablation tables", "index", {}, self._index(), {})
        (self.folder / MARK).write_text("Written by exp report --site, which replaces this folder.\n")
        return 1 + len(self.nav) + len(cells)

    def _title(self, comparison: Comparison) -> str:
        return " ".join(filter(None, (comparison.name, comparison.plan.variant)))

    def _cells(self) -> dict[str, CellState]:
        """Returns the cells that have begun, by id; one that is in several tables goes by its name in the first."""
        cells: dict[str, CellState] = {}
        for comparison in self.comparisons:
            for part in (part for row in comparison.plan.rows for part in row.each):
                for planned in part.cells:
                    cell = CellState(planned.cell.path, f"{part.title} s{planned.seed}")
                    if planned.state != "missing" and cell.id not in cells:
                        cell.look()
                        cells[cell.id] = cell
        return cells

    def _table(self, comparison: Comparison, href: str, cells: dict[str, CellState]) -> None:
        name, page = stem(comparison), payload.table(comparison)
        downloads = []
        for kind, write in (("csv", as_csv), ("tex", latex), ("json", as_json), ("md", markdown)):
            (self.folder / "downloads" / f"{name}.{kind}").write_text(write(comparison), encoding="utf-8")
            downloads.append((kind, f"../downloads/{name}.{kind}"))
        for figure in figures(comparison):
            for path in save(figure, self.folder / "figures", name):
                downloads.append((path.name.removeprefix(f"{name}-"), f"../figures/{path.name}"))
        has = [cell["i"] for cell in page["cells"] if cell["i"] in cells]
        links = [(cell["n"], f"../cells/{file_of(cell['i'])}.html") for cell in page["cells"] if cell["i"] in has]
        more = {"downloads": downloads, "has": has}
        self._page(
            href, f"{comparison.name}: {page['title']}", "table", page, _plain_table(page, downloads, links), more
        )

    def _cell(self, name: str, cell: CellState) -> None:
        page = payload.opened(cell, Remaining(Folder(cell.path.parents[1], {})))
        page |= {"path": name, "log": "", "options": _without_places(page["options"])}
        page["cell"] = {key: value for key, value in page["cell"].items() if key not in ("h", "mem")}
        for picture in pictures(cell.path):
            target = self.folder / "pictures" / file_of(name) / picture
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(cell.path / picture, target)
        self._page(f"cells/{file_of(name)}.html", cell.name, "cell", page, _plain_cell(page), {})

    def _index(self) -> str:
        lines = []
        for comparison, (title, href) in zip(self.comparisons, self.nav, strict=True):
            plan = comparison.plan
            done = sum(row.count("done", "stale") for row in plan.rows)
            given = ", ".join(f"{n} {word}" for word, n in verdicts(comparison).items())
            link = f'<a href="{escape(href)}">{escape(title)}</a>'
            lines.append([link, escape(plan.table.title), f"{done}/{plan.expected}", escape(given)])
        return "<h1>Ablation tables</h1>" + _grid(("table", "title", "cells done", "verdicts"), lines, "loose")

    def _page(self, href: str, title: str, kind: str, data: dict[str, Any], plain: str, more: dict[str, Any]) -> None:
        up = "../" * href.count("/")
        page = {"kind": kind, "title": "Ablation tables", "up": up, "here": href, "nav": self.nav, "data": data, **more}
        scripts = "".join(f'<script src="{up}assets/{name}.js"></script>\n' for name in SCRIPTS)
        nav = "".join(f'<a href="{up}{escape(target)}">{escape(name)}</a> ' for name, target in self.nav)
        (self.folder / href).write_text(
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n<link rel="icon" href="data:,">\n'
            f'<title>{escape(title)}</title>\n<link rel="stylesheet" href="{up}assets/style.css">\n</head>\n<body>\n'
            f'<header id="top"><nav><a href="{up}index.html">tables</a> {nav}</nav></header>\n'
            f'<main id="main" tabindex="-1">{plain}</main>\n'
            f'<script id="data" type="application/json">{embedded(page)}</script>\n{scripts}</body>\n</html>\n',
            encoding="utf-8",
        )


SCRIPTS = ("dom", "chart", "cells", "pages", "app")


def stem(comparison: Comparison) -> str:
    """Returns a table's file name, which its variant is part of."""
    words = "-".join(filter(None, (comparison.name, comparison.plan.variant)))
    return "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in words)[:120]


def file_of(name: str) -> str:
    """Returns a cell's file name."""
    return name.replace("/", "-")


def embedded(value: Any) -> str:
    """Returns JSON that may lie in a page: no letter of it opens or closes an element."""
    text = json.dumps(value, allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _without_places(options: dict[str, Any]) -> dict[str, Any]:
    """Returns options without those about a machine, and without the folders of absolute paths."""
    kept = {part: value for part, value in options.items() if part not in OWN}
    cleaned: dict[str, Any] = json.loads(json.dumps(kept), object_hook=_shortened)
    return cleaned


def _shortened(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
        for key, value in values.items()
    }


def _plain_table(page: dict[str, Any], downloads: Links, cells: Links) -> str:
    parts = [f"<h1>{escape(page['name'])}: {escape(page['title'])}</h1>", f"<p>{escape(page['state'])}</p>"]
    parts += [f"<p>{escape(text)}</p>" for text in filter(None, (page["label"], *page["remarks"]))]
    parts.append(f"<p>Download: {_links(downloads)}</p>")
    for column in page["columns"]:
        parts.append(f"<h2>{escape(column['title'])}</h2>")
        parts.append(_grid(column["headings"], ([escape(text) for text in row] for row in column["rows"])))
    claims = [[escape(text) for text in line] for line in page["claims"]["rows"]]
    if claims:
        parts.append("<h2>Claims</h2>" + _grid(page["claims"]["headings"], claims))
    parts.append("<ul>" + "".join(f"<li>{escape(note)}</li>" for note in page["notes"]) + "</ul>")
    parts.append(f"<h2>Cells</h2><p>{_links(cells)}</p>")
    return "".join(parts)


def _plain_cell(page: dict[str, Any]) -> str:
    cell = page["cell"]
    scores = [[escape(name), escape(words.number(value))] for name, value in page["test"].items()]
    return (
        f"<h1>{escape(cell['n'])}</h1><p>{escape(cell['s'])} {escape(cell.get('x', ''))}</p>"
        + _grid(("metric", "test"), scores)
        + (f"<pre>{escape(page['error'])}</pre>" if page["error"] else "")
    )


def _grid(headings: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Returns a table of HTML that has been escaped."""
    head = "".join(f"<th>{escape(text)}</th>" for text in headings)
    body = "".join("<tr>" + "".join(f"<td>{text}</td>" for text in row) + "</tr>" for row in rows)
    table = f"<table class='{kind}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="scroll">{table}</div>'


def _links(links: Links) -> str:
    return " ".join(f'<a href="{escape(href)}">{escape(name)}</a>' for name, href in links)
