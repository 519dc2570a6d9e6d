"""``exp`` and ``python -m exp``: a verb, or a cell or sweep to run. Imports no torch unless a cell trains here."""

import errno
import os
import sys

from exp.cells.machine import speed_up
from exp.cells.terminal import remember_typed
from exp.options.errors import CellFailed, ConfigError, DataError, shown

SHOWING = ("--cfg", "-c", "--info", "-i")
"""Beginnings of Hydra's flags that print a configuration."""

ASKED = ("-sc", "--shell-completion")
"""Hydra's flag by which a shell installs completion and asks for it."""

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
"""Errors by which a disk says that it is full or read-only: not ours, so they are a line and no traceback."""


def main() -> None:
    """Runs the command line and exits.

    The exit code is 0 (done), 1 (a cell failed, or a disk is full), 2 (the command line is wrong) or 130 (interrupted).
    """
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Returns the command line's exit code.

    A first word without ``=`` and without a leading dash is a verb; everything else is Hydra's.
    """
    speed_up()
    remember_typed(arguments)
    try:
        if any(word.lstrip("+").startswith("task=") and ".py" in word for word in arguments):
            from exp.options.compose import with_files

            arguments = with_files(arguments)
        if any(word in ASKED for word in arguments):
            from exp.commands.completion import complete
            from exp.commands.train import train

            return complete(arguments, train)
        verb = arguments[0] if arguments and arguments[0].isidentifier() else None
        if verb is None and {"-h", "--help"} & set(arguments):
            verb, arguments = "help", ["help"]
        if verb is not None:
            from exp.commands.front import run_verb

            return run_verb(verb, arguments[1:])
        if any(word.startswith(SHOWING) for word in arguments):
            from exp.commands.configuration import print_configuration, wanted

            if wanted(arguments):
                return print_configuration(arguments)
        from exp.commands.train import train

        return train(arguments)
    except (ConfigError, DataError) as error:
        print(f"exp: {shown(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except CellFailed as error:
        print(f"exp: {shown(error)}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever reads the output, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in DISK:
            raise
        print(f"exp: {shown(error)}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    main()
