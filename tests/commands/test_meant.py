"""A word in the wrong place is one line that says how it is written here."""

from pathlib import Path

import pytest

from exp.__main__ import run
from exp.commands import VERBS

MEANT = {
    "train att=ca": "exp: train: training needs no verb: exp att=ca",
    "fit": "exp: fit: training needs no verb: exp OPTION=VALUE ...",
    "multirun att=none,ca": "exp: multirun: a sweep is written with a flag: exp --multirun att=none,ca",
    "test": "exp: test: a finished cell is tested again by exp ckpt=CELL trainer.max_epochs=0",
    "kernel": "exp: kernel: no verb; a table: exp table kernel",
    "mine": "exp: mine: no verb; a table: exp table mine",
    "gate tanh": "exp: gate: no verb; a table: exp table gate; an option is written gate=tanh",
    "gait": "exp: gait: no verb; a table: exp table gait; a choice: exp task=gait",
    "ca": "exp: ca: no verb; a choice: exp att=ca",
    "att ca": "exp: att: no verb; a choice is written att=ca",
    "lr": "exp: lr: no verb; an option is written lr=VALUE",
    "arch": f"exp: arch: no such verb; there are {', '.join(VERBS)}; here it is model=NAME",
    "--att ca": "exp: --att: no such flag; a choice is written att=ca",
    "--att=ca": "exp: --att=ca: no such flag; a choice is written att=ca",
    "--seed --multirun": "exp: --seed: no such flag; an option is written seed=VALUE",
    "--data.root /x": "exp: --data.root: no such flag; an option is written data.root=/x",
    "--max-epochs 3": "exp: --max-epochs: no such flag; an option is written max_epochs=3",
    "--epochs 3": "exp: --epochs: no such flag; here it is trainer.max_epochs=N",
    "cost --att ca": "exp cost: --att: no such flag; a choice is written att=ca",
    "exp table gait": "exp: exp: the command's name is needed once: exp table gait",
    "list table": "exp list: table: no group; exp table lists them",
    "list verbs": "exp list: verbs: no group; exp help lists them",
    "diff": "exp diff: needs CELL CELL; exp diff --help says more",
    "log": "exp log: needs --to wandb|tensorboard|csv; exp log --help says more",
    "new": "exp new: needs task|model|block|data|metric|table and NAME; exp new --help says more",
    "score": "exp score: say which score: exp score NAME ...; there are casia_b, culane, tusimple",
    "predict": "exp predict: say by which cell: exp predict ckpt=CELL/best.ckpt FILES; exp predict --help says more",
}
"""Command lines, and all that is said."""


@pytest.mark.parametrize("line", MEANT)
def test_what_was_likely_meant(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("title: Mine\nrows: {}\ncolumns: {}\n")
    assert run(line.split()) == 2
    assert capsys.readouterr().err == f"{MEANT[line]}\n"


@pytest.mark.parametrize("words", [["data"], ["data", "root=/x"]], ids=" ".join)
def test_data_without_a_name_lists_the_sets(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("exp data: say which data set: exp data NAME ...; there are casia_b, ")
    assert "digits" in error


@pytest.mark.parametrize("verb", [[], ["cost"], ["table", "modules"], ["--multirun"], ["report"]], ids=" ".join)
@pytest.mark.parametrize("word", ["att=ca seed=1", "att=none,ca  seed=0,1 +data.root=/x"])
def test_two_overrides_in_one_pair_of_quotes(verb: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*verb, word]) == 2
    apart = " ".join(word.split())
    assert capsys.readouterr().err.endswith(f"several overrides in one word; leave the quotes out: {apart}\n")
