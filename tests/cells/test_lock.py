import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from exp.cells import lock as locks
from exp.cells.lock import Lock, Locked, alive, holder_of

HOLD = """
import sys, time, pathlib
from exp.cells.lock import Lock
Lock(pathlib.Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def held_elsewhere(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_holder_at_a_time(path: Path) -> None:
    first, second = Lock(path), Lock(path)
    first.acquire()
    assert first.held()
    with pytest.raises(Locked, match=f"process {os.getpid()}"):
        second.acquire()
    assert not second.held()
    first.release()
    second.acquire()
    second.release()
    assert list(path.parent.iterdir()) == []


def test_a_job_that_was_put_back_in_line_takes_over_at_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat of another node is fresh, but SLURM has ended that life of the job before it began this one."""
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    Lock(path).acquire()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"host": "node07/boot/1"}))
    with pytest.raises(Locked, match="node07"):
        Lock(path).acquire()
    monkeypatch.setenv("SLURM_JOB_ID", "72")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    with pytest.raises(Locked, match="node07"):
        Lock(path).acquire()
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    again = Lock(path)
    again.acquire()
    assert again.held()
    again.release()


def test_a_living_process_keeps_its_lock_and_a_killed_one_loses_it(path: Path) -> None:
    process = held_elsewhere(path)
    with pytest.raises(Locked, match=f"process {process.pid}"):
        Lock(path).acquire()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()
    mine = Lock(path)
    mine.acquire()
    assert mine.held()
    mine.release()


def test_a_reused_process_id_is_no_holder(path: Path) -> None:
    record = {"token": "x", "host": locks.this_host(), "pid": os.getpid(), "started": "1"}
    path.write_text(json.dumps(record))
    assert not alive(path, record)


def test_another_hosts_heartbeat_decides(path: Path) -> None:
    record = {"token": "x", "host": "elsewhere", "pid": 1, "started": "1"}
    path.write_text(json.dumps(record))
    assert alive(path, record)
    past = time.time() - locks.STALE_SECONDS - 5
    os.utime(path, (past, past))
    assert not alive(path, record)
    mine = Lock(path)
    mine.acquire()
    assert mine.held()
    mine.release()


def test_the_heart_beats(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "BEAT_SECONDS", 0.05)
    mine = Lock(path)
    mine.acquire()
    past = time.time() - 1000
    os.utime(path, (past, past))
    deadline = time.monotonic() + 5
    while path.stat().st_mtime < past + 500 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.stat().st_mtime > past + 500
    mine.release()


def test_a_lock_taken_over_is_not_given_back(path: Path) -> None:
    mine = Lock(path)
    mine.acquire()
    path.write_text(json.dumps({"token": "other", "host": "elsewhere", "pid": 1, "started": "1"}))
    assert not mine.held()
    mine.release()
    assert (holder_of(path) or {})["token"] == "other"


def test_a_live_lock_moved_by_mistake_is_put_back(path: Path) -> None:
    live = Lock(path)
    live.acquire()
    Lock(path)._remove_stale({"token": "the one judged dead"})
    assert live.held()
    live.release()


def test_an_unreadable_lock_is_stale(path: Path) -> None:
    path.write_text("{")
    mine = Lock(path)
    mine.acquire()
    assert mine.held()
    mine.release()


def race(code: str, path: Path, begin: str, racers: int) -> list[str]:
    """What each process says; whoever holds the lock lets go when all have spoken, however slow the machine is."""
    pipe = subprocess.PIPE
    words = [sys.executable, "-c", code, str(path), begin]
    processes = [subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True) for _ in range(racers)]
    said = []
    for process in processes:
        assert process.stdout is not None
        said.append(process.stdout.readline().strip())
    for process in processes:
        process.communicate()
    return said


def test_many_processes_one_holder(path: Path) -> None:
    """Ten processes race for a stale lock; exactly one gets it."""
    path.write_text(json.dumps({"token": "dead", "host": locks.this_host(), "pid": 2**22 + 1, "started": "1"}))
    code = (
        "import sys, time, pathlib\n"
        "from exp.cells.lock import Lock, Locked\n"
        "lock = Lock(pathlib.Path(sys.argv[1]))\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "try:\n    lock.acquire(); print('held', flush=True); sys.stdin.read()\n"
        "except Locked:\n    print('locked')\n"
    )
    begin = str(time.time() + 1)
    said = race(code, path, begin, 10)
    assert sorted(said) == ["held"] + ["locked"] * 9


@pytest.mark.slow
def test_many_processes_one_holder_without_hard_links(path: Path) -> None:
    """The same race on a file system that has no hard links, for a lock that is free."""
    code = (
        "import errno, os, sys, time, pathlib\n"
        "def link(source, target):\n    raise OSError(errno.EPERM, 'Operation not permitted')\n"
        "os.link = link\n"
        "from exp.cells.lock import Lock, Locked\n"
        "lock = Lock(pathlib.Path(sys.argv[1]))\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time()))\n"
        "try:\n    lock.acquire(); print('held', flush=True); sys.stdin.read(); lock.release()\n"
        "except Locked:\n    print('locked')\n"
    )
    begin = str(time.time() + 3)
    said = race(code, path, begin, 6)
    assert "held" in said
    assert not path.exists()
    assert list(path.parent.glob("lock.*")) == []


def test_without_hard_links_the_lock_works_alike(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(source: object, target: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    mine = Lock(path)
    mine.acquire()
    with pytest.raises(Locked, match=f"process {os.getpid()}"):
        Lock(path).acquire()
    Lock(path)._remove_stale({"token": "the one judged dead"})
    assert mine.held()
    mine.release()
    path.write_text("")  # its owner was killed before it had written a word
    past = time.time() - 100
    os.utime(path, (past, past))
    mine = Lock(path)
    mine.acquire()
    assert mine.held()
    mine.release()


TAKEOVERS = """
import json, os, pathlib, sys, time
from exp.cells import lock as locks
several = 0
for number in range(int(sys.argv[2])):
    path = pathlib.Path(sys.argv[1]) / f"lock-{number}"
    path.write_text(json.dumps({"token": "dead", "host": locks.this_host(), "pid": 2**22 + 1, "started": "1"}))
    begin, go, racers = time.time() + 0.02, os.pipe(), []
    for _ in range(10):
        said = os.pipe()
        if not (child := os.fork()):
            os.close(go[1])
            time.sleep(max(0, begin - time.time()))
            try:
                locks.Lock(path).acquire()
                os.write(said[1], b"held  ")
                os.read(go[0], 1)  # until all have spoken
            except locks.Locked:
                os.write(said[1], b"locked")
            os._exit(0)
        racers.append((child, said))
    words = [os.read(said[0], 6) for _, said in racers]
    for end in go:
        os.close(end)
    for child, said in racers:
        os.waitpid(child, 0)
        os.close(said[0]), os.close(said[1])
    several += sorted(words) != [b"held  "] + [b"locked"] * 9
print(several)
"""


@pytest.mark.slow
def test_a_stale_lock_has_one_heir_each_time(tmp_path: Path) -> None:
    """Ten processes find it at once, four hundred times: one moves it away, the others see that they were slower."""
    words = [sys.executable, "-c", TAKEOVERS, str(tmp_path), "400"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    assert (done.stdout, done.returncode) == ("0\n", 0), done.stderr[-2000:]
