"""Makers of small data files in the publishers' layouts."""

from __future__ import annotations

import pickle
import struct
from typing import Any

import numpy as np


def python2_pickle(value: Any) -> bytes:
    """Protocol 2 as Python 2 with an old numpy wrote it: byte strings as BINSTRING, arrays by numpy.core."""

    def dump(value: Any) -> bytes:
        if isinstance(value, bytes):
            if len(value) < 256:
                return b"U" + bytes([len(value)]) + value
            return b"T" + struct.pack("<i", len(value)) + value
        if isinstance(value, bool):
            return b"\x88" if value else b"\x89"
        if isinstance(value, int):
            return b"J" + struct.pack("<i", value)
        if value is None:
            return b"N"
        if isinstance(value, tuple):
            return b"(" + b"".join(map(dump, value)) + b"t"
        if isinstance(value, list):
            return b"](" + b"".join(map(dump, value)) + b"e"
        if isinstance(value, dict):
            return b"}(" + b"".join(dump(key) + dump(item) for key, item in value.items()) + b"u"
        if isinstance(value, np.ndarray):
            assert value.dtype == np.uint8
            made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + dump((0,)) + dump(b"b") + b"tR"
            dtype = (
                b"cnumpy\ndtype\n" + dump((b"u1", 0, 1)) + b"R" + dump((3, b"|", None, None, None, -1, -1, 0)) + b"b"
            )
            return made + b"(" + dump(1) + dump(value.shape) + dtype + dump(False) + dump(value.tobytes()) + b"tb"
        raise TypeError(type(value))

    return b"\x80\x02" + dump(value) + b"."


def python3_pickle(value: Any) -> bytes:
    """Protocol 2 as today's Python and numpy write it."""
    return pickle.dumps(value, protocol=2)


PICKLES = [python2_pickle, python3_pickle]
"""Picklers in both flavours in which CIFAR files exist."""
