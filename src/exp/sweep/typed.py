"""A sweep or table that Python asks for but a command line runs, in a process of its own; and how either ends."""

import signal
import subprocess
import sys
from collections.abc import Sequence

from exp.cells.terminal import pasted
from exp.options.errors import CellFailed, ConfigError, interrupt


def by_command(words: Sequence[str]) -> None:
    """Runs a sweep or table as the command line does and prints its lines as they come.

    A launcher is Hydra's, which wants an application, a working directory and signals of its own.

    Raises:
        ConfigError: A choice or option is wrong, or the launcher is not there.
        CellFailed: A cell failed.
        KeyboardInterrupt: It was interrupted.
    """
    complaint = ""
    with subprocess.Popen(
        [sys.executable, "-m", "exp", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while True:
            try:
                for line in process.stdout:
                    print(complaint, end="", flush=True)
                    complaint = line if line.startswith("exp: ") else ""
                    print("" if complaint else line, end="", flush=True)
                break
            except KeyboardInterrupt:
                process.send_signal(signal.SIGINT)
    if process.returncode == 2:
        raise ConfigError(complaint.removeprefix("exp: ").strip())
    print(complaint, end="", flush=True)
    ended(process.returncode, pasted("exp", *words))


def ended(code: int, command: str) -> None:
    """Returns where all went well.

    Args:
        code: The exit code.
        command: What was asked for, as the command line has it.

    Raises:
        CellFailed: A cell failed.
        KeyboardInterrupt: It was interrupted.
    """
    if code == 130:
        raise interrupt("what ran is saved, and the same call goes on from there")
    if code:
        raise CellFailed(f"{command}: a cell has not ended well; see above")
