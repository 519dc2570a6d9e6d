"""Which part of a printed table is what: headings, names of rows, and columns of numbers."""

import re
from collections import Counter
from dataclasses import dataclass, field, replace

from exp.tables.papers.printed import (
    PrintedCell,
    PrintedColumn,
    PrintedNumber,
    PrintedTable,
    has_number,
    is_nothing,
    number,
    tidy,
)

PAIR = re.compile(r"\s*([-+]?\d+(?:\.\d+)?)\s*/\s*([-+]?\d+(?:\.\d+)?)\s*")


@dataclass
class Shape:
    """A printed table by its parts.

    Attributes:
        names: Of the rows, each once.
        labels: The texts that make each row's name.
        label_heads: The heading of each column of such texts.
        columns: Columns of numbers.
        quotes: Each row as it is printed.
        caption: Of the table.
        groups: The heading above each row, where there are headings between rows.
    """

    names: list[str]
    labels: list[list[str]]
    label_heads: list[str]
    columns: list[PrintedColumn]
    quotes: list[str]
    caption: str = ""
    groups: list[str] = field(default_factory=list)


def shape_of(table: PrintedTable) -> Shape | None:
    """Returns the parts of a table, None where it has no numbers."""
    table = _pairs_apart(table.squared())
    heads = _heads(table)
    body = [(row, quote) for row, quote in zip(table.rows[heads:], table.quotes[heads:], strict=True)]
    groups, kept, group = [], [], ""
    for row, quote in body:
        if _is_section(row):
            group = next((cell.text for cell in row if cell.text), "")
        elif any(not is_nothing(cell.text) for cell in row):
            kept.append((row, quote))
            groups.append(group)
    if not kept:
        return None
    width = len(kept[0][0])
    numeric = [place for place in range(width) if _is_numeric([row[place] for row, _ in kept])]
    texts = _label_columns([row for row, _ in kept], numeric, width)
    numeric = [place for place in numeric if place not in texts and not _is_years([row[place] for row, _ in kept])]
    if not numeric:
        return None
    columns = [_column(table.rows[:heads], [row for row, _ in kept], place) for place in numeric]
    labels = [_labels(row, texts) for row, _ in kept]
    return Shape(
        _names(labels, groups),
        labels,
        [tidy(" ".join(dict.fromkeys(row[place].text for row in table.rows[:heads]))) for place in texts],
        _unique(columns),
        [quote for _, quote in kept],
        table.caption,
        groups,
    )


def _is_section(row: list[PrintedCell]) -> bool:
    """Whether a row is a heading between rows: one text, over all columns or alone in its row."""
    texts = [cell.text for cell in row if cell.text]
    return (
        bool(texts)
        and len(row) > 1
        and (len(set(texts)) == 1)
        and number(texts[0]) is None
        and (len(texts) == len(row) or (len(texts) == 1 and row[0].text != ""))
        and len(texts) in (1, len(row))
    )


def _heads(table: PrintedTable) -> int:
    """How many rows are headings: as the format says, else those above the first row with numbers."""
    first = next((place for place, row in enumerate(table.rows) if _numbers(row) * 2 >= _filled(row)), len(table.rows))
    if table.heads is None:
        return first if first < len(table.rows) else 1
    return max(table.heads, 1) if table.heads < len(table.rows) else min(first, 1)


def _numbers(row: list[PrintedCell]) -> int:
    return sum(number(cell.text) is not None for cell in row[1:])


def _filled(row: list[PrintedCell]) -> int:
    return max(1, sum(bool(cell.text) for cell in row[1:]))


def _is_numeric(cells: list[PrintedCell]) -> bool:
    """Whether a column is of numbers, or of places left empty."""
    filled = [cell.text for cell in cells if not is_nothing(cell.text)]
    return bool(filled) and sum(number(text) is not None for text in filled) * 2 > len(filled)


def _label_columns(rows: list[list[PrintedCell]], numeric: list[int], width: int) -> list[int]:
    """Columns whose texts make the rows' names: those of text before the first number; the first column at least."""
    first = next((place for place in range(width) if place in numeric and place > 0), width)
    texts = [place for place in range(first) if place not in numeric or place == 0]
    later = [place for place in range(first, width) if place not in numeric]
    named = [tuple(row[place].text for place in texts) for row in rows]
    for place in later:  # only as far as they are needed to tell rows apart
        if len(set(named)) == len(named):
            break
        texts.append(place)
        named = [tuple(row[place].text for place in texts) for row in rows]
    return texts


def _labels(row: list[PrintedCell], places: list[int]) -> list[str]:
    return [row[place].text for place in places]


def _names(labels: list[list[str]], groups: list[str]) -> list[str]:
    """A name a row, of no more texts than tell the rows apart; without signs that a claim's order needs."""
    short = _joined(labels)
    if len(set(short)) < len(short):
        short = _joined([[group, *texts] for group, texts in zip(groups, labels, strict=True)])
    plain = [tidy(re.sub(r"[,>]", " ", name)) for name in short]
    counts: Counter[str] = Counter()
    names = []
    for name in plain:
        counts[name] += 1
        names.append(name if counts[name] == 1 else f"{name} ({counts[name]})")
    return names


def _joined(labels: list[list[str]]) -> list[str]:
    return [
        tidy(" ".join(dict.fromkeys(text for text in texts if not is_nothing(text)))) or "plain" for texts in labels
    ]


def _is_years(cells: list[PrintedCell]) -> bool:
    """Whether a column says when something was published."""
    filled = [cell.text for cell in cells if not is_nothing(cell.text)]
    return bool(filled) and all(re.fullmatch(r"(?:19[89]|20[0-4])\d", text) for text in filled)


def _column(heads: list[list[PrintedCell]], rows: list[list[PrintedCell]], place: int) -> PrintedColumn:
    cells = [row[place] for row in rows]
    numbers: list[PrintedNumber | None] = [number(cell.text) for cell in cells]
    return PrintedColumn([row[place].text for row in heads], numbers, [cell.bold for cell in cells])


def _unique(columns: list[PrintedColumn]) -> list[PrintedColumn]:
    counts: Counter[str] = Counter()
    for column in columns:
        counts[column.name] += 1
        if counts[column.name] > 1:
            column.heads = [*column.heads, str(counts[column.name])]
    return columns


def _pairs_apart(table: PrintedTable) -> PrintedTable:
    """Makes two columns of one that prints two numbers, such as ``64.6 / 87.2`` below ``Top-1 / Top-5``."""
    width = len(table.rows[0]) if table.rows else 0
    for place in reversed(range(1, width)):
        cells = [row[place] for row in table.rows]
        filled = [cell for cell in cells if has_number(cell.text)]
        if not filled or sum(bool(PAIR.fullmatch(cell.text)) for cell in filled) * 2 <= len(cells):
            continue
        table = replace(table, rows=[[*row[:place], *_halves(row[place]), *row[place + 1 :]] for row in table.rows])
    return table


def _halves(cell: PrintedCell) -> list[PrintedCell]:
    left, sign, right = cell.text.partition("/")
    if not sign:
        return [cell, cell]
    return [replace(cell, text=tidy(left)), replace(cell, text=tidy(right))]
