"""What the README tells a user to type is well-formed; the two make targets are run by CI itself."""

import itertools
import re
import shlex
from pathlib import Path

import pytest

from exp.config.compose import resolved
from exp.list import lines

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(set(re.findall(r"^(python -m exp(?:\.\w+)*(?: [^#\n]*)?)", README, flags=re.MULTILINE)))


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 8
    assert {"run:", "test:"} <= set((ROOT / "Makefile").read_text().split())


@pytest.mark.parametrize("command", [line for line in COMMANDS if line.startswith("python -m exp ")])
def test_every_cell_of_a_command_resolves(command: str) -> None:
    words = [word for word in shlex.split(command)[3:] if "=" in word]
    if any("CELL" in word or word.startswith(("sweep.cells", "table=", "hydra/")) for word in words):
        pytest.skip("names a file or a plugin of the user's")
    lists = [
        [f"{key}={choice}" for choice in values.split(",")] for key, _, values in (w.partition("=") for w in words)
    ]
    for cell in itertools.product(*lists):
        assert resolved(list(cell)).key


def test_list_commands_name_groups() -> None:
    for command in COMMANDS:
        if command.startswith("python -m exp.list"):
            assert lines(*command.split()[3:])


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert not [link for link in links if not (ROOT / link).exists()]
