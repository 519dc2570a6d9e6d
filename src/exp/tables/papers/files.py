"""Reads the tables of a file by what it is."""

import importlib
from collections.abc import Callable
from pathlib import Path

from exp.options.errors import ConfigError
from exp.tables.papers.delimited import read_delimited, read_pasted
from exp.tables.papers.markdown import read_markdown
from exp.tables.papers.printed import PrintedTable
from exp.tables.papers.web import read_html

READERS: dict[str, Callable[[str], list[PrintedTable]]] = {
    **dict.fromkeys((".md", ".markdown"), read_markdown),
    **dict.fromkeys((".html", ".htm", ".xhtml"), read_html),
    **dict.fromkeys((".csv", ".tsv"), read_delimited),
    ".txt": read_pasted,
}
"""Readers by the ending of a file; LaTeX's is loaded when it is needed."""


def read_tables(path: Path) -> list[PrintedTable]:
    """Returns the tables of a file, in its order.

    Raises:
        ConfigError: It cannot be read, is of no known kind, or has no table.
    """
    ending = path.suffix.lower()
    if ending not in (*READERS, ".tex"):
        hint = "; of a PDF, paste the table's text into a .txt file" if ending == ".pdf" else ""
        raise ConfigError(f"{path}: tables are read from .tex, {', '.join(READERS)}{hint}")
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if ending == ".tex":
        tables = importlib.import_module("exp.tables.papers.latex").read_latex(text)
    else:
        try:
            tables = READERS[ending](text)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    if not tables:
        raise ConfigError(f"{path}: there is no table in it")
    return tables
