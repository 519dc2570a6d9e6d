"""Reads the pickles of public data sets without running what they ask for.

A pickle is a program: loading a stranger's file with ``pickle.load`` can run anything. Here the only names a file may
call are the few that plain containers and uint8 arrays need, and each is answered with an inert object of ours that
builds the value itself; numpy's own reconstruction is never called.
"""

import math
import os
import pickle
import pickletools
from pathlib import Path
from typing import Any

import numpy as np

from exp.data.fingerprint import noted
from exp.data.source import DataError, unreadable

_PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
# What a damaged file makes the unpickler raise (its documentation names some of them and says there are others).
_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
    RecursionError,
)


class _Refused(Exception):
    """The file asks for something that no data set needs."""


class _Inert:
    """A thing a pickle may name; it has no attributes and takes none, so a file can change nothing about it."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        raise _Refused(f"a state for {type(self).__name__[1:].lower()}")


class _NdarrayClass(_Inert):
    """In place of the name ``numpy.ndarray``, which is only ever passed on to ``_reconstruct``."""

    __slots__ = ()


class _Uint8(_Inert):
    """In place of a ``numpy.dtype`` instance; its state (byte order and the like) says nothing for one byte."""

    __slots__ = ()

    def __setstate__(self, state: object) -> None:
        pass


class _DtypeClass(_Inert):
    """In place of ``numpy.dtype``."""

    __slots__ = ()

    def __call__(self, code: object, *_flags: object) -> _Uint8:
        if code not in ("u1", b"u1", "|u1", b"|u1"):
            raise _Refused(f"an array of type {code!r}")
        return _Uint8()


class _Array:
    """In place of an array under construction; becomes a read-only uint8 array."""

    __slots__ = ("value",)

    value: np.ndarray

    def __setstate__(self, state: object) -> None:
        if not isinstance(state, tuple) or len(state) != 5 or not isinstance(state[2], _Uint8):
            raise _Refused("an array that is not uint8")
        _, shape, _, column_major, data = state
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"array shape {shape!r}")
        if not isinstance(data, bytes) or len(data) != math.prod(shape):
            raise ValueError(f"array bytes do not fill the shape {shape}")
        self.value = np.frombuffer(data, np.uint8).reshape(shape, order="F" if column_major else "C")


class _Reconstruct(_Inert):
    """In place of ``numpy.core.multiarray._reconstruct``."""

    __slots__ = ()

    def __call__(self, kind: object, shape: object, code: object) -> _Array:
        if not isinstance(kind, _NdarrayClass):
            raise _Refused("an array of a class of its own")
        return _Array()


class _FromBuffer(_Inert):
    """In place of ``numpy._core.numeric._frombuffer``, by which numpy writes arrays at protocol 5."""

    __slots__ = ()

    def __call__(self, data: object, kind: object, shape: object, order: object) -> _Array:
        if not isinstance(kind, _Uint8):
            raise _Refused("an array that is not uint8")
        if not isinstance(data, (bytes, bytearray)) or order not in ("C", "F"):
            raise ValueError("array bytes or order")
        array = _Array()
        array.__setstate__((1, shape, kind, order == "F", bytes(data)))
        return array


class _Encode(_Inert):
    """In place of ``_codecs.encode``, by which Python 3 writes bytes at protocol 2."""

    __slots__ = ()

    def __call__(self, text: object, codec: object = "utf-8") -> bytes:
        if not isinstance(text, str) or codec not in ("latin1", "latin-1", b"latin1"):
            raise _Refused(f"encoding by {codec!r}")
        return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], _Inert] = {
    ("numpy", "ndarray"): _NdarrayClass(),
    ("numpy", "dtype"): _DtypeClass(),
    ("numpy.core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy._core.multiarray", "_reconstruct"): _Reconstruct(),
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer(),
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
    ("_codecs", "encode"): _Encode(),
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows the names above and no others."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise _Refused(f"{module_name}.{global_name}") from None

    def persistent_load(self, pid: Any, /) -> Any:
        raise _Refused("an object kept outside the file")


def read_pickle(path: Path) -> dict[str, Any]:
    """Reads a pickled dictionary of plain values and uint8 arrays.

    Args:
        path: The file. Both the publishers' Python 2 pickles and re-made Python 3 ones are read.

    Returns:
        The dictionary, its keys as str. Strings of Python 2 stay bytes; arrays are uint8 and read-only.

    Raises:
        DataError: The file cannot be read, is damaged or truncated, or asks for anything but plain values; nothing
            the file names has been run then.
    """
    value = _load(path)
    if not isinstance(value, dict):
        raise DataError(f"{path}: holds a {type(value).__name__}, not a dictionary; get the publisher's own file")
    try:
        return {_text(key): item.value if isinstance(item, _Array) else item for key, item in value.items()}
    except (AttributeError, UnicodeDecodeError):
        raise DataError(f"{path}: damaged (unreadable keys or an unfinished array); get the file again") from None


def read_pickled_array(path: Path) -> np.ndarray:
    """Reads a pickled uint8 array.

    Args:
        path: The file.

    Returns:
        The array, read-only.

    Raises:
        DataError: As in ``read_pickle``, or if the file holds anything but one uint8 array.
    """
    value = _load(path)
    if not isinstance(value, _Array):
        raise DataError(f"{path}: holds a {type(value).__name__}, not an array; get the publisher's own file")
    try:
        return value.value
    except AttributeError:
        raise DataError(f"{path}: damaged (an unfinished array); get the file again") from None


def _load(path: Path) -> Any:
    try:
        noted("memo", [os.path.abspath(path)], lambda: _refuse_memo_bomb(path))  # half a second for CIFAR-100
        with path.open("rb") as file:
            return _Reader(file, encoding="bytes").load()
    except _Refused as error:
        raise DataError(f"{path}: refused, the pickle asks for {error}; get the publisher's own file") from None
    except _DAMAGE as error:
        raise DataError(f"{path}: damaged or truncated ({error}); get the file again") from None
    except OSError as error:
        raise unreadable(path, error) from None


def _refuse_memo_bomb(path: Path) -> dict[str, Any]:
    """Refuses a pickle that puts something at a far place of its memo, a table that grows up to that place.

    An honest pickle numbers its places in turn, so that none is beyond the byte where it is given.
    """
    with path.open("rb") as file:
        for opcode, place, at in pickletools.genops(file):
            if opcode.name in _PUTS and at is not None and int(place or 0) > at:
                raise _Refused(f"a table of {place} places")
    return {}


def _text(key: Any) -> str:
    return key.decode("ascii") if isinstance(key, bytes) else str(key)
