"""The live pages in a real browser, while real cells train."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from tests.conftest import TINY, start
from tests.watch.browser import Browser, browser, needs_chromium
from tests.watch.cells import TAGS, done, lines, put
from tests.watch.server import serving

pytestmark = [needs_chromium, pytest.mark.slow]

ROWS = """[...document.querySelectorAll('.sheet .row')].map((row) =>
    [...row.children].map((one) => one.innerText.trim()).slice(1))"""
STATES = "Object.fromEntries([...list.cells.values()].map((cell) => [cell.n, cell.s]))"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def page(shared: Browser) -> Iterator[Browser]:
    shared.complaints.clear()
    yield shared
    shared.open("about:blank")  # a page that is left open asks for its server again and again


def statuses(root: Path) -> dict[str, dict[str, Any]]:
    return {path.parent.name: json.loads(path.read_text()) for path in root.glob("*/*/status.json")}


def test_a_real_sweep_from_its_first_cell_to_its_last(page: Browser, tmp_path: Path) -> None:
    """Cells appear, run and end on the page; one that is killed fails; the numbers are those of the files."""
    root = tmp_path / "multirun"
    root.mkdir()
    with serving(root) as server:
        page.open(server.url)
        page.until("main.innerText.includes('0 cells')")
        (tmp_path / "cells.yaml").write_text(
            "- {att: none}\n- {att: se}\n- {att: eca, trainer.max_epochs: 400}\n- {att: none, lr: 1.0e+30}\n"
        )
        words = [word for word in TINY if "max_epochs" not in word]
        sweep = start("--multirun", *words, "sweep.jobs=2", "sweep.cells=cells.yaml", cwd=tmp_path)
        page.until("list.cells.size === 4 && [...list.cells.values()].some((cell) => cell.s === 'running')")
        page.until("[...list.cells.values()].some((cell) => cell.n.startsWith('eca') && cell.e > 0)")
        victim = next(status for name, status in statuses(root).items() if "-eca-" in name)
        os.kill(int(victim["pid"]), signal.SIGKILL)
        page.until("[...list.cells.values()].some((cell) => cell.n.startsWith('eca') && cell.s === 'failed')")
        assert sweep.wait(300) == 1
        page.until(f"Object.values({STATES}).every((state) => ['done', 'failed', 'diverged'].includes(state))")
        page.until("document.querySelectorAll('.sheet .row').length === 4")
        rows = {row[0]: row for row in page.run(ROWS)}
        assert page.complaints == []
    assert sorted(row[1] for row in rows.values()) == ["diverged", "done", "done", "failed"]
    assert any("SIGKILL" in row[-1] for row in rows.values())
    assert any("the training loss is" in row[-1] for row in rows.values())
    results = [json.loads(path.read_text()) for path in root.glob("*/*/result.json")]
    shown = sorted(row[3] for row in rows.values() if row[1] == "done")
    assert shown == sorted(f"top1 {result['test']['top1']:.2f}" for result in results)


def test_what_files_say_stays_text(page: Browser, tmp_path: Path) -> None:
    folder = done(tmp_path, f"ca-{'x' * 180}-s0-x", note=TAGS)
    lines(folder, [50.0, 60.0])
    with open(folder / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"split": TAGS, "epoch": 0, "step": 1, TAGS: 1.0, "val/<b>": 2.0}) + "\n")
    (folder / "log.txt").write_text(f"{TAGS}\n</pre></script>{TAGS}")
    failed = tmp_path / "attention" / "se-digits-s0-x"
    put(failed / "status.json", {"state": "failed", "error": TAGS, "alarm": TAGS, "host": TAGS})
    put(failed / "config.json", {"config": {TAGS: TAGS, "att": {"name": TAGS}}, "identity": {}})
    (failed / "error.txt").write_text(TAGS)
    with serving(tmp_path) as server:
        page.open(server.url)
        page.until("document.querySelectorAll('.sheet .row').length === 2")
        for cell in (folder, failed):
            page.run(f"location.hash = '#/cell/' + encodeURIComponent('attention/{cell.name}')")
            page.until(f"main.innerText.includes('{cell.name[-20:]}') && document.querySelector('pre, .charts')")
            page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            assert "<script>window.hit = 1</script>" in page.run("main.innerText")
        page.run(f"location.hash = '#/compare/attention%2F{folder.name}/attention%2F{failed.name}'")
        page.until("main.innerText.includes('Options that differ')")
        page.run("location.hash = '#/cell/' + encodeURIComponent('" + TAGS.replace("'", "\\'") + "')")
        page.until("main.innerText.includes('no such thing')")
        assert page.run("window.hit === undefined && document.querySelectorAll('main img, main script').length === 0")
        assert [one for one in page.complaints if "404" not in one] == []


def test_ten_thousand_cells_cost_what_is_in_sight(page: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "attention"
    for number in range(10_000):
        cell = folder / f"ca-w{number // 10}-s{number % 10}-{number:010x}"
        cell.mkdir(parents=True)
        (cell / "status.json").write_text('{"state": "failed", "error": "no"}' if number % 100 == 7 else "{}")
        if number % 100 != 7:
            (cell / "result.json").write_text(f'{{"test": {{"top1": {number / 100}}}, "train_seconds": 5.0}}')
    with serving(tmp_path) as server:
        page.open(server.url)
        page.until("document.querySelectorAll('.sheet .row').length > 10")
        page.until("list.cells.size === 10000 && main.innerText.includes('100 failed') && known.head.reading === 0")
        assert page.run("document.querySelectorAll('.sheet .row').length") < 100
        page.run("list.box.focus()")
        page.press("End")
        page.until("[...document.querySelectorAll('.sheet .row.chosen')].length === 1")
        assert page.run("document.querySelector('.sheet .chosen').innerText.includes('ca-w999-s9')")
        page.run("filter.value = 'ca-w123- done'; filter.dispatchEvent(new Event('input'))")
        page.until("list.shown.length === 10")
        assert page.run("told.textContent") == "10 of 10000 cells"
        page.run("list.sortBy('v')")
        page.run("filter.value = ''; filter.dispatchEvent(new Event('input'))")
        paint = page.run("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        assert page.complaints == []
    print(f"first paint of 10,000 cells after {paint:.0f} ms")


def test_keys_alone_do(page: Browser, tmp_path: Path) -> None:
    for name in ("ca-digits-s0-x", "ca-digits-s1-y", "se-digits-s0-z"):
        lines(done(tmp_path, name), [50.0, 60.0])
    with serving(tmp_path) as server:
        page.open(server.url)
        page.until("document.querySelectorAll('.sheet .row').length === 3 && document.activeElement === list.box")
        page.press("ArrowDown")
        page.press("c")
        page.press("j")
        page.press("c")
        assert page.run("list.picked.size") == 2
        page.run("compare.click()")
        page.until("main.innerText.includes('ca-digits-s0 and ca-digits-s1')")
        page.press("Escape")
        page.until("location.hash === '#/' && document.querySelectorAll('.sheet .row').length === 3")
        page.press("Enter")
        page.until("main.querySelector('h1') && main.querySelector('h1').innerText === 'ca-digits-s1'")
        before = page.run("getComputedStyle(document.body).backgroundColor")
        page.press("t")
        assert page.run("getComputedStyle(document.body).backgroundColor") != before
        page.press("t")
        page.press("/")
        page.until("document.activeElement === filter")
        assert page.complaints == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_scrolls_in_one_direction(page: Browser, tmp_path: Path, dark: bool) -> None:
    for name in ("ca-digits-with-a-very-long-name-of-many-options-s0-x", "se-digits-s0-z"):
        lines(done(tmp_path, name), [50.0, 60.0])
    try:
        page.size(390, 780, dark=dark)
        with serving(tmp_path) as server:
            page.open(server.url)
            page.until("document.querySelectorAll('.sheet .row').length === 2")
            for place in ("#/", "#/curves", "#/cell/attention%2Fse-digits-s0-z"):
                page.run(f"location.hash = '{place}'")
                page.until("drawnFor === (location.hash === '#/' ? 'cells' : location.hash)")
                assert page.run("document.documentElement.scrollWidth <= innerWidth"), place
            colour = page.run("getComputedStyle(document.body).backgroundColor")
            assert colour == ("rgb(20, 24, 27)" if dark else "rgb(255, 255, 255)")
    finally:
        page.size(1200, 800)


def test_a_page_says_when_its_server_is_gone(page: Browser, tmp_path: Path) -> None:
    done(tmp_path, "ca-digits-s0-x")
    with serving(tmp_path) as server:
        page.open(server.url)
        page.until("document.querySelectorAll('.sheet .row').length === 1")
    page.until("document.body.innerText.includes('not connected')")
    assert page.run("document.querySelectorAll('.sheet .row').length") == 1, "what was known stays"


def test_a_site_from_disk_draws_itself_and_leads_nowhere_else(page: Browser, site: Path) -> None:
    page.open((site / "index.html").as_uri())
    page.until("document.querySelector('main a')")
    page.open(str(page.run("document.querySelector('main a').href")))
    page.until("document.querySelectorAll('svg.chart').length > 2")
    table = page.run("location.href")
    links = page.run("[...document.querySelectorAll('a[href]')].map((one) => one.href)")
    page.open(next(link for link in links if "/cells/" in link))
    page.until("document.querySelector('svg.chart') && [...document.images].every((one) => one.naturalWidth > 0)")
    assert page.run("document.images.length") == 1
    links += page.run("[...document.querySelectorAll('a[href]')].map((one) => one.href)")
    assert len(set(links)) > 10
    for link in {*links, table}:
        assert link.startswith(site.as_uri()), link
        assert (site / unquote(link.removeprefix(f"{site.as_uri()}/"))).is_file(), link
    assert page.run("window.hit === undefined && !document.querySelector('main script')")
    assert page.complaints == []
