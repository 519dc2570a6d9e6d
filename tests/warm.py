"""Processes of exp for tests, forked from one that has imported the libraries, which takes seconds of each otherwise.

exp itself is imported by every process anew, so that nothing it keeps is shared.
"""

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import subprocess
import sys
import tempfile
import threading
import types
import weakref
from pathlib import Path

LIBRARIES = ("lightning.pytorch", "torchmetrics", "hydra", "omegaconf", "rich.console", "matplotlib.figure")


class Warm:
    """A process to fork from.

    Args:
        environment: Its environment; processes that need libraries under another one are started as usual.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__],
            env=environment | {"OMP_WAIT_POLICY": "PASSIVE"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def run(
        self, way: str, what: str, words: list[str], cwd: Path, environment: dict[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Runs ``python -m MODULE WORDS`` or ``python -c CODE WORDS`` and returns what ``subprocess.run`` would."""
        assert self._server.stdin is not None
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / name for name in ("out", "err")]
            request = {"argv": [way, what, *words], "cwd": str(cwd), "env": environment, "to": [*map(str, paths)]}
            self._server.stdin.write(json.dumps(request) + "\n")
            process = int(self._answer(60))
            try:
                code = int(self._answer(timeout))
            except subprocess.TimeoutExpired:
                os.kill(process, signal.SIGKILL)
                self._answer(60)
                raise
            out, err = (path.read_text(errors="replace") for path in paths)
        return subprocess.CompletedProcess([sys.executable, way, what, *words], code, out, err)

    def _answer(self, timeout: float) -> str:
        assert self._server.stdout is not None
        if not select.select([self._server.stdout], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self._server.args, timeout)
        return self._server.stdout.readline()

    def close(self) -> None:
        """Ends the process."""
        with self._server:  # closes its ends, upon which it ends
            pass


def serve() -> dict:
    """Answers requests with the number of a child and, when it is over, its exit code; returns the child's in it."""
    for line in sys.stdin:
        if not (child := os.fork()):
            return json.loads(line)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


def become(request: dict) -> None:
    """Makes of this process what the request asks for."""
    for finalizer in list(weakref.finalize._registry):
        finalizer.atexit = False  # folders that libraries have made are the parent's to remove
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    for number, path in enumerate(request["to"], start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    way, what, *words = request["argv"]
    sys.path[:1] = [request["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if way == "-m":
            sys.argv = [what, *words]
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            sys.argv = ["-c", *words]
            sys.modules["__main__"] = main = types.ModuleType("__main__")
            exec(compile(what, "<string>", "exec"), main.__dict__)
        code = 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # freeing what was imported takes a second


if __name__ == "__main__":
    for library in LIBRARIES:
        with contextlib.suppress(ImportError):
            __import__(library)
    gc.freeze()
    become(serve())
