"""Image files decoded in processes of their own, beside the training."""

import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import numpy as np
from typing_extensions import Self

from exp.data.files import ImageFiles
from exp.data.source import DataError, Pixels

CHUNK = 8
"""Images a process decodes between two answers."""

_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 25), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
"""Has glibc keep what an image leaves free; giving it back and taking it anew costs half as much time as decoding."""

Begin = Callable[[np.ndarray, np.ndarray], Sequence[Future[None]]]
"""Starts to read rows (n,) of a set into a uint8 array (n, C, H, W), which is complete when all futures are done."""


@contextmanager
def reader(images: Pixels, workers: int) -> Iterator[Begin]:
    """Reads rows of a set while the caller does something else.

    Args:
        images: The set.
        workers: Processes that decode where the images are files; 0, and any other set, is read in one thread.

    Yields:
        What starts a reading. Its futures raise DataError where a file is missing or damaged.
    """
    if isinstance(images, ImageFiles) and workers:
        with Decoders(workers, images.size) as decoders:
            yield lambda rows, target: decoders.begin([images.path(row) for row in rows], target)
        return

    def copy(rows: np.ndarray, target: np.ndarray) -> None:
        for place in np.argsort(rows):  # in the file's order, which a disk likes
            target[place] = images[rows[place]]

    thread = ThreadPoolExecutor(1, thread_name_prefix="exp-read")
    try:
        yield lambda rows, target: [thread.submit(copy, rows, target)]
    finally:
        thread.shutdown(cancel_futures=True)


class Decoders:
    """Processes that decode, each with a thread here that hands it work and copies its pixels out.

    The processes are fresh interpreters, not forks, so they may be started from a process in which torch has run. They
    end in ``close``, or when this process ends in whatever way.

    Args:
        workers: How many.
        size: Side of the decoded images.
    """

    def __init__(self, workers: int, size: int) -> None:
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        self._workers = [_Worker(size) for _ in range(workers)]
        for worker in self._workers:
            self._free.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="exp-decode")

    def begin(self, paths: Sequence[Path], target: np.ndarray) -> list[Future[None]]:
        """Starts to decode files into a uint8 array (n, 3, size, size), in chunks, by whichever process is free."""
        starts = range(0, len(paths), CHUNK)
        return [self._threads.submit(self._one, paths[at : at + CHUNK], target[at : at + CHUNK]) for at in starts]

    def _one(self, paths: Sequence[Path], target: np.ndarray) -> None:
        worker = self._free.get()  # there are as many as threads
        try:
            worker.decode(paths, target)
        finally:
            self._free.put(worker)

    def close(self) -> None:
        """Ends the processes; what has not begun is cancelled."""
        for worker in self._workers:
            worker.kill()  # it has nothing to save; its thread sees the end of its answers
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    """One process and the memory it shares with us."""

    def __init__(self, size: int) -> None:
        memory = _shared(CHUNK * 3 * size**2)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "exp.data.decode_worker", str(memory), str(size)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[memory],
                env=os.environ | _MEMORY,
                start_new_session=True,
            )
            self._images = np.frombuffer(mmap.mmap(memory, 0), np.uint8).reshape(CHUNK, 3, size, size)
        finally:
            os.close(memory)

    def decode(self, paths: Sequence[Path], target: np.ndarray) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([str(path) for path in paths]).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise RuntimeError(f"a decoding process ended with {_how(self._process.wait())}")
        wrong = json.loads(answer)
        if wrong is not None:
            raise DataError(wrong)
        target[:] = self._images[: len(paths)]

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.wait()
        self._process.stdout.close()
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # a request that it did not live to read


def _shared(size: int) -> int:
    """Returns a file descriptor of memory that goes away with the last process that has it."""
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("exp-decode")
    else:
        with tempfile.TemporaryFile() as file:
            memory = os.dup(file.fileno())
    os.ftruncate(memory, size)
    return memory


def _how(code: int) -> str:
    if code >= 0:
        return f"code {code}"
    name = signal.Signals(-code).name
    return f"{name} (out of memory?)" if name == "SIGKILL" else name
