import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exp.options.errors import ConfigError
from exp.tables import choices
from exp.tables.plan import Planner
from exp.watch.folder import Folder
from exp.watch.live import Live
from exp.watch.web import WatchServer, is_local, serve
from tests.tables.cells import fill
from tests.watch.cells import PIXEL, done, lines, put
from tests.watch.server import serving

PATIENCE = 600.0
"""Seconds until an answer is given up; a busy machine needs some."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = done(tmp_path / "multirun", "ca-digits-s0-x", top1=91.5)
    lines(folder, [80.0, 91.5])
    (folder / "confusion.png").write_bytes(PIXEL)
    (folder / "maps").mkdir()
    (folder / "maps" / "a b.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    (folder / "log.txt").write_text("first\nstep 1\rstep 2\x1b[31m red\x1b[0m\n")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "link.png").symlink_to(tmp_path / "secret.txt")
    put(tmp_path / "multirun" / "attention" / "se-digits-s0-x" / "status.json", {"state": "failed", "error": "no"})
    return tmp_path / "multirun"


@pytest.fixture
def server(root: Path) -> Iterator[WatchServer]:
    with serving(root) as one:
        yield one


def get(server: WatchServer, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=PATIENCE)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    values = answer.status, dict(answer.getheaders()), answer.read()
    connection.close()
    return values


def news(server: WatchServer, wanted: int) -> dict[str, Any]:
    """What the stream has said by the time that so many cells are known and read."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=PATIENCE)
    connection.request("GET", "/events")
    answer, cells, last = connection.getresponse(), {}, {}
    assert answer.headers["Content-Type"] == "text/event-stream"
    while len(cells) < wanted or last["head"]["reading"]:
        line = answer.readline()
        if line.startswith(b"data: "):
            last = json.loads(line[6:])
            cells |= {cell["i"]: cell for cell in last["cells"]}
    connection.close()
    return last | {"cells": cells}


def test_the_stream_tells_every_cell_and_what_changes(server: WatchServer, root: Path) -> None:
    first = news(server, 2)
    assert first["head"]["counts"] == {"failed": 1, "done": 1}
    cell = first["cells"]["attention/ca-digits-s0-x"]
    assert (cell["s"], cell["now"], cell["v"], cell["t"], cell["k"]) == ("done", 91.5, 92.5, 20.0, "top1")
    assert first["cells"]["attention/se-digits-s0-x"]["x"] == "no"
    done(root, "ca-digits-s1-y")
    assert "attention/ca-digits-s1-y" in news(server, 3)["cells"]


def test_a_cell_with_its_curves_log_and_pictures(server: WatchServer) -> None:
    news(server, 2)
    code, _, body = get(server, "/api/cell?id=attention/ca-digits-s0-x")
    page = json.loads(body)
    assert code == 200
    assert page["curves"]["val/top1"] == [[1, 80.0], [2, 91.5]]
    assert page["log"] == "first\nstep 2 red", "what a terminal would show, without its commands"
    assert page["pictures"] == ["confusion.png", "maps/a b.svg"], "a link is no picture"
    assert page["test"]["top1"] == 91.5
    assert json.loads(get(server, "/api/cell?id=attention/se-digits-s0-x")[2])["cell"]["x"] == "no"


def test_pictures_are_those_listed_and_run_nothing(server: WatchServer) -> None:
    news(server, 2)
    cell = "attention/ca-digits-s0-x"
    assert get(server, f"/picture?id={cell}&name=confusion.png")[2] == PIXEL
    code, headers, _ = get(server, f"/picture?id={cell}&name=maps/a%20b.svg")
    assert (code, headers["Content-Type"]) == (200, "image/svg+xml")
    assert "sandbox" in headers["Content-Security-Policy"]
    for name in ("link.png", "../../../secret.txt", "/etc/passwd", "log.txt", "maps/../log.txt", ""):
        assert get(server, f"/picture?id={cell}&name={name}")[0] == 404, name


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../web.py", "/assets/%2e%2e/web.py", "/assets//etc/passwd", "/etc/passwd", "/../../secret.txt",
        "/api/cell?id=../secret", "/api/cell?id=/etc", "/api/cell", "/picture", "/api/table?name=modules", "/nothing",
    ],
)  # fmt: skip
def test_nothing_else_is_served(server: WatchServer, path: str) -> None:
    code, _, body = get(server, path)
    assert code == 404
    assert body == b"there is no such thing here\n"


def test_answers_forbid_what_the_pages_do_not_need(server: WatchServer) -> None:
    for path in ("/", "/assets/app.js", "/api/bands"):
        code, headers, _ = get(server, path)
        assert code == 200
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_a_foreign_name_that_points_here_reads_nothing(server: WatchServer) -> None:
    assert get(server, "/", Host="evil.example")[0] == 403
    assert get(server, "/events", Host="evil.example:80")[0] == 403
    for host in ("localhost:1", "127.0.0.1", "[::1]:8650"):
        assert get(server, "/", Host=host)[0] == 200


def test_with_a_token_nobody_else_reads(root: Path) -> None:
    with serving(root, token="right") as server:
        assert server.url.endswith("?token=right")
        for path in ("/", "/events", "/?token=wrong", "/assets/app.js", "/?token=%C3%A9"):
            assert get(server, path)[0] == 403, path
        code, headers, _ = get(server, "/?token=right")
        assert (code, headers["Location"]) == (303, "/")
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert get(server, "/", Cookie=cookie.partition(";")[0])[0] == 200
        assert get(server, "/", Cookie="exp-watch-1=right")[0] == 403


def test_an_address_that_others_reach_gets_a_token() -> None:
    assert [is_local(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost")] == [True] * 4
    assert [is_local(host) for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "localhost.evil.example")] == [
        False
    ] * 5


def test_an_address_that_is_taken_is_refused_in_a_line(server: WatchServer, root: Path) -> None:
    live = Live(Folder(root), "multirun")
    with pytest.raises(ConfigError, match="cannot be listened on"):
        serve(live, "127.0.0.1", server.server_address[1], False)
    with pytest.raises(ConfigError, match="cannot be listened on"):
        serve(live, "127.0.0.1", 99999, False)


def test_curves_are_means_over_the_seeds_that_got_there(tmp_path: Path) -> None:
    for seed, values in enumerate(([10.0, 20.0], [20.0, 40.0], [30.0])):
        lines(done(tmp_path, f"ca-digits-s{seed}-x"), values)
    with serving(tmp_path) as server:
        news(server, 3)
        bands = json.loads(get(server, "/api/bands")[2])
    assert (bands["metric"], bands["metrics"]) == ("val/top1", ["train/loss", "val/top1"])
    (series,) = bands["series"]
    assert series["name"] == "ca-digits"
    assert series["points"][0] == [1, 20, 10, 30]
    assert [round(value, 3) for value in series["points"][1]] == [2, 30, 15.858, 44.142]


@pytest.mark.slow
def test_a_table_that_was_run_follows_its_cells_and_nothing_is_written(tmp_path: Path) -> None:
    words = ["recipe=quick", "seed=0,1,2"]
    plan = fill(tmp_path, "modules", words, {"none": [90.0, 91.0, 92.0], "triplet": [93.0, 94.0, 95.5]})
    choices.keep(tmp_path, "modules", plan.given, plan.chosen)
    before = sorted(tmp_path.rglob("*"))
    with serving(tmp_path) as server:
        told = news(server, 6)
        assert told["tables"] == [{"name": "modules", "variant": "recipe=quick seed=0,1,2"}]
        page = json.loads(get(server, "/api/table?name=modules&variant=recipe%3Dquick%20seed%3D0%2C1%2C2")[2])
    assert sorted(tmp_path.rglob("*")) == before
    rows = {row[0]: row for row in page["columns"][0]["rows"]}
    assert rows["none"][1:3] == ["3/3", "91.00 ± 1.00 (3)"]
    assert page["columns"][0]["headings"][:3] == ["row", "cells", "reproduced"]
    assert {one["kind"] for one in page["figures"]} >= {"lines", "points", "forest"}
    assert Planner(tmp_path).plan("modules", words).rows[0].count("done") == 3


def test_nothing_is_looked_at_while_no_page_is_open(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.watch.live.IDLE_SECONDS", 0.2)
    folder = Folder(root)
    looks: list[float] = []
    look = folder.look
    monkeypatch.setattr(folder, "look", lambda seconds: (looks.append(seconds), look(seconds))[1])
    live = Live(folder, "multirun")
    live.start()
    waited = threading.Event()
    waited.wait(1.0)
    assert looks == []
    live.news(-1, 0, 30.0)
    assert looks
    live.stop()
    live.join()
