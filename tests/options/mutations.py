"""Random mutations of valid command lines and YAML, for tests of what bad input ends in."""

import random
from collections.abc import Iterator
from typing import Any

VALID: tuple[tuple[str, ...], ...] = (
    (),
    ("att=triplet", "kernel_size=3", "seed=4"),
    ("att=ca", "att.reduction=8", "trainer.max_epochs=3"),
    ("model=resnet50", "data=cifar100", "recipe=sound", "lr=0.01"),
    ("optim.name=adam", "optim.betas=[0.9,0.99]", "batch_size=32"),
    ("optim.schedule=multistep", "optim.milestones=[1,2]", "trainer.accelerator=cpu"),
    ("task=gait", "model=convlstm", "hidden=24"),
    ("task=gait", "data=walkers", "model.layout='(n c) s (h w)'", "model=convlstm"),
    ("task=lane", "data.mean=[0.5,0.5,0.5]", "trainer=debug"),
    ("task=fer", "model=resnet_cbam", "recipe=sound", "logger=csv"),
    ("att=step2_mended", "logger=wandb", "logger.project=study"),
    ("cells.dir=there", "sweep.jobs=2", "sweep.force=stale", "trainer.precision=bf16-mixed"),
    ("data.root='/a folder/b'", "data=cifar10", "data.std=[1,1,1]"),
    ("hydra.verbose=true", "hydra.job.name=x", "trainer.ema=0.9"),
)

VALUES = (
    "", "null", "None", "1.5", "0", "-1", "inf", "nan", "1e999", "9" * 40, "true", "no", "???", "[]", "[[[1]]]", "{}",
    "{a: 1}", "{a: {b: [1]}}", "[a,b]", "a,b", "1,2", "range(3)", "range(0,1e9,0)", "glob(*)", "choice(a)", "choice()",
    "sort(3,1)", "shuffle(1,2)", "interval(0,1)", "int(x)", "str(1)", "foo(1)", "tag(a,1)", "'", '"', "'a", '"a"', "a'b",
    "${", "${}", "${x}", "${seed}", "${att}", "${att.name}", "${optim.lr}", "${oc.env:NOWHERE_XYZ}", "${oc.env:HOME}",
    "${oc.decode:'['}", "${hydra:job.name}", "${hydra:x.y}", "${foo:1}", "$${x}", "${..}", "${.x}", "${x:${y}}",
    "~", "~/x", "~nobody/x", "a=b", "=", "#", "a#b", "(1)", "(", ")", "a b", " ", "a\tb", "a\nb", "a\r", "\x00", "\x1b[0m",
    "é", "日本", "\u202e", "\ud800", "🙂", "a/b", "../..", "/", "\\", "\\\\'", "a\\,b", "a:b", "a;b", "a|b", "%s", "{}{",
    "[", "]", "[1,", "{a", "triplet", "resnet18", "x" * 5000, "-", "--", "@", "a@b", "+", "*", "?", "!", "&", "`", "1_0",
)  # fmt: skip
"""What a value may be replaced by."""

KEYS = (
    "att", "model", "task", "data", "recipe", "trainer", "logger", "optim", "seed", "when", "ckpt", "cells", "sweep",
    "origin", "table", "hydra", "hydra/launcher", "hydra/sweeper", "hydra.sweeper", "hydra.mode", "hydra.job.env_set",
    "hydra.searchpath", "hydra.callbacks", "att.name", "optim.name", "kernel_size", "att.kernel_size", "optim.lr",
    "trainer.max_epochs", "data.root", "data.mean", "when.att", "schema", "schema/att", "x", "x.y.z", "epochs",
    "experiment", "paths.data_dir", "_self_", "_target_", "_global_", "defaults", "0", "a-b", "$x", "att.options",
    "recipe/attention", "sweep.cells", "trainer.devices", "cells.keep", "sweep.invalid", "origin.table",
)  # fmt: skip
"""Names that a mutation may use."""

FLAGS = (
    "--multirun",
    "-m",
    "--cfg",
    "--foo",
    "-x",
    "--config-name",
    "-cn",
    "--config-dir",
    "--info",
    "--resolve",
    "-p",
)


def value(dice: random.Random) -> str:
    """A strange value, at times two of them joined."""
    first = dice.choice(VALUES)
    return first + dice.choice(VALUES) if dice.random() < 0.15 else first


def key(dice: random.Random) -> str:
    name = dice.choice(KEYS)
    if dice.random() < 0.2:
        place = dice.randrange(len(name))
        name = name[:place] + dice.choice("x.@/:+~-= é0") + name[place + dice.randrange(2) :]
    return dice.choice(("", "", "", "", "+", "++", "~", "@")) + name


def mutated(dice: random.Random, words: list[str]) -> list[str]:
    """A command line with one to three changes: keys, values, characters, words doubled, dropped or added."""
    words = list(words)
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        kind = dice.choice(("value", "value", "value", "key", "new", "new", "character", "double", "package", "flag"))
        place = dice.randrange(len(words)) if words else 0
        name, _, old = words[place].partition("=") if words else ("att", "", "ca")
        if kind == "flag" and dice.random() < 0.7:
            kind = "value"
        if kind == "new" or not words:
            words.append(f"{key(dice)}={value(dice)}" if dice.random() < 0.95 else key(dice))
        elif kind == "value":
            words[place] = f"{name}={value(dice)}"
        elif kind == "key":
            words[place] = f"{key(dice)}={old}"
        elif kind == "character":
            at = dice.randrange(len(words[place]))
            words[place] = words[place][:at] + dice.choice("=,.[]{}()'\"$~ #é\t\\0x") + words[place][at + 1 :]
        elif kind == "double":
            words.append(f"{name}={value(dice)}")
        elif kind == "package":
            words[place] = f"{name}@{dice.choice(('y', '_global_', 'att', ''))}={dice.choice((old, value(dice)))}"
        else:
            words.insert(place, dice.choice(FLAGS))
    return words


def command_lines(seed: int, count: int) -> Iterator[list[str]]:
    """Mutated command lines, the same for the same seed."""
    for number in range(count):
        dice = random.Random(f"{seed}:{number}")
        yield mutated(dice, list(dice.choice(VALID)))


YAML_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1.5, float("inf"), float("nan"), 10**40, "", "no", "a b", "(n c) s", "${x}", "${seed}", "???",
    "é", "a,b", "a=b", "'", [], [[[1]]], {}, {"a": {"b": 1}}, [None], {None: 1}, {1: 2}, "\x1b", "x" * 3000,
)  # fmt: skip


def changed(dice: random.Random, node: Any) -> Any:
    """A copy of a YAML document with one place changed: a value, a key, an entry dropped, doubled or nested."""
    if dice.random() < 0.25 or not isinstance(node, (dict, list)) or not node:
        return dice.choice((dice.choice(YAML_VALUES), [node], {"x": node}))
    if isinstance(node, list):
        place = dice.randrange(len(node))
        return [changed(dice, one) if number == place else one for number, one in enumerate(node)]
    chosen = dice.choice(list(node))
    kind = dice.choice(("inside", "inside", "inside", "inside", "key", "drop", "add"))
    if kind == "inside":
        return {name: changed(dice, one) if name == chosen else one for name, one in node.items()}
    if kind == "drop":
        return {name: one for name, one in node.items() if name != chosen}
    if kind == "add":
        return node | {dice.choice((*KEYS, None, 1, True)): dice.choice(YAML_VALUES)}
    renamed = dice.choice((*KEYS, str(chosen)[:-1], f"{chosen}x", 1, None))
    return {renamed if name == chosen else name: one for name, one in node.items()}
