"""Fine-tuning: which weights of a checkpoint a network starts from, decided by names and shapes alone.

The names below some module of the checkpoint and some module of the network have to be the same, wherever these two
modules are: a classifier ``model`` may become the ``model.backbone`` of another task.
"""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.options.weights import OWN, TIMM, parted
from exp.tasks.adopted import Adopted
from exp.tasks.base import Task
from exp.tasks.build import build_task
from exp.tasks.checkpoint import misfit, read_checkpoint
from exp.tasks.count import shapes_only

DEPTH = 3
"""Modules inside one another down to which a network is looked for in another."""
NAMED = 6
"""New modules that are named; further ones are counted."""
WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Under which names checkpoints of other projects have their weights."""


@dataclass(frozen=True)
class Fit:
    """Which weights are taken.

    Attributes:
        taken: Our names with the checkpoint's of the weights that are taken.
        new: Our names of those that keep their own starting values.
        below: The modules under which the names agree, the checkpoint's and ours.
    """

    taken: dict[str, str]
    new: list[str]
    below: tuple[str, str]

    def words(self, init: str) -> str:
        """Returns what is taken and what is new, in a line."""
        theirs, ours = (name or "all" for name in self.below)
        place = "" if theirs == ours else f", {theirs} as {ours}"
        modules: dict[str, int] = {}
        for name in self.new:
            module = name.rpartition(".")[0] or name
            modules[module] = modules.get(module, 0) + 1
        listed = [f"{module} ({count})" for module, count in list(modules.items())[:NAMED]]
        more = f" and {len(modules) - NAMED} more modules" if len(modules) > NAMED else ""
        new = f"; new: {', '.join(listed)}{more}" if listed else "; none is new"
        return f"init={init}: takes {len(self.taken)} of {len(self.taken) + len(self.new)} weights{place}{new}"


def fit(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], init: str, prefix: str = "") -> Fit:
    """Returns the fit that takes the most weights.

    Args:
        ours: The network's state dict; shapes are enough.
        theirs: The checkpoint's.
        init: How it was asked for, for messages.
        prefix: The checkpoint's module whose weights are taken; looked for where it is empty.

    Raises:
        ConfigError: The checkpoint has no such module, or fewer than half of its weights fit, and of ours.
    """
    if prefix and not _below(theirs, prefix):
        there = ", ".join(dict.fromkeys(name.partition(".")[0] for name in theirs))
        raise ConfigError(f"init={init}: the checkpoint has nothing below {prefix}; it has {there}")
    given = len(_below(theirs, prefix)) if prefix else len(theirs)
    best: tuple[int, int, str, str] | None = None
    for theirs_below in [prefix] if prefix else _modules(theirs):
        inner = _below(theirs, theirs_below)
        for ours_below in _modules(ours):
            own = _below(ours, ours_below)
            count = sum(name in own and own[name].shape == value.shape for name, value in inner.items())
            depth = theirs_below.count(".") + ours_below.count(".") + bool(theirs_below) + bool(ours_below)
            if best is None or (count, -depth) > best[:2]:
                best = (count, -depth, theirs_below, ours_below)
    assert best is not None
    count, _, theirs_below, ours_below = best
    inner, own = _below(theirs, theirs_below), _below(ours, ours_below)
    if 2 * count < min(given, len(ours)) or not count:
        raise ConfigError(f"init={init}: another network's weights: {misfit(ours, theirs)}")
    dot = {module: f"{module}." if module else "" for module in (theirs_below, ours_below)}
    fitting = [name for name in own if name in inner and own[name].shape == inner[name].shape]
    taken = {f"{dot[ours_below]}{name}": f"{dot[theirs_below]}{name}" for name in fitting}
    return Fit(taken, [name for name in ours if name not in taken], (theirs_below, ours_below))


def take(task: Task | Adopted, init: str) -> str:
    """Loads the weights that fit, and returns what was taken and what is new.

    Raises:
        ConfigError: See ``fit``.
    """
    path, prefix = parted(init)
    theirs, module = _weights(path, init), task.lightning
    ours = module.state_dict()
    decided = fit(ours, theirs, init, prefix)
    module.load_state_dict({**ours, **{own: theirs[name] for own, name in decided.taken.items()}})
    return decided.words(init)


def decide(config: Config) -> str:
    """Decides from shapes alone whether the weights that a cell starts from fit its network.

    Returns:
        For ``init`` what is taken and what is new, empty for a cell that starts from its own weights.

    Raises:
        ConfigError: They do not fit.
    """
    init = config.model.init
    if not config.ckpt and init in (OWN, TIMM):
        return ""
    with shapes_only() if config.task.counted_on_meta else nullcontext():
        ours = build_task(config).lightning.state_dict()
    if config.ckpt:
        kept = _weights(Path(config.ckpt), config.ckpt, shapes=True, option="ckpt")
        if problem := misfit(ours, kept):
            raise ConfigError(
                f"ckpt={config.ckpt}: another model's weights: {problem}; init=... in place of ckpt=... takes those"
                " that fit"
            )
        return ""
    path, prefix = parted(init)
    return fit(ours, _weights(path, init, shapes=True), init, prefix).words(init)


def _weights(path: Path, given: str, *, shapes: bool = False, option: str = "init") -> Mapping[str, Tensor]:
    """Returns a checkpoint's weights, or tensors without memory of their shapes."""
    kept = read_checkpoint(str(path), f"{option}={given}", shapes=shapes)
    inner = next((kept[name] for name in WRAPPERS if isinstance(kept.get(name), Mapping)), kept)
    weights = {name: value for name, value in inner.items() if isinstance(value, Tensor)}
    if not weights:
        raise ConfigError(f"{option}={given}: holds no weights")
    return weights


def _modules(names: Mapping[str, Tensor]) -> Iterator[str]:
    """Yields the modules that hold weights, from the whole inwards."""
    modules = {"": None}
    for depth in range(1, DEPTH + 1):
        for name in names:
            words = name.split(".")
            if len(words) > depth:
                modules.setdefault(".".join(words[:depth]))
    yield from modules


def _below(names: Mapping[str, Tensor], module: str) -> dict[str, Tensor]:
    """Returns the weights below a module, by the rest of their names."""
    start = f"{module}." if module else ""
    return {name.removeprefix(start): value for name, value in names.items() if name.startswith(start)}
