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
    made = load().pages()
    pages = {str(path.relative_to(ROOT / "docs")): path.read_text() for path in (ROOT / "docs").rglob("*.md")} | made
    shown = {f"figures/{path.name}" for path in (ROOT / "docs" / "figures").glob("*.svg")}
    shown |= {str(path.relative_to(ROOT)) for path in (ROOT / "results").glob("*/*.svg")}
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
