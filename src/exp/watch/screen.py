"""What ``exp watch`` shows in a terminal, as text for any width: the list of cells, and one cell opened."""

import math
from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from exp.cells.terminal import amount, count, duration
from exp.watch.cell_state import CellState
from exp.watch.folder import STATES, Folder
from exp.watch.metrics_tail import curves
from exp.watch.plot import plot
from exp.watch.remaining import Remaining
from exp.watch.text_files import tail

STYLES = {
    "done": "green", "running": "cyan", "failed": "red", "diverged": "magenta", "waiting": "dim", "reading": "dim",
}  # fmt: skip
HEADINGS = ("cell", "state", "epoch", "metric (best)", "samples/s", "time", "device", "memory", "host")
SPARED = (8, 7, 6, 4)
"""Places of the headings that a narrow terminal goes without, the first that is spared first."""
BAR = 40
"""Letters of the bar that shows how much of all cells is over."""
TIME = 5
"""Place of the time."""
RIGHT = (2, 3, 4, TIME, 7)
"""Places of the columns of numbers."""

PAGES = ("curves", "log", "error")


def head(folder: Folder, remaining: Remaining, title: str) -> Group:
    """Returns the first lines: what is watched, how many cells are how far, and the time left."""
    counts, total = folder.counts, len(folder.scope)
    first = Text(title, style="bold")
    first.append(f"  {total} cell{'' if total == 1 else 's'}  ", style="not bold")
    for state, n in counts.items():
        first.append(f" {n} {state} ", style=STYLES[state])
    left = remaining.of_sweep()
    lines: list[RenderableType] = [first]
    if total:
        over = round(BAR * sum(cell.progress for cell in folder.scope) / total)
        bar = Text().append("━" * over, style="green").append("─" * (BAR - over), style="dim")
        lines.append(bar if left is None else bar.append(f"  about {duration(left)} left"))
    best = folder.best()
    if best is not None and best.value is not None:
        score = f"{best.monitor[0]} {number(best.value)}, {best.name}"
        lines.append(Text(f"best epoch so far, in validation: {score}", style="dim"))
    return Group(*lines)


def ordered(folder: Folder, state: str | None = None) -> list[CellState]:
    """Returns the cells as they are listed: by state, running ones first, then by name."""
    place = {name: index for index, name in enumerate(STATES)}
    chosen = [cell for cell in folder.cells.values() if state in (None, cell.state)]
    return sorted(chosen, key=lambda cell: (place[cell.state], cell.path.parent.name, cell.name))


def listing(cells: Sequence[CellState], remaining: Remaining, width: int, chosen: int | None = None) -> Group:
    """Returns the lines of some cells, below their headings.

    Args:
        cells: The cells in order.
        remaining: Judges the time left.
        width: Letters a line; narrow ones have no host, memory, device and speed. A name that has no room even then
            keeps its two ends, since cells differ in their seed at least.
        chosen: Which of them is marked.
    """
    rows = [_fields(cell, remaining) for cell in cells]
    rooms = {place: max(len(text) for text in column) for place, column in enumerate(zip(HEADINGS, *rows, strict=True))}

    def over() -> int:
        return 2 + sum(rooms.values()) + 2 * (len(rooms) - 1) - width

    for place in SPARED:
        if over() > 0:
            del rooms[place]
    if over() > 0:  # what is left of a running cell's time is told from what another took by the cell's state
        rows = [[text.removesuffix(" left") for text in fields] for fields in rows]
        rooms[TIME] = max(len(fields[TIME]) for fields in (HEADINGS, *rows))
    rooms[0] = max(10, rooms[0] - max(0, over()))
    lines = [_line(HEADINGS, rooms, "dim", "dim")]
    for place, (cell, fields) in enumerate(zip(cells, rows, strict=True)):
        lines.append(_line(fields, rooms, "bold" if place == chosen else "", STYLES[cell.state], place == chosen))
        if remark := _remark(cell):
            style = STYLES[cell.state] if cell.note else "yellow"
            lines.append(Text(f"    {remark}", style=style, no_wrap=True, overflow="ellipsis"))
    return Group(*lines)


def _fields(cell: CellState, remaining: Remaining) -> list[str]:
    memory = cell.status.get("memory_bytes")
    return [
        cell.name,
        cell.state,
        epoch(cell),
        against_best(cell),
        count(cell.speed) if cell.speed else "",
        time_of(cell, remaining),
        str(cell.status.get("device") or cell.result.get("device") or "")[:20],
        amount(memory) if memory and cell.state == "running" else "",
        str(cell.status.get("host") or cell.result.get("host") or "").split("/")[0][:16],
    ]


def _line(fields: Sequence[str], rooms: Mapping[int, int], name: str, state: str, chosen: bool = False) -> Text:
    """Returns one line: the fields that have room at their places, the cell's name shortened in its middle to its."""
    line = Text(no_wrap=True, overflow="ellipsis").append("❯ " if chosen else "  ", style="bold")
    for place, room in rooms.items():
        text = fields[place]
        end = room // 2
        short = text if len(text) <= room else text[: room - 1 - end] + "…" + text[len(text) - end :]
        style = name if place == 0 else state if place == 1 else "dim" if name == "dim" else ""
        line.append(short.rjust(room) if place in RIGHT else short.ljust(room), style=style).append("  ")
    line.rstrip()
    return line


def _remark(cell: CellState) -> str:
    """What there is to say below a cell: why it ended, or its last alarm."""
    return cell.note or (f"alarm: {cell.status['alarm']}" if cell.status.get("alarm") else "")


def lines_of(cell: CellState) -> int:
    """Returns how many lines ``listing`` takes for a cell."""
    return 2 if _remark(cell) else 1


def epoch(cell: CellState) -> str:
    """``3/12``: epochs over of those planned."""
    if cell.state == "done":
        return str(cell.result.get("epochs", ""))
    if "max_epochs" not in cell.status:
        return ""
    return f"{cell.status.get('epoch', 0):g}/{cell.status['max_epochs']:g}"


def against_best(cell: CellState) -> str:
    """``top1 97.2 (98.1)``: the monitored metric at last and at best, ``test top1 97.9`` once the cell is done."""
    name = cell.monitor[0]
    best = cell.value
    now = cell.shown.get(name) if cell.state == "done" else (cell.status.get("metrics") or {}).get(name)
    if now is None:
        return "" if best is None else f"{name} {number(best)}"
    same = best is None or cell.state == "done" or number(best) == number(now)
    return f"{'test ' * (cell.state == 'done')}{name} {number(now)}" + ("" if same else f" ({number(best)})")


def time_of(cell: CellState, remaining: Remaining) -> str:
    """The time that a running cell has left, or what a done one took."""
    if cell.state == "running":
        left = remaining.of_cell(cell)
        return "" if left is None else f"{duration(left)} left"
    seconds = cell.result.get("train_seconds")
    return duration(seconds) if seconds else ""


def number(value: float | None) -> str:
    """Four significant digits."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.4g}"


def opened(cell: CellState, page: str, remaining: Remaining, width: int, height: int) -> Group:
    """Returns one cell: a page of its curves, its log or its error.

    Args:
        cell: The cell.
        page: One of ``PAGES``.
        remaining: Judges the time left.
        width: Letters a line.
        height: Lines there are.
    """
    cell.metrics.update()
    first = Text(cell.name, style="bold").append(f"  {cell.state}", style=STYLES[cell.state])
    facts = [f"epoch {epoch(cell)}" if epoch(cell) else "", against_best(cell), time_of(cell, remaining)]
    facts += [f"{count(cell.speed)} samples/s" if cell.speed else "", str(cell.status.get("device") or "")]
    facts += [cell.status.get("evaluating", "")] if cell.state == "running" else []
    second = Text("  ".join(fact for fact in facts if fact), style="dim", no_wrap=True, overflow="ellipsis")
    tabs = Text("  ").join(Text(f" {tab} ", style="reverse" if tab == page else "dim") for tab in PAGES)
    room = max(4, height - 5)
    body: RenderableType
    if page == "curves":
        body = _curves(cell, width, room)
    else:
        text = tail(cell.path / f"{page}.txt") or f"no {page}.txt"
        lines = text.split("\n")[-room:]
        body = Text("\n".join(lines), no_wrap=True, overflow="ellipsis", style="" if page == "log" else "red")
    where = Text(str(cell.path), style="dim", no_wrap=True, overflow="ellipsis")
    return Group(first, second, where, tabs, body)


def _curves(cell: CellState, width: int, height: int) -> Group:
    by_name = curves(cell.metrics.records)
    name = cell.monitor[0]
    scores = {key: by_name[key] for key in (f"val/{name}", f"test/{name}", f"train/{name}") if key in by_name}
    losses = {key: points for key, points in by_name.items() if key.endswith("/loss") and not key.startswith("step/")}
    if not scores and not losses:
        losses = {key: points for key, points in by_name.items() if key == "step/loss"}
    both = [(title, series) for title, series in ((name, scores), ("loss", losses)) if series]
    if not both or height < 12:
        both = both[:1] or [("", {})]
    each = height // len(both)
    parts: list[Text] = []
    for title, series in both:
        parts += [Text(title, style="bold"), *plot(series, width, each - 1)]
    return Group(*parts)
