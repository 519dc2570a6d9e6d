"""Tables of CSV and TSV files, and text columns pasted from a PDF."""

import csv
import io
import re

from exp.options.errors import ConfigError
from exp.tables.papers.printed import PrintedCell, PrintedTable, tidy


def read_delimited(text: str) -> list[PrintedTable]:
    """Returns the table of a CSV or TSV file; columns may be parted by comma, semicolon or tabulator.

    Raises:
        ConfigError: A line is none of such a file.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max("\t;,", key=first.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        lines = [line for line in reader if any(part.strip() for part in line)]
    except csv.Error as error:
        raise ConfigError(f"line {reader.line_num}: {error}") from error
    rows = [[PrintedCell(tidy(part)) for part in line] for line in lines]
    return [PrintedTable(rows, [delimiter.join(line) for line in lines], 1)] if len(rows) > 1 else []


def read_pasted(text: str) -> list[PrintedTable]:
    """Returns tables that are aligned by two blanks or more, as text copied from a PDF is; blank lines part them."""
    tables = []
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line.strip()]
        parts = [re.split(r"\s{2,}|\t", line.strip()) for line in lines]
        if len(parts) > 1 and max(map(len, parts)) > 1:
            tables.append(
                PrintedTable([[PrintedCell(tidy(p)) for p in row] for row in parts], [tidy(x) for x in lines])
            )
    return tables
