"""Disks that are full or read-only: a line, nothing half-written, and with room enough the same weights."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from exp.cells.files import refuse_unwritable, replace_whole
from exp.cells.lock import Lock
from exp.options.errors import ConfigError
from tests.conftest import ENVIRONMENT, TINY, exp
from tests.faults.sweeps import SHORT, Faults, Sweep, weights

ROOT = Path(__file__).parents[2]


def mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this user may not mount a small file system: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=64k", "none", str(folder))
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["disk", "file"])
def test_full_disks(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if kind == "disk":
        (tmp_path / "probe").mkdir()
        mount("-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path / "probe"))
        subprocess.run(["umount", "-l", str(tmp_path / "probe")], check=True)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.full_disk", str(tmp_path / "cells"), "15", kind],
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    lost = len(counts["ended"]) - counts["cells"]
    Faults(f"full: {kind}", counts["tried"], lost, f"ended with codes {counts['states']}").show(capsys)
    assert counts["half"] == 0
    assert not counts["left"]
    assert counts["states"].get("0", 0) < counts["tried"], "some have to fail"
    assert not counts["states"].get("1"), Path(f"{tmp_path / 'cells'}.log").read_text()[-3000:]


@pytest.mark.slow
def test_a_sweep_on_a_full_disk(disk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = Sweep(tmp_path, *SHORT, f"cells.dir={disk / 'multirun'}")
    code, text = sweep.end()
    assert code == 1, text
    assert "No space left on device" in text
    mount("-o", "remount,size=64m", str(disk))
    assert Sweep(tmp_path, *SHORT, f"cells.dir={disk / 'multirun'}").end()[0] == 0
    assert Sweep(tmp_path, *SHORT).end()[0] == 0
    ended, expected = weights(disk / "multirun"), weights(tmp_path / "multirun")
    Faults("a sweep on a full disk", 1, sum(ended[name] != value for name, value in expected.items())).show(capsys)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--multirun", "att=none,se"],
        pytest.param(["--multirun", "hydra/launcher=basic"], marks=pytest.mark.slow),
    ],
    ids=["cell", "sweep", "launcher"],
)
def test_a_read_only_folder_is_refused_before_anything_starts(words: list[str], disk: Path, tmp_path: Path) -> None:
    mount("-o", "remount,ro", str(disk))
    done = exp(*words, *TINY, f"cells.dir={disk}/multirun", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        f"exp: cells.dir={disk}/multirun: {disk} cannot be written to; give another folder with cells.dir="
    )


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "multirun").write_text("")
    with pytest.raises(ConfigError, match="multirun is a file; give another folder"):
        refuse_unwritable(tmp_path / "multirun" / "deeper")
    refuse_unwritable(tmp_path / "none" / "yet")


def test_a_lock_for_which_there_is_no_room_leaves_nothing(disk: Path) -> None:
    filler = os.open(disk / "filler", os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(filler, bytes(4096))
    os.close(filler)
    with pytest.raises(OSError, match="No space left"):
        Lock(disk / "lock").acquire()
    with pytest.raises(OSError, match="No space left"), replace_whole(disk / "result.json") as fresh:
        fresh.write_text("{}")
    assert [path.name for path in disk.iterdir()] == ["filler"]
