"""What a printed table is, whatever it was printed in: rows of cells, with what was bold and what each row says."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from exp.tables.parsing import NUMBER

FAILED = ("failed", "diverged", "diverges", "oom", "nan", "failure", "outofmemory", "notconverged")
"""What a table prints where a run gave no number because it failed."""
NOTHING = ("", "-", "–", "—", "n/a", "na", "n.a.", "--", "---", "?", "/")
MINUS = str.maketrans("−–", "--")


@dataclass(frozen=True)
class PrintedCell:
    """A cell.

    Attributes:
        text: What is printed, without footnote marks and references.
        bold: Whether it is set bold.
        underlined: Whether it is underlined.
        columns: How many columns it is wide.
        rows: How many rows it is high.
    """

    text: str
    bold: bool = False
    underlined: bool = False
    columns: int = 1
    rows: int = 1


@dataclass
class PrintedTable:
    """A table as it is printed.

    Attributes:
        rows: Cells of each row.
        quotes: The verbatim text of each row.
        heads: How many rows are headings, None where the format does not say.
        caption: Its caption.
        label: By which a paper refers to it.
        hidden_spans: Whether what a cell above reaches into is left out of a row, as in HTML; LaTeX has an empty cell.
    """

    rows: list[list[PrintedCell]]
    quotes: list[str]
    heads: int | None = None
    caption: str = ""
    label: str = ""
    hidden_spans: bool = False

    def squared(self) -> "PrintedTable":
        """Returns it with a cell for every place: what spans several columns or rows is there several times."""
        filled: list[list[PrintedCell]] = []
        hanging: dict[int, tuple[int, PrintedCell]] = {}
        for row in self.rows:
            cells: list[PrintedCell] = []
            for cell in row:
                while self.hidden_spans and hanging.get(len(cells), (0, cell))[0]:
                    left, above = hanging[len(cells)]
                    hanging[len(cells)] = (left - 1, above)
                    cells.append(above)
                for _ in range(cell.columns):
                    left, above = hanging.get(len(cells), (0, cell))
                    if left and not cell.text and not self.hidden_spans:
                        hanging[len(cells)] = (left - 1, above)
                        cells.append(above)
                        continue
                    hanging.pop(len(cells), None)
                    single = replace(cell, columns=1, rows=1)
                    if cell.rows > 1:
                        hanging[len(cells)] = (cell.rows - 1, single)
                    cells.append(single)
            while self.hidden_spans and len(cells) in hanging and hanging[len(cells)][0]:
                left, above = hanging[len(cells)]
                hanging[len(cells)] = (left - 1, above)
                cells.append(above)
            filled.append(cells)
        width = max((len(row) for row in filled), default=0)
        for row in filled:
            row += [PrintedCell("")] * (width - len(row))
        return replace(self, rows=filled)


@dataclass(frozen=True)
class PrintedNumber:
    """A number with its spread and number of runs, as far as they are printed; failed where a run gave none."""

    value: float | None
    sd: float | None = None
    n: int | None = None
    scale: str = ""


VALUE = re.compile(
    r"(?P<value>[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+))\s*(?P<unit>%|[KMGBTkm]\b)?"
    r"(?:\s*(?:±|\+/-|\+-)\s*(?P<sd>\d+(?:\.\d+)?|\.\d+)\s*%?)?"
    r"(?:\s*\(\s*(?:n\s*=\s*)?(?P<n>[1-9]\d{0,3})\s*(?:runs|seeds)?\))?"
    r"(?:\s*\(\s*[-+↑↓±][^)]*\))?\s*(?P<unit2>%|[KMGBT]\b)?"
)


def number(text: str) -> PrintedNumber | None:
    """Returns the number that a cell prints: ``64.60 ± 0.3 (5)``, ``3,864``, ``25.6M``, ``71.2 (+0.4)``, ``diverged``.

    None where it prints none.
    """
    plain = text.translate(MINUS).strip()
    if "".join(plain.lower().split()).replace(".", "").replace("-", "") in FAILED:
        return PrintedNumber(None)
    found = VALUE.fullmatch(plain)
    if not found:
        return None
    sd, n = found["sd"], found["n"]
    if n is not None and sd is None:
        n = None  # a number in brackets alone may be anything
    scale = next((unit for unit in (found["unit"], found["unit2"]) if unit and unit != "%"), "")
    return PrintedNumber(
        float(found["value"].replace(",", "")), None if sd is None else float(sd), None if n is None else int(n), scale
    )


def is_nothing(text: str) -> bool:
    """Whether a cell prints that there is nothing."""
    return text.strip().lower() in NOTHING


def tidy(text: str) -> str:
    """Text with single blanks."""
    return " ".join(text.split())


@dataclass
class PrintedColumn:
    """A column of numbers: the levels of its heading, and a number a row (None where there is none)."""

    heads: Sequence[str]
    numbers: list[PrintedNumber | None]
    bold: list[bool] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The heading in a line."""
        return re.sub(r"\s*(?:\([^)\d]*\)|[↑↓])", "", self.heading).strip() or "value"

    @property
    def heading(self) -> str:
        """The heading in a line, with unit and arrow."""
        return tidy(" ".join(dict.fromkeys(part for part in self.heads if part)))


def has_number(text: str) -> bool:
    """Whether anything in a text is a number."""
    return bool(NUMBER.search(text))
