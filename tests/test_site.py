"""What docs/site.py makes for the documentation's site; ``make docs`` builds it."""

import importlib.util
import posixpath
import re
from pathlib import Path
from typing import Any

import yaml

from exp.options.catalog import GROUPS
from exp.options.fields import fields

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def load() -> Any:
    spec = importlib.util.spec_from_file_location("site_hook", ROOT / "docs" / "site.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_has_every_option_of_every_choice() -> None:
    page = load().options_page()
    for group, known in GROUPS.items():
        for name, schema in known.items():
            (section,) = re.findall(rf"^#+ {group}={name}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL)
            assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
                key for key in fields(schema) if key != "name"
            ]


def test_every_link_leads_to_a_page_and_every_page_is_in_the_menu() -> None:
    site = load()
    written = {path.name: path.read_text() for path in (ROOT / "docs").glob("*.md")}
    pages = {name: site.on_page_markdown(text, None, None, None) for name, text in written.items()} | site.pages()
    shown = {f"figures/{path.name}" for path in (ROOT / "docs" / "figures").glob("*.svg")}
    shown |= {str(path.relative_to(ROOT)) for path in (ROOT / "results").rglob("*.svg")}
    wrong = {
        (name, link)
        for name, text in pages.items()
        for link in LINK.findall(text)
        if "://" not in link
        and link.partition("#")[0]
        and posixpath.normpath(posixpath.join(posixpath.dirname(name), link.partition("#")[0]))
        not in pages.keys() | shown
    }
    assert wrong == set()
    menu = set(re.findall(r"[\w/-]+\.md", yaml.dump(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])))
    assert {name for name in pages if not name.startswith("results/")} | {"results/index.md"} == menu


def test_a_picture_of_a_result_is_shown_from_the_page_made_of_it() -> None:
    site = load()
    assert site.moved("![less](top1-difference.svg)", "results/gate") == "![less](../results/gate/top1-difference.svg)"
    assert site.moved("![lanes](docs/figures/lanes.svg)", ".") == "![lanes](figures/lanes.svg)"


def test_links_from_docs_to_results_lead_to_their_pages() -> None:
    text = "[all](../results/), [gate](../results/gate/README.md), [cells](cells.md)"
    changed = "[all](results/index.md), [gate](results/gate.md), [cells](cells.md)"
    assert load().on_page_markdown(text, None, None, None) == changed
