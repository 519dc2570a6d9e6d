"""A place in a notebook that is drawn over, as a terminal's last lines are. IPython comes with the kernel."""

import io
import time

from rich.console import Console, RenderableType

APART = 0.5
"""Seconds between two drawings; the browser has each of them to lay out."""
WIDTH = 100
"""Letters of a line."""


class Pane:
    """One output of the notebook's cell; what is saved with the notebook is what was drawn last."""

    def __init__(self) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        self._drawn = time.monotonic()
        self._handle = display(HTML(""), display_id=True)

    def draw(self, what: RenderableType, *, last: bool = False) -> None:
        """Draws over what is there.

        Args:
            what: What rich can print.
            last: Whether it stays; what stays is drawn however short the last drawing was ago.
        """
        now = time.monotonic()
        if now - self._drawn < APART and not last:
            return
        self._drawn = now
        paper = Console(file=io.StringIO(), record=True, width=WIDTH, force_jupyter=False, force_terminal=True)
        paper.print(what)
        frame = '<pre style="line-height:normal">{code}</pre>'
        self._handle.update(self._html(paper.export_html(code_format=frame, inline_styles=True)))
