"""What command lines say that cannot be run, word by word; each was typed by somebody."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from exp.options.compose import composed, resolved
from exp.options.errors import ConfigError, shown
from exp.options.words import check, expanded, parsed, shell, spelt

REFUSED = {
    # A choice is a name.
    "att=1.5": "att=1.5: not the name of a choice; exp list att has them",
    "model=0": "model=0: not the name of a choice; exp list model has them",
    "logger=inf": "logger=inf: not the name of a choice",
    "recipe=inf": "recipe=inf: not the name of a choice",
    "att=null": "att=null: not the name of a choice; for none give att=none",
    "logger=false": "logger=false: not the name of a choice; for none give logger=none",
    "task=???": "task=???: not the name of a choice",
    "att=[ca]": "att=[ca]: a run has one att; give att=ca",
    "att=[ca,se]": "att=[ca,se]: a run has one att; give att=ca, or --multirun att=ca,se for a cell each",
    "att=[[[1]]]": "att=[[[1]]]: a run has one att; give att=NAME",
    "att=a/b": "att=a/b: no such choice; there are none, triplet,",
    "att@y=null": "att@y=null: a run has one att, so it has no other place; write att=NAME",
    "+att=ca": "+att=ca: every run has one att; leave the + out",
    "trainer={max_epochs: 3}": "trainer={max_epochs: 3}: not the name of a choice",
    "hydra/launcher=3": "hydra/launcher=3: not the name of a choice",
    # A section takes a part's options for its own, by whatever name.
    "cells=${att}": "cells.name: no such option, nothing would read it",
    # Nothing is taken away.
    "~att": "~att: every run has one att; for none give att=none",
    "~data": "~data: every run has one data; give data=NAME",
    "~seed": "~seed: an option cannot be taken away; leave the word out, then it has its default",
    "~optim": "~optim: an option cannot be taken away; leave the word out, then it has its default",
    # Several values are a sweep.
    "att=ca,se": "att=ca,se: several values; add --multirun to run a cell for each",
    "seed=range(3)": "seed=range(3): several values; add --multirun to run a cell for each",
    "lr=0.1,0.2": "lr=0.1,0.2: several values; add --multirun to run a cell for each (one list is written [0.1,0.2]",
    "cells.dir=/a,b": """one text with a comma 'cells.dir="/a,b"')""",
    # Special characters are named, with the form to type.
    "data.root=/a (1)": """data.root=/a (1): ( has a meaning of its own in Hydra's grammar; as a text it is written \
'data.root="/a (1)"'""",
    "ckpt=epoch=3.ckpt": """= has a meaning of its own in Hydra's grammar; as a text it is written \
'ckpt="epoch=3.ckpt"'""",
    "data.root=/a#b": "# has a meaning of its own in Hydra's grammar",
    "data.root=/ü": """ü has to be in quotes in Hydra's grammar; as a text it is written 'data.root="/ü"'""",
    "seed=1\r": r"'seed=1\r': holds a carriage return (a Windows line end); leave it out",
    "data.root='/a": "a quote ' is opened and not closed",
    "+=???": "+=???: there is no name before the =; write OPTION=VALUE",
    "seed=range(1,2,3,4,5)": "seed=range(1,2,3,4,5): range(...) does not take this",
    "seed@y=1": "seed@y=1: an option has one place; write seed=VALUE",
    "kernel size=3": "a blank cannot be part of an option's name",
    # A value is of the option's kind.
    "++when=1.5": "when=1.5: has options, not a value; give when.OPTION=VALUE",
    "optim=5": "optim=5: has options, not a value; give optim.OPTION=VALUE",
    "hydra=a": "hydra=a: has options, not a value",
    "seed=${nothing}": "seed: refers to ${nothing}, which there is not",
    "seed=${seed}": "seed: refers to itself",
    "lr=${foo:1}": "lr: ${foo:...} is no resolver that Hydra knows",
    "ckpt=[a]": "ckpt=['a']: expected str, got list",
    "+seed=1": "+seed: there is such an option already; leave the + out",
    # What is meant, where anybody could know it.
    "att.kernel_size=5 att=ca": "att.kernel_size: att=ca has no such option; att=triplet,",
    "data.labels=fine": "data.labels: data=digits has no such option; data=cifar100,fer2013 would take it",
    "kernel_sise=5": "did you mean 'kernel_size'?",
    "trainer.max_epoch=5": "did you mean 'trainer.max_epochs'?",
    "optim.learning_rate=1": "here it is optim.lr=RATE",
    "model.att=ca": "model.att: no such option",
    "ckpt_path=a": "ckpt_path: no such option; here it is ckpt=PATH",
    "epochs=3": "epochs: no such option; here it is trainer.max_epochs=N",
    "trainer.epochs=3": "trainer.epochs: no such option; here it is trainer.max_epochs=N",
    "experiment=a": "experiment: no such option; here it is recipe=NAME, or -cn NAME with --config-dir DIR",
    "debug=default": "debug: no such option; here it is trainer=debug",
    "optimizer=adam": "optimizer: no such option; here it is optim.name=sgd, adam or adamw",
    "hparams_search=optuna": "hparams_search: no such option; here it is hydra/sweeper=optuna",
    "paths.data_dir=/x": "paths.data_dir: no such option; here it is data.root=PATH",
    "paths.output_dir=/x": "paths.output_dir: no such option; here it is cells.dir=PATH",
    "model.optimizer.lr=0.1": "model.optimizer.lr: no such option; did you mean 'optim.lr'?",
    "data.path=/x": "data.path: no such option; here it is data.root=PATH",
    "att.kernelsize=5": "att.kernelsize: no such option; did you mean 'att.kernel_size'?",
    "callbacks=early_stopping": "callbacks=early_stopping: no such choice; here it is trainer.patience=EPOCHS",
    "logger=many_loggers": "logger=many_loggers: no such choice; here it is logger=wandb+csv",
    "trainer=mps": "trainer=mps: no such choice; here it is trainer.accelerator=mps",
}


@pytest.mark.parametrize("words", REFUSED)
def test_a_word_that_cannot_be_run_says_why_and_what_to_write(words: str) -> None:
    line = [words] if re.search(r"[({]|size=3", words) else words.split(" ")
    with pytest.raises(ConfigError) as error:
        resolved(line)
    assert REFUSED[words] in shown(error.value)


@pytest.mark.parametrize("key", ["xyzzy", "nets", "qqq.www", "optim.zzzzzz", "att.zzzzzz", "hydra.zzzz"])
def test_nothing_is_proposed_where_nothing_is_close(key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: no such option$"):
        resolved([f"{key}=1"])


def test_the_form_that_is_shown_is_read_as_the_text() -> None:
    for text in ("/a (1)", "epoch=3.ckpt", "a#b", "é", "a,b", "it's", 'say "x"', "a[0]", "{x}", "a\\'b", "~x!", "a b"):
        word = f"logger.project={text}"
        try:
            parsed(word)
        except ConfigError as error:
            (again,) = shlex.split(str(error).partition("as a text it is written ")[2])
            assert parsed(again).value() == text


VALUES: list[Any] = [
    None, True, 0, -3, 2.5, 1e30, "ca", "no", "7", "1e3", "true", "null", "", "a b", " a ", "(n c) s (h w)", "a,b", "a=b",
    "a: b", "it's", 'say "x"', "é", "#", "[x]", "{x}", "a\\b", "\\'", "range(3)", "choice(a)", "~/x", "x:y",
    [1, "a,b", None], {"a": {"b": [1, "x y"]}}, [], {}, "a\\", "$", "%(x)s", "a@b", "*", "1,2", "-", "???",
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_of_files_are_read_as_given(value: Any) -> None:
    """The grammar of the command line does not parse them a second time."""
    override = parsed(f"x={spelt(value)}")
    assert not override.is_sweep_override()
    assert (override.value(), type(override.value())) == (value, type(value))


def test_a_tilde_is_the_home_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded(["data.root=~/x", "a=~/b,~/c", "x=a~b", "y='~/q'"]) == [
        f"data.root={tmp_path}/x", f"a={tmp_path}/b,{tmp_path}/c", "x=a~b", "y='~/q'",
    ]  # fmt: skip
    for word in ("cells.dir=~/x", "cells.dir='~/x'"):
        assert resolved([word]).config.cells.dir == f"{tmp_path}/x"
    assert composed(["data=cifar10", "data.root=~/x"])["data"]["root"] == f"{tmp_path}/x"


def test_a_sweep_lists_values_and_still_takes_names_alone() -> None:
    check(["att=ca,se", "seed=range(3)", "lr=0.1,0.2", "att=glob(tri*)", "model=choice(resnet18,resnet50)"], sweep=True)
    for word in ("att=ca,1.5", "att=ca,null", "+att=ca,se"):
        with pytest.raises(ConfigError, match=r"not the name of a choice|leave the \+ out"):
            check([word], sweep=True)


def test_words_are_typed_as_a_shell_reads_them() -> None:
    for word in ("a", "layout='(n c) s (h w)'", "it's", 'a"b', "a'\"b", "a$b'", "a!'", "é", "a b", "`x'`", "\\'"):
        assert shlex.split(shell(word)) == [word]
    assert shell("layout='(n c) s'") == "\"layout='(n c) s'\""


def test_a_message_is_one_line_that_does_nothing_to_a_terminal() -> None:
    assert shown(ValueError("a\nb\x1b[2J\u202ec é")) == "a b\\x1b[2J\\u202ec é"
