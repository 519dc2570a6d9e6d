"""Mutated command lines and YAML end in one line of our own words with exit code 2, or they would run."""

import contextlib
import io
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from exp.__main__ import run
from tests.options.mutations import changed, command_lines

FOREIGN = re.compile(
    r"Traceback|LexerNoViableAlt|omegaconf|antlr|\w+Exception|<class|object at 0x|NoneType|DictConfig|ListConfig"
    r"|\b(?!ConfigError|DataError)\w+Error\b|hydra\.cc|https?:"
)
"""What is no word of ours: names of foreign classes and modules, addresses."""

LONGEST = 12_000


def ended(words: list[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of a command line that composes, resolves and plans, and trains nothing."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = run(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return code, out.getvalue(), err.getvalue()


def complaint(words: list[str], *, sure: bool = False) -> str:
    """What is wrong with how a command line ended, empty where nothing is; ``sure`` says that it has to be refused."""
    try:
        code, _, errors = ended(words)
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    if code == 0 and not sure:
        return "" if not errors else f"ran and complained: {errors}"
    if code != 2:
        return f"exit code {code}: {errors}"
    lines = errors.splitlines()
    if len(errors.strip("\n").split("\n")) != 1 or not errors.startswith("exp"):
        return f"{len(lines)} lines: {errors}"
    said = errors
    for word in sorted(words, key=len, reverse=True):  # what the user typed may hold any word
        said = said.replace(word, "").replace(word.partition("=")[2] or "\0", "")
    if FOREIGN.search(said) or len(errors) > LONGEST:
        return f"not our words: {errors}"
    return ""


def check_command_lines(count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    wrong, codes = {}, Counter()
    for number, words in enumerate(command_lines(21, count)):
        # Every tenth goes through Hydra's own application; the last word has it refused before a cell is made.
        whole = number % 10 == 0 and "trainer.accelerator=gpu" not in words
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
        line = [*words, "trainer.accelerator=gpu"] if whole else ["--cfg", "job", *words]
        if problem := complaint(line, sure=whole):
            wrong[" ".join(map(repr, line))] = problem
        codes["refused" if problem == "" else "wrong"] += 1
    assert wrong == {}
    assert not list(folder.glob("multirun/*/*"))


def test_mutated_command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_command_lines(60, tmp_path, monkeypatch)


@pytest.mark.slow
def test_two_thousand_mutated_command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_command_lines(2000, tmp_path, monkeypatch)


CONFIGURATION: dict[str, Any] = {
    "defaults": ["config", {"override att": "triplet"}, "_self_"],
    "seed": 3,
    "att": {"kernel_size": 5},
    "trainer": {"max_epochs": 3, "accelerator": "cpu"},
    "optim": {"name": "adam", "betas": [0.9, 0.99], "lr": "${data.flip}"},
    "data": {"flip": 0.5},
    "when": {"att": {"triplet": {"gate": "tanh"}}},
}
CELLS: list[dict[str, Any]] = [{"att": "ca", "att.reduction": 8}, {"model": "resnet50", "optim.betas": [0.9, 0.9]}]


def check_yaml(count: int, folder: Path) -> None:
    wrong = {}
    for number in range(count):
        dice = random.Random(f"yaml:{number}")
        own = number % 2
        text = yaml.dump(changed(dice, CONFIGURATION if own else CELLS), allow_unicode=True, sort_keys=False)
        if dice.random() < 0.15:  # a slip of the editor, not of the document
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice("\t:-{[&*!|>'\"%@`\x00é") + text[at + 1 :]
        (folder / "mine.yaml").write_text(text, encoding="utf-8")
        where = ["--config-dir", str(folder), "-cn", "mine"] if own else ["-m", f"sweep.cells='{folder}/mine.yaml'"]
        if problem := complaint(["--cfg", "job", *where]):
            wrong[text] = problem
    assert wrong == {}


@pytest.mark.slow
def test_mutated_configurations_and_cells(tmp_path: Path) -> None:
    check_yaml(100, tmp_path)


@pytest.mark.slow
def test_a_thousand_mutated_configurations_and_cells(tmp_path: Path) -> None:
    check_yaml(1000, tmp_path)
