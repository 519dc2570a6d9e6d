"""The live view in a terminal: looks, draws, listens to keys, and sleeps so long that it costs less than a hundredth
of a core.
"""

import time

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from exp.watch.cell_state import CellState
from exp.watch.folder import STATES, Folder
from exp.watch.keys import Keys
from exp.watch.remaining import Remaining
from exp.watch.screen import PAGES, head, lines_of, listing, opened, ordered

LOOK_SECONDS = 1.0
SHARE = 0.01
"""The largest share of a core that looking and drawing may take."""

LONGEST_PAUSE = 30.0


class Pace:
    """Says how long to sleep so that this thread's work between two sleeps stays a small share of the time.

    Args:
        longest: Seconds it sleeps at most.
    """

    def __init__(self, longest: float = LONGEST_PAUSE) -> None:
        self._longest = longest
        self._spent = time.thread_time()

    def pause(self) -> float:
        """Returns the seconds to sleep after what was done since the last call."""
        now = time.thread_time()
        spent, self._spent = now - self._spent, now
        return min(self._longest, max(LOOK_SECONDS, spent / SHARE))


class Terminal:
    """The view and what is open in it.

    Args:
        folder: The cells.
        title: What is watched.
        console: The terminal.
    """

    def __init__(self, folder: Folder, title: str, console: Console) -> None:
        self.folder = folder
        self.title = title
        self.console = console
        self.remaining = Remaining(folder)
        self.chosen: str | None = None
        self.page: str | None = None
        self.state: str | None = None
        self.over = False

    def once(self) -> None:
        """Prints the cells as they are now."""
        self.folder.look()
        self.console.print(head(self.folder, self.remaining, self.title))
        cells = ordered(self.folder)
        if cells:
            self.console.print(listing(cells, self.remaining, self.console.width))

    def run(self) -> None:
        """Shows the cells until a key ends it."""
        pace = Pace()
        self.folder.look(LOOK_SECONDS)
        with Keys() as keys, Live(console=self.console, screen=True, auto_refresh=False) as live:
            until = 0.0
            while not self.over:
                live.update(self.drawn(), refresh=True)
                until = time.monotonic() + (0.05 if self.folder.reading else pace.pause())
                for key in keys.wait(until - time.monotonic()):
                    self.press(key)
                if time.monotonic() >= until:
                    self.folder.look(LOOK_SECONDS)

    def drawn(self) -> Group:
        """Returns the screen as it is now."""
        width, height = self.console.size
        cell = self.folder.cells.get(self.chosen or "")
        if self.page and cell is not None:
            body = opened(cell, self.page, self.remaining, width, height - 1)
            return Group(body, self._keys("esc back   tab, c curves, l log, e error   ↑↓ other cells   q quit"))
        top = head(self.folder, self.remaining, self.title)
        cells = ordered(self.folder, self.state)
        if not cells:
            what = f"no cell is {self.state}" if self.state else f"no cell in {self.folder.root} yet"
            return Group(top, Text(f"\n{what}\n", style="dim"), self._keys("f next state   q quit"))
        place = self._place(cells)
        shown = _window(cells, place, height - 6)
        table = listing([cells[i] for i in shown], self.remaining, width, place - shown.start)
        filtered = f"{self.state} alone" if self.state else "all"
        more = f"{shown.start + 1} to {shown.stop} of {len(cells)}, {filtered}"
        reading = f", {self.folder.reading} to be read" if self.folder.reading else ""
        keys = self._keys(f"{more}{reading}   ↑↓ choose  enter curves  l log  e error  f filter  q quit")
        return Group(top, table, keys)

    def _keys(self, words: str) -> Text:
        return Text(words, style="dim", no_wrap=True, overflow="ellipsis")

    def _place(self, cells: list[CellState]) -> int:
        place = next((i for i, cell in enumerate(cells) if cell.id == self.chosen), 0)
        self.chosen = cells[place].id
        return place

    def press(self, key: str) -> None:
        """Does what a key means; one without a meaning does nothing."""
        if key == "q":
            self.over = True
        elif key in ("escape", "left"):
            self.page = None
        elif key in ("enter", "right", "c"):
            self.page = "curves"
        elif key in ("l", "e"):
            self.page = "log" if key == "l" else "error"
        elif key == "tab" and self.page:
            self.page = PAGES[(PAGES.index(self.page) + 1) % len(PAGES)]
        elif key == "f" and not self.page:
            states = [None, *(state for state in STATES if state in self.folder.counts)]
            known = self.state if self.state in states else None
            self.state = states[(states.index(known) + 1) % len(states)]
        else:
            self._move(key)

    def _move(self, key: str) -> None:
        steps = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -20, "page down": 20, "home": -(10**9), "end": 10**9}
        cells = ordered(self.folder, self.state)
        if key in steps and cells:
            place = self._place(cells) + steps[key]
            self.chosen = cells[min(len(cells) - 1, max(0, place))].id


def _window(cells: list[CellState], place: int, lines: int) -> range:
    """Returns the cells around ``place`` that fit into so many lines."""
    start, used = place, lines_of(cells[place])
    while start > 0 and place - start < 8 and used + lines_of(cells[start - 1]) <= lines:
        start -= 1
        used += lines_of(cells[start])
    stop = place + 1
    while stop < len(cells) and used + lines_of(cells[stop]) <= lines:
        used += lines_of(cells[stop])
        stop += 1
    while start > 0 and used + lines_of(cells[start - 1]) <= lines:
        start -= 1
        used += lines_of(cells[start])
    return range(start, stop)
