"""What the README tells a user to type is well-formed; the two make targets are run by CI itself."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.commands import VERBS
from exp.options.compose import resolved

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"^(exp [^#\n]*)", README, flags=re.MULTILINE)))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 8
    assert {"run:", "test:"} <= set((ROOT / "Makefile").read_text().split())


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.split()[1] not in VERBS])
def test_every_cell_of_a_command_resolves(command: str) -> None:
    words = [word for word in shlex.split(command)[1:] if "=" in word]
    if any("CELL" in word or ".py" in word or word.startswith(("sweep.cells", "table=", "hydra/")) for word in words):
        pytest.skip("names a file or a plugin of the user's")
    lists = [
        [f"{key}={choice}" for choice in values.split(",")] for key, _, values in (w.partition("=") for w in words)
    ]
    for cell in itertools.product(*lists):
        assert resolved(list(cell)).key


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.split()[1] in ("list", "cost")])
def test_verbs_that_print_do(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(shlex.split(command)[1:]) == 0
    assert capsys.readouterr().out


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
