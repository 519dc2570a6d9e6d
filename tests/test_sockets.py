"""Nothing but this machine is asked: the default path, a sweep, a table and W&B without a key open no other socket."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT, TINY

WATCH = """
import ipaddress, os, sys

def watch(event, arguments):
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        return
    address = arguments[1] if event in ("socket.connect", "socket.sendto") else arguments
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode()
    try:
        local = host is None or host.startswith(("/", "\\0")) or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host in ("localhost", "")
    if not local:
        with open(os.environ["SOCKETS"], "a") as file:
            print(event, arguments, " ".join(sys.argv), file=file)
        raise OSError(f"no socket but loopback: {host}")

sys.addaudithook(watch)
"""
"""Runs in every Python process that is started, before anything else; forked ones inherit it."""


def watched(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    site = folder / "site"
    site.mkdir(exist_ok=True)
    (site / "sitecustomize.py").write_text(WATCH)
    environment = {key: value for key, value in ENVIRONMENT.items() if not key.startswith("WANDB_")}
    environment |= {"SOCKETS": str(folder / "sockets.txt"), "HOME": str(folder), "NETRC": str(folder / "none")}
    environment["PYTHONPATH"] = os.pathsep.join([str(site), *filter(None, [environment.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


@pytest.mark.slow
def test_no_socket_but_loopback_is_opened(tmp_path: Path) -> None:
    tiny = [*TINY, "trainer.max_epochs=1"]
    for words in (
        ["--multirun", *tiny, "att=none", "logger=wandb"],
        [*tiny, "att=none", "seed=1", "logger=wandb"],
        ["table", "kernel", "recipe=quick"],
        ["cost"],
        ["list", "att"],
    ):
        done = watched("-m", "exp", *words, folder=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "sockets.txt").exists(), (tmp_path / "sockets.txt").read_text()
    results = [json.loads(path.read_text()) for path in tmp_path.glob("multirun/*/*/result.json")]
    assert len(results) == 2
    assert len(list(tmp_path.glob("multirun/*/*/wandb/offline-run-*"))) == 2


@pytest.mark.parametrize("host", ["example.org", "192.0.2.1"])
def test_another_socket_would_be_seen(host: str, tmp_path: Path) -> None:
    done = watched("-c", f"import socket; socket.create_connection(({host!r}, 80), 1)", folder=tmp_path)
    assert "no socket but loopback" in done.stderr
    assert host in (tmp_path / "sockets.txt").read_text()
