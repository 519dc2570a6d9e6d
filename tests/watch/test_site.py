import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from exp.commands.front import run_verb
from exp.options.errors import ConfigError
from exp.tables.compare import compare
from exp.tables.plan import Planner
from exp.watch.site import MARK, embedded, write_site
from tests.tables.cells import fill
from tests.watch.cells import TAGS
from tests.watch.conftest import WORDS


class Links(HTMLParser):
    """Collects what a page leads to."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attributes if name in ("href", "src") and value is not None]


def pages(site: Path) -> dict[Path, Links]:
    parsed = {}
    for path in sorted(site.rglob("*.html")):
        parsed[path] = Links()
        parsed[path].feed(path.read_text())
    return parsed


def values(path: Path) -> dict[str, object]:
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', path.read_text(), re.DOTALL)
    assert match
    loaded: dict[str, object] = json.loads(match[1])
    return loaded


def test_one_page_a_table_and_one_a_cell(site: Path) -> None:
    assert len(list((site / "tables").glob("*.html"))) == 1
    assert len(list((site / "cells").glob("*.html"))) == 8
    assert {path.suffix for path in (site / "downloads").iterdir()} == {".csv", ".tex", ".json", ".md"}
    assert {path.suffix for path in (site / "figures").iterdir()} == {".svg", ".pdf"}
    table = next((site / "tables").glob("*.html")).read_text()
    assert "91.00 ± 1.00 (3)" in table
    assert "90" in (site / "cells" / sorted(path.name for path in (site / "cells").iterdir())[0]).read_text()


def test_every_link_leads_to_a_file_of_the_site(site: Path) -> None:
    checked = 0
    for path, page in pages(site).items():
        for link in page.links:
            if link == "data:,":
                continue
            assert not urlsplit(link).scheme, link
            assert (path.parent / unquote(link)).resolve().is_relative_to(site.resolve()), link
            assert (path.parent / unquote(link)).is_file(), f"{path}: {link}"
            checked += 1
    assert checked > 50


def test_a_site_is_text_and_names_no_machine(site: Path) -> None:
    for path, page in pages(site).items():
        assert page.tags.count("img") == 0, "pictures are drawn by the script, from their names"
        assert page.tags.count("script") == 6
        text = path.read_text()
        assert TAGS not in text
        assert "<img" not in text
        assert str(site.parent) not in text, "absolute paths are the writer's own"
    failed = [path for path in (site / "cells").iterdir() if "window.hit" in path.read_text()]
    assert len(failed) == 1
    assert "&lt;script&gt;window.hit = 1&lt;/script&gt;" in failed[0].read_text()


def test_values_survive_being_embedded() -> None:
    value = {"a": "</script><!--<script>&amp;\u2028", "b": [1.5, None]}
    assert json.loads(embedded(value)) == value
    assert not set("<>&") & set(embedded(value))


def test_a_folder_of_other_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "own.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        write_site([], tmp_path / "docs")
    with pytest.raises(ConfigError, match="is a file"):
        write_site([], tmp_path / "docs" / "own.txt")
    assert [path.name for path in tmp_path.rglob("*")] == ["docs", "own.txt"]


@pytest.mark.slow
def test_the_command_writes_it_and_replaces_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "multirun").mkdir()
    assert run_verb("report", ["modules", "--site", "site", *WORDS]) == 2
    assert "no table has run" in capsys.readouterr().err
    fill(tmp_path / "multirun", "modules", WORDS, {"none": [90.0, 91.0, 92.0]})
    assert run_verb("report", ["modules", "--site", "site", *WORDS]) == 0
    assert "5 pages written to site" in capsys.readouterr().out
    (tmp_path / "site" / "old.html").write_text("old")
    assert run_verb("report", ["modules", "--site", "site", *WORDS]) == 0
    assert not (tmp_path / "site" / "old.html").exists()
    assert (tmp_path / "site" / MARK).exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["multirun", "site"]
    assert compare(Planner(tmp_path / "multirun").plan("modules", WORDS)).plan.rows[0].count("done") == 3
