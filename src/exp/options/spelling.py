"""What a user who typed an unknown name is likely to have meant; nothing where nobody could know."""

import difflib
import functools
from collections.abc import Iterable, Mapping
from typing import Any

from exp.options.catalog import GROUPS, SECTIONS
from exp.options.errors import nearest
from exp.options.fields import fields
from exp.options.words import CHOSEN

FAMILIAR = {
    "arch": "model=NAME",
    "attention": "att=NAME",
    "backbone": "model=NAME",
    "batch": "data.batch_size=N",
    "bs": "data.batch_size=N",
    "checkpoint": "ckpt=PATH",
    "ckpt_path": "ckpt=PATH",
    "data.dir": "data.root=PATH",
    "data.folder": "data.root=PATH",
    "data.path": "data.root=PATH",
    "data_dir": "data.root=PATH",
    "data_root": "data.root=PATH",
    "datamodule": "data=NAME",
    "dataset": "data=NAME",
    "debug": "trainer=debug, a few batches of everything",
    "device": "trainer.accelerator=cpu or gpu",
    "epoch": "trainer.max_epochs=N",
    "epochs": "trainer.max_epochs=N",
    "experiment": "recipe=NAME, or -cn NAME with --config-dir DIR for a configuration of your own; a folder"
    " DIR/experiment of your own takes +experiment=NAME",
    "extras": "nothing like it; exp help shows what there is",
    "gpus": "trainer.devices=N",
    "hparams_search": "hydra/sweeper=optuna",
    "learning_rate": "optim.lr=RATE",
    "log_dir": "cells.dir=PATH",
    "model_name": "model=NAME",
    "n_epochs": "trainer.max_epochs=N",
    "net": "model=NAME",
    "num_epochs": "trainer.max_epochs=N",
    "num_gpus": "trainer.devices=N",
    "optimizer": "optim.name=sgd, adam or adamw",
    "out": "cells.dir=PATH",
    "output_dir": "cells.dir=PATH",
    "paths": "data.root=PATH for data, cells.dir=PATH for results",
    "paths.data_dir": "data.root=PATH",
    "paths.log_dir": "cells.dir=PATH",
    "paths.output_dir": "cells.dir=PATH",
    "paths.root_dir": "cells.dir=PATH",
    "resume": "the same command again, which goes on by itself",
    "row": "what a table's rows vary, such as att=none,ca, which keeps those rows",
    "rows": "what a table's rows vary, such as att=none,ca, which keeps those rows",
    "save_dir": "cells.dir=PATH",
    "scheduler": "optim.schedule=constant, step, multistep or cosine",
    "task_name": "task=NAME",
    "test": "trainer.max_epochs=0 with ckpt=PATH to test only",
    "train": "trainer.max_epochs=0 with ckpt=PATH to test only",
    "wandb": "logger=wandb",
    "wd": "optim.weight_decay=RATE",
    "workers": "nothing like it; data lie in memory or are decoded beside training",
    "num_workers": "nothing like it; data lie in memory or are decoded beside training",
}
"""How it is done here, by the names that other frameworks have for it."""

FAMILIAR_CHOICES = {
    "callbacks=default": "nothing to give; the best and the last weights are kept, and progress is shown",
    "callbacks=early_stopping": "trainer.patience=EPOCHS",
    "callbacks=model_checkpoint": "nothing to give; the best and the last weights are kept",
    "callbacks=rich_progress_bar": "nothing to give; progress is shown",
    "logger=many_loggers": "logger=wandb+csv",
    "trainer=ddp_sim": "trainer=ddp trainer.accelerator=cpu trainer.devices=2",
    "trainer=default": "trainer=auto",
    "trainer=mps": "trainer.accelerator=mps",
}
"""How it is done here, by choices that lightning-hydra-template has."""


def unknown(key: str, chosen: Mapping[str, str] | None = None, *, why: str = "no such option") -> str:
    """Returns the message for a name that is no option of this run.

    Args:
        key: The name as it was given.
        chosen: Choice of each part of the run, by group, as far as it is known.
        why: What is wrong with the name.
    """
    part, _, option = key.partition(".")
    having = [schema.name for schema in _having(part, option) if part in GROUPS]
    if having and chosen and part in chosen:
        return f"{key}: {part}={chosen[part]} has no such option; {part}={','.join(having)} would take it"
    return f"{key}: {why}{suggestion(key, chosen)}"


def suggestion(key: str, chosen: Mapping[str, str] | None = None) -> str:
    """Returns ``"; did you mean 'x'?"`` or how it is done here; empty where nothing is close.

    Args:
        key: The name as it was given.
        chosen: Choice of each part of the run, whose options come first.
    """
    part, dot, option = key.partition(".")
    inside = dot and part in (*GROUPS, *SECTIONS)
    familiar = FAMILIAR.get(key) or FAMILIAR.get(option if inside else part)
    if familiar:
        return f"; here it is {familiar}"
    outer, within, name = option.partition(".")
    if inside and within and any(fields(one)[outer].type is Any for one in _having(part, outer)):
        value = functools.reduce(lambda inner, word: f"{{{word}: {inner}}}", reversed(name.split(".")), "VALUE")
        return f"; what {part}.{outer} holds is given at once, '{part}.{outer}={value}'"
    if inside:
        own, others = (
            [f"{part}.{name}" for name in _options_of(part, choice)] for choice in ((chosen or {}).get(part), None)
        )
        return _near(option, own) or _near(option, others) or _near(option.rpartition(".")[2], _long(), cutoff=0.8)
    if dot:
        return _near(key.rpartition(".")[2], _long())
    own = [name for group, choice in (chosen or {}).items() if group in GROUPS for name in _options_of(group, choice)]
    short = dict.fromkeys([*own, *(name.partition(".")[2] for name in _long())])
    return nearest(
        key, [name for name in (*CHOSEN, *SECTIONS, "seed", "ckpt", "hydra", *short) if name != key], cutoff=0.7
    )


def _near(option: str, known: Iterable[str], cutoff: float = 0.7) -> str:
    """Returns the long name whose option is spelt most like ``option``, if it is at least ``cutoff`` of 1 alike."""
    names = list(known)
    close = difflib.get_close_matches(option, [name.rpartition(".")[2] for name in names], n=1, cutoff=cutoff)
    return f"; did you mean {next(name for name in names if name.endswith('.' + close[0]))!r}?" if close else ""


def _having(part: str, option: str) -> list[Any]:
    """Returns the options classes of a part that have an option."""
    schemas = [SECTIONS[part]] if part in SECTIONS else GROUPS.get(part, {}).values()
    return [schema for schema in schemas if option in fields(schema)]


def _options_of(part: str, choice: str | None) -> list[str]:
    schemas = [SECTIONS[part]] if part in SECTIONS else GROUPS[part].values()
    if choice in GROUPS.get(part, {}):
        schemas = [GROUPS[part][choice]]
    return list(dict.fromkeys(name for schema in schemas for name in fields(schema)))


def _long() -> list[str]:
    return [f"{part}.{name}" for part in (*GROUPS, *SECTIONS) for name in _options_of(part, None)]
