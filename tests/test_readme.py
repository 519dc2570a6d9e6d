"""What README and docs tell a user to type is well-formed, and runs where it takes a moment; tests of the parts run the rest."""

import argparse
import importlib
import itertools
import re
import shlex
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.commands import VERBS
from exp.options.compose import resolved
from exp.tables.plan import Planner
from exp.tables.reading import names

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PAGES = {"README.md": README} | {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
FOLLOWED = ("adding-a-task.md", "adding-a-model.md")
"""Pages of which a test does every step, with the files that they write."""
THEIRS = (
    "CELL",
    "init=",
    ".py",
    "mypkg",
    "task=autoencoder",
    "data=leaves",
    "imagefolder",
    "/home/me",
    "ckpt=",
    "sweep.cells",
    "|",
    "...",
)
"""What a command has that names a file or package of the user's, or leaves something to fill in."""


def commands() -> list[str]:
    texts = [text.replace("\\\n", " ") for name, text in PAGES.items() if name not in FOLLOWED]
    found = [line for text in texts for line in re.findall(r"^(?:python -m )?(exp [^#\n]*)", text, flags=re.MULTILINE)]
    return sorted({" ".join(line.split()) for line in found if line.split()[1:]})


COMMANDS = [command for command in commands() if command.split()[1].isascii()]
CELLS = [line for line in COMMANDS if line.split()[1] not in VERBS and "=" in line]
VERBED = [line for line in COMMANDS if line.split()[1] in VERBS]


def test_there_are_commands() -> None:
    assert len(CELLS) > 30
    assert len(VERBED) > 40
    assert {"run:", "test:"} <= set((ROOT / "Makefile").read_text().split())


@pytest.mark.parametrize("command", CELLS)
def test_every_cell_of_a_command_resolves(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if "=" in word and not word.startswith("--")]
    if any(theirs in command for theirs in THEIRS):
        pytest.skip("names a file or a package of the user's")
    if any(word.startswith(("hydra/", "table=")) or "interval(" in word or "choice(" in word for word in words):
        pytest.skip("is read by the sweeper")
    lists = [
        [word]
        if word.partition("=")[2][:1] in ("[", "{", "'", '"', "(")
        else [f"{key}={choice}" for choice in values.split(",")]
        for word in words
        for key, _, values in [word.partition("=")]
    ]
    for cell in itertools.product(*lists):
        assert resolved(list(cell)).key


@pytest.mark.parametrize("command", VERBED)
def test_every_verb_takes_its_words(command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    verb, *words = shlex.split(command)[1:]
    module = importlib.import_module(f"exp.commands.{verb}")
    parser = argparse.ArgumentParser(prog=verb)
    module.arguments(parser)
    if "|" not in command and not getattr(module, "PASSES_ON", False):
        parser.parse_intermixed_args(words)
    if any(theirs in command for theirs in THEIRS):
        return
    if verb == "list" or verb == "cost":
        assert run([verb, *words]) == 0
        assert capsys.readouterr().out
    elif verb == "table" and words and words[0] in names():
        overrides = [word for word in words if "=" in word and not word.startswith(("data.root=", "logger="))]
        assert Planner(tmp_path).plan(words[0], overrides).cells


def test_links_lead_somewhere() -> None:
    """In the repository itself; the site's are tests/test_site.py's."""
    for name, text in PAGES.items():
        folder = ROOT if name == "README.md" else ROOT / "docs"
        links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
        assert not [link for link in links if link and not (folder / link).exists()], name
        assert links or name != "README.md"
