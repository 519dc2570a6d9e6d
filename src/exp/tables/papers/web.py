"""Tables of HTML pages, as browsers and LaTeXML write them; notes and hidden annotations are left out."""

import re
from html.parser import HTMLParser

from exp.tables.papers.printed import PrintedCell, PrintedTable, tidy

HIDDEN = ("annotation", "annotation-xml", "script", "style", "sup", "button", "svg")
"""Elements whose text is no part of a cell; a raised mark is a note."""
EMPTY = ("br", "img", "hr", "input", "meta", "link", "wbr", "col")


def read_html(text: str) -> list[PrintedTable]:
    """Returns the tables of a page."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return [table for table in reader.tables if table.rows]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[PrintedTable] = []
        self._open: list[PrintedTable] = []
        self._hidden = 0
        self._cell: dict[str, str | None] | None = None
        self._text = ""
        self._bold = self._underlined = False
        self._caption: str | None = None
        self._row_heads = True
        self._heading = ""
        self._in_heading = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        style = given.get("style") or ""
        if tag in HIDDEN:
            self._hidden += 1
        elif tag == "table":
            self._open.append(PrintedTable([], [], None, self._heading, hidden_spans=True))
        elif tag == "tr" and self._open:
            self._open[-1].rows.append([])
            self._row_heads = True
        elif tag in ("td", "th") and self._open:
            self._cell, self._text, self._bold, self._underlined = {**given, "tag": tag}, "", False, False
            self._row_heads = self._row_heads and tag == "th"
        elif tag in ("caption", "figcaption") and self._open:
            self._caption = ""
        elif re.fullmatch(r"h[1-6]", tag):
            self._heading, self._in_heading = "", True
        if (
            tag in ("b", "strong")
            or "ltx_font_bold" in (given.get("class") or "")
            or re.search(r"font-weight:\s*(bold|[6-9]00)", style)
        ):
            self._bold = self._bold or self._cell is not None
        if tag == "u" or "underline" in style or "ltx_framed_underline" in (given.get("class") or ""):
            self._underlined = self._underlined or self._cell is not None
        if tag == "br":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag in ("td", "th") and self._open and self._cell is not None and self._open[-1].rows:
            columns, rows = (self._span(name) for name in ("colspan", "rowspan"))
            text = tidy(re.sub(r"[†‡§*]+$", "", tidy(self._text)))
            self._open[-1].rows[-1].append(PrintedCell(text, self._bold, self._underlined, columns, rows))
            self._cell = None
        elif tag == "tr" and self._open and self._open[-1].rows:
            table = self._open[-1]
            table.quotes.append(" | ".join(cell.text for cell in table.rows[-1]))
            if self._row_heads and (table.heads or 0) == len(table.rows) - 1:
                table.heads = len(table.rows)
        elif tag in ("caption", "figcaption") and self._caption is not None and self._open:
            self._open[-1].caption, self._caption = tidy(self._caption), None
        elif tag == "table" and self._open:
            self.tables.append(self._open.pop())
        elif re.fullmatch(r"h[1-6]", tag):
            self._in_heading = False

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        if self._caption is not None:
            self._caption += data
        elif self._cell is not None:
            self._text += data
        elif self._in_heading:
            self._heading = tidy(f"{self._heading} {data}")

    def _span(self, name: str) -> int:
        assert self._cell is not None
        value = self._cell.get(name) or "1"
        return int(value) if value.isdigit() and 0 < int(value) < 200 else 1
