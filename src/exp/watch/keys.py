"""Single keys from a terminal, read without waiting for a line."""

import os
import select
import sys
from types import TracebackType
from typing import Any

ESCAPED = {
    "[A": "up", "[B": "down", "[5~": "page up", "[6~": "page down", "[H": "home", "[F": "end", "[D": "left",
    "[C": "right", "OA": "up", "OB": "down", "": "escape",
}  # fmt: skip
"""What follows the escape letter, and the name of the key."""

PLAIN = {"\r": "enter", "\n": "enter", "\x7f": "escape", "\x03": "q", "\t": "tab"}


class Keys:
    """A terminal that gives keys as they are pressed; a context manager that gives it back as it was."""

    def __init__(self) -> None:
        self._file = sys.stdin.fileno()
        self._before: list[Any] | None = None

    def __enter__(self) -> "Keys":
        import termios
        import tty

        self._before = termios.tcgetattr(self._file)
        tty.setcbreak(self._file)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import termios

        if self._before is not None:
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> list[str]:
        """Returns the keys pressed, as soon as there are some and after ``seconds`` at the latest."""
        ready, _, _ = select.select([self._file], [], [], max(0.0, seconds))
        return named(os.read(self._file, 1024).decode("utf-8", errors="replace")) if ready else []


def named(text: str) -> list[str]:
    """Returns the names of the keys in what a terminal has sent: letters themselves, ``up``, ``enter`` and so on."""
    keys = []
    while text:
        if text[0] == "\x1b":
            code = max((code for code in ESCAPED if text[1:].startswith(code)), key=len)
            keys.append(ESCAPED[code])
            text = text[1 + len(code) :]
        else:
            keys.append(PLAIN.get(text[0], text[0]))
            text = text[1:]
    return keys
