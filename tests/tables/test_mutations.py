"""Mutated tables end in one line of our own words with exit code 2, or are shown."""

import copy
import random
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.options.mutations import changed
from tests.options.test_mutations import complaint

TABLE: dict[str, Any] = {
    "title": "Two rows",
    "sources": {"paper": {"file": "paper.pdf", "title": "a paper"}},
    "base": {"task": "attention", "recipe": "quick", "trainer.accelerator": "cpu"},
    "rows": {"plain": {"att": "none"}, "ca": {"att": "ca", "reduction": 8, "note": "coordinate attention"}},
    "columns": {
        "top1": {"metric": "test/top1", "unit": "%", "chance": 10},
        "loss": {"metric": "test/loss", "better": "lower", "passes": "< 0.1"},
    },
    "seeds": [0, 1],
    "reference": "plain",
    "published": {"ca": {"source": "paper", "quote": "97", "top1": 97.0}},
    "claims": [{"text": "ca is better", "columns": ["top1"], "order": "ca > plain", "source": "paper"}],
    "tolerance": 1.0,
    "notes": ["short"],
}


def check_tables(count: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    wrong = {}
    for number in range(count):
        dice = random.Random(f"table:{number}")
        text = yaml.dump(changed(dice, copy.deepcopy(TABLE)), allow_unicode=True, sort_keys=False)
        if dice.random() < 0.15:  # a slip of the editor, not of the document
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice("\t:-{[&*!|>'\"%@`\x00é") + text[at + 1 :]
        path = folder / f"mine{number}.yaml"  # a name of its own, since a table is read once a process
        path.write_text(text, encoding="utf-8")
        if problem := complaint(["table", path.stem]):
            wrong[text] = problem
        path.unlink()
    assert wrong == {}


def test_mutated_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_tables(60, tmp_path, monkeypatch)


@pytest.mark.slow
def test_five_hundred_mutated_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_tables(500, tmp_path, monkeypatch)
