"""Aligned lines on a terminal, in as many columns as it has: nothing is cut, what does not fit goes below."""

from collections.abc import Sequence, Set

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

STYLES = {"better": "green", "worse": "red", "refuted": "red", "supported": "green"}
GAP = 2
"""Blanks between columns."""
LEFT = ("cells", "verdict")
"""Headings of text, which is set to the left as names are."""
BELOW = (
    *(("95 % interval", "p (corrected)"), ("difference", "effect")),
    *(("delta", "published"), ("cells",), ("verdict",)),
)
"""What goes to a second line, in this order, until a row fits."""


def new_console(record: bool = False) -> Console:
    """The terminal, or plain text that is never cut short.

    Args:
        record: Whether what is printed is kept for ``export_text``.
    """
    console = Console(highlight=False, soft_wrap=True, record=record)
    return console if console.is_terminal else Console(highlight=False, soft_wrap=True, width=1000, record=record)


def print_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], console: Console, *, names: int = 1) -> None:
    """Prints aligned rows; columns that do not fit go to a second line under each row, with their headings.

    Args:
        headings: Names of the columns.
        rows: Texts under them.
        console: Where to; its width decides. No text is cut.
        names: How many columns, from the left, make the row's name.
    """
    widths = [max(cell_len(text) for text in texts) for texts in zip(headings, *rows, strict=True)]
    beside = list(range(len(headings)))
    below: list[int] = []
    for next_ones in (*BELOW, *((heading,) for heading in reversed(headings[names:]))):
        if _width(widths, beside) <= console.width or len(beside) <= names + 1:
            break
        moved = [place for place in beside if place >= names and headings[place] in next_ones]
        beside, below = [place for place in beside if place not in moved], [*below, *moved]
    below.sort()
    own_line = names if _width(widths, beside) > console.width else 0
    left = {place for place, heading in enumerate(headings) if place < names or heading in LEFT}
    console.print(_line(headings, left, beside, widths, "bold", own_line), no_wrap=True, soft_wrap=True)
    for row in rows:
        console.print(_line(row, left, beside, widths, "", own_line), no_wrap=True, soft_wrap=True)
        more = [f"{headings[place]} {row[place]}" for place in below if row[place]]
        if more:
            console.print(Padding(Text(", ".join(more), style="dim"), (0, 0, 0, GAP)), soft_wrap=False)


def _width(widths: Sequence[int], places: Sequence[int]) -> int:
    return sum(widths[place] for place in places) + GAP * (len(places) - 1)


def _line(
    texts: Sequence[str], left: Set[int], places: Sequence[int], widths: Sequence[int], style: str, own_line: int
) -> Text:
    """Returns one row, the first ``own_line`` texts on a line of their own."""
    line = Text(style=style)
    for number, place in enumerate(places):
        text, blanks = texts[place], " " * (widths[place] - cell_len(texts[place]))
        if own_line and number == own_line:
            line.rstrip()
            line.append("\n")
        if number:
            line.append(" " * GAP)
        if own_line and number == own_line:
            line.append(text)
        elif place in left:
            line.append(text, style=STYLES.get(text.partition(";")[0], "")).append(blanks)
        else:
            line.append(blanks + text)
    line.rstrip()
    return line
