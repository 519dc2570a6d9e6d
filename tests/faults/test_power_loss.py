"""A power cut at any moment: what was brought to the disk by then is a whole old file, or a whole new one.

The operations on files are recorded while a cell's files are written. Then the disk is built as a cut after each of them
may leave it: bytes that were not synced are lost, names that were not synced are old or new.
"""

import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from exp.callbacks import generations
from exp.callbacks.generations import put_last, resumable
from exp.cells import files
from exp.cells.cell import FORMER, LAST, Cell
from exp.cells.files import read_json, write_json


class Disk:
    """What a folder holds on a disk that loses everything which was not synced.

    Attributes:
        log: ``sync FILE``, ``sync FOLDER`` and ``rename`` in the order they were made, with the bytes of files.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.log: list[tuple[Any, ...]] = []
        sync, replace = files.sync, os.replace

        def synced(path: Path) -> None:
            sync(path)
            self.log.append(("folder",) if path == folder else ("file", path.name, path.read_bytes()))

        def renamed(source: Path, target: Path) -> None:
            self.log.append(("rename", Path(source).name, Path(target).name))
            replace(source, target)

        for module in (files, generations):
            patch.setattr(module, "sync", synced)
        patch.setattr(os, "replace", renamed)

    def cuts(self, before: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
        """Every state that a cut may leave.

        Args:
            before: What was on the disk at the start.
        """
        for end in range(len(self.log) + 1):
            names, pending = dict(before), list[tuple[str, str]]()
            written: dict[str, bytes] = {}
            for operation in self.log[:end]:
                if operation[0] == "file":
                    written[operation[1]] = operation[2]
                elif operation[0] == "rename":
                    pending.append(operation[1:])
                else:
                    names, pending = renamed(names, pending, written), []
            for done in range(len(pending) + 1):
                yield renamed(names, pending[:done], written)


def renamed(names: dict[str, bytes], pending: list[tuple[str, str]], written: dict[str, bytes]) -> dict[str, bytes]:
    after, fresh = dict(names), dict(written)
    for source, target in pending:
        after[target] = after.pop(source) if source in after else fresh.pop(source, b"")  # not synced: empty
    return after


def replayed(
    tmp_path: Path, write: Callable[[Path], None], check: Callable[[Path], object], before: dict[str, bytes]
) -> tuple[int, set[object]]:
    """Returns the number of cuts tried, and what ``check`` saw after them."""
    folder = tmp_path / "cell"
    folder.mkdir()
    for name, data in before.items():
        (folder / name).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(folder, patch)
        write(folder)
    seen: set[object] = set()
    tried = 0
    for tried, state in enumerate(disk.cuts(before), 1):
        after = tmp_path / f"after-{tried}"
        after.mkdir()
        for name, data in state.items():
            (after / name).write_bytes(data)
        seen.add(check(after))
    return tried, seen


def test_json_is_old_or_new(tmp_path: Path) -> None:
    old = json.dumps({"n": 0}).encode()

    def write(folder: Path) -> None:
        for n in (1, 2):
            write_json(folder / "status.json", {"n": n})

    tried, seen = replayed(
        tmp_path, write, lambda folder: (read_json(folder / "status.json") or {}).get("n"), {"status.json": old}
    )
    assert seen == {0, 1, 2}
    assert tried >= 7


def test_a_result_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        Cell(folder).write_result({"test": {"top1": 1.0}})

    def check(folder: Path) -> object:
        return json.dumps((Cell(folder).result() or {}).get("test")), Cell(folder).status()["state"]

    assert replayed(tmp_path, write, check, {})[1] == {("null", "waiting"), ('{"top1": 1.0}', "done")}


def checkpoint(path: Path, number: int) -> None:
    torch.save({"exp": {"best": None}, "number": number}, path)


def test_one_of_two_checkpoints_can_always_be_gone_on_from(tmp_path: Path) -> None:
    checkpoint(tmp_path / "first", 0)

    def write(folder: Path) -> None:
        for number in (1, 2, 3):
            put_last(folder, lambda path, number=number: checkpoint(path, number), keep=True)  # type: ignore[misc]

    def check(folder: Path) -> object:
        path = resumable(folder, tell=False)
        return None if path is None else torch.load(path, weights_only=True)["number"]

    tried, seen = replayed(tmp_path, write, check, {LAST: (tmp_path / "first").read_bytes()})
    assert seen == {0, 1, 2, 3}
    assert tried >= 15


def test_the_simulated_disk_loses_what_is_not_synced(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "fresh").write_bytes(b"new")
        os.replace(folder / "fresh", folder / "file")

    seen = replayed(tmp_path, write, lambda folder: (folder / "file").read_bytes(), {"file": b"old"})[1]
    assert seen == {b"old", b""}


def test_a_checksum_is_compared(tmp_path: Path) -> None:
    checkpoint(tmp_path / LAST, 1)
    checkpoint(tmp_path / FORMER, 0)
    data = bytearray((tmp_path / LAST).read_bytes())
    with zipfile.ZipFile(tmp_path / LAST) as file:
        info = max(file.infolist(), key=lambda info: info.file_size)
    extra = int.from_bytes(data[info.header_offset + 28 : info.header_offset + 30], "little")
    data[info.header_offset + 30 + len(info.filename) + extra + info.file_size // 2] ^= 1
    (tmp_path / LAST).write_bytes(data)
    assert resumable(tmp_path, tell=False) == tmp_path / FORMER
