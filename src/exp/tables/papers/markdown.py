"""Tables of Markdown documents, with pipes."""

import re

from exp.tables.papers.printed import PrintedCell, PrintedTable, tidy

RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*")
MARKS = re.compile(r"\[\^[^\]]*\]|<sup>.*?</sup>|\[\d+(?:,\s*\d+)*\](?!\()")


def read_markdown(text: str) -> list[PrintedTable]:
    """Returns the tables of a document; what is above one, a heading or a line in bold, is its caption."""
    lines = text.splitlines()
    tables: list[PrintedTable] = []
    before = ""
    place = 0
    while place < len(lines):
        line = lines[place]
        if "|" in line and place + 1 < len(lines) and "-" in lines[place + 1] and RULE.fullmatch(lines[place + 1]):
            end = place + 2
            while end < len(lines) and "|" in lines[end] and lines[end].strip():
                end += 1
            kept = [line, *lines[place + 2 : end]]
            tables.append(PrintedTable([_cells(one) for one in kept], [tidy(one) for one in kept], 1, before))
            place = end
            continue
        if line.strip():
            before = tidy(re.sub(r"^#+|[*_`]{1,2}", "", line))
        place += 1
    return tables


def _cells(line: str) -> list[PrintedCell]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return [_cell(part.replace("\\|", "|")) for part in re.split(r"(?<!\\)\|", inner)]


def _cell(text: str) -> PrintedCell:
    text = MARKS.sub("", text.strip())
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    bold = bool(re.search(r"\*\*.+\*\*|__.+__|<b>|<strong>", text))
    underlined = "<u>" in text
    text = re.sub(r"</?\w+[^>]*>", "", text)
    text = re.sub(r"\*\*|__|`|\$", "", text).replace("\\pm", "±")
    text = re.sub(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)|[†‡§]+$", "", text)
    return PrintedCell(tidy(text), bold, underlined)
