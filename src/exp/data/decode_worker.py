"""A process that decodes images: ``python -m exp.data.decode_worker MEMORY SIZE``, started by ``Decoders``.

It reads lists of paths, one JSON list a line, on standard input, leaves their pixels in the shared memory whose file
descriptor is MEMORY, and answers each line with null or with what is wrong. It imports neither torch nor Lightning, so
that it is ready in a fraction of a second, and it ends when its input ends: a parent that is killed takes it along.
"""

import json
import mmap
import os
import signal
import sys
from pathlib import Path

import cv2
import numpy as np

from exp.cells.machine import stay_nice
from exp.data.decode import read_image
from exp.data.source import DataError


def main(memory: int, size: int) -> None:
    """Decodes until the input ends."""
    stay_nice()
    cv2.setNumThreads(1)
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints stays out of the answers
    images = np.frombuffer(mmap.mmap(memory, 0), np.uint8).reshape(-1, 3, size, size)
    for line in sys.stdin:
        wrong = None
        try:
            for place, path in enumerate(json.loads(line)):
                images[place] = read_image(Path(path), size)
        except DataError as error:
            wrong = str(error)
        os.write(answers, json.dumps(wrong).encode() + b"\n")


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)  # what a signal to the whole job means is the parent's to decide
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except BrokenPipeError:
        os._exit(1)  # the parent is gone
