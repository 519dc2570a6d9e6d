"""The course of one command's sweeps: how much time they have, and who hears of their end."""

import shlex
import shutil
import subprocess
import sys
import time

from omegaconf import DictConfig

from exp.options.checks import seconds_of
from exp.options.errors import ConfigError
from exp.options.fields import checked
from exp.options.sections import Sweep

NOTIFY_SECONDS = 60.0
"""A program that is told of the end and takes longer is ended."""

WORDS = {0: "done", 1: "failed or unfinished", 130: "interrupted"}
"""What an exit code of a sweep says."""


class Course:
    """What ``sweep.budget`` and ``sweep.notify`` ask for.

    Args:
        budget: Wall-clock seconds from now on; None for no end.
        notify: A program with its arguments, run once at the end.
        command: What the user typed.

    Raises:
        ConfigError: The program is not there.
    """

    def __init__(self, budget: float | None = None, notify: str | None = None, command: str = "") -> None:
        self._began = time.monotonic()
        self._budget = budget
        self._program = shlex.split(notify) if notify else []
        self._command = command
        self._summaries: list[str] = []
        if self._program and shutil.which(self._program[0]) is None:
            raise ConfigError(f"sweep.notify={notify}: there is no program {self._program[0]} to run")

    @classmethod
    def of(cls, config: DictConfig, command: str) -> "Course":
        """Returns the course that a composed configuration asks for.

        Raises:
            ConfigError: The budget is no duration, or there is no such program.
        """
        given = {name: config.sweep[name] for name in ("budget", "notify")}
        values = {name: checked(Sweep, name, value, f"sweep.{name}") for name, value in given.items()}
        budget = seconds_of(values["budget"]) if values["budget"] is not None else None
        return cls(budget, values["notify"], command)

    @property
    def left(self) -> float:
        """Seconds of the budget that are left."""
        return float("inf") if self._budget is None else self._budget - (time.monotonic() - self._began)

    @property
    def notifies(self) -> bool:
        """Whether somebody hears of the end."""
        return bool(self._program)

    def add(self, summary: str) -> None:
        """Keeps what a sweep has printed at its end."""
        self._summaries.append(summary)

    def end(self, code: int) -> int:
        """Tells whoever is to hear of the end; returns the exit code as it is, whatever comes of it."""
        if not self._program:
            return code
        text = "\n".join([f"{WORDS.get(code, code)}: {self._command}", *self._summaries])
        try:
            subprocess.run(self._program, input=text, text=True, timeout=NOTIFY_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"sweep.notify: {error}", file=sys.stderr)
        return code
