"""A cell's task and network, built from its options, and what the network costs."""

from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from exp.options.config import Config
from exp.options.parts import BlockOptions, NoAttention
from exp.tasks.adopted import Adopted
from exp.tasks.base import Task, stable_seed
from exp.tasks.count import count, kept, shapes_only

_WEIGHTS = 0xC0FFEE
"""Keeps the random numbers of starting weights apart from all others that follow from a cell's seed."""


def attention(options: BlockOptions | NoAttention) -> dict[str, Any]:
    """Returns a network's attention arguments: ``att``, which builds a block from its channels, and ``placement``.

    Without attention there are none.
    """
    if isinstance(options, NoAttention):
        return {}
    return {"att": partial(options.builder(), options=options), "placement": options.placement}


def attention_class(options: BlockOptions | NoAttention) -> type[nn.Module] | None:
    """Returns the class of the chosen attention block, None for none."""
    return None if isinstance(options, NoAttention) else options.builder()


def backbone(config: Config, *, in_channels: int, num_classes: int, image_size: tuple[int, int]) -> nn.Module:
    """Returns the chosen network of images with the chosen attention.

    Args:
        config: The cell's options, of which ``model`` and ``att`` are read.
        in_channels: Channels of an image.
        num_classes: Outputs of the classifier.
        image_size: Height and width of an image.
    """
    build = config.model.builder()
    return build(
        config.model, in_channels=in_channels, num_classes=num_classes, image_size=image_size, **attention(config.att)
    )


class KnownClasses:
    """A data set's reader whose classes are known from a checkpoint, so that its files need not be there.

    Args:
        source: The reader, which answers everything else.
        names: Of the classes.
    """

    def __init__(self, source: Any, names: list[str]) -> None:
        self._source = source
        self.class_names = names
        self.num_classes = len(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def build_task(config: Config, classes: list[str] | None = None) -> Task | Adopted:
    """Returns the cell's task with the reader of its data set and its network, whose weights follow from the seed.

    Args:
        config: The cell's options.
        classes: Names of the classes where a checkpoint has them; otherwise the data set is asked.

    Raises:
        ConfigError: Options of the data set exclude one another.
    """
    source = config.data.reader()
    if classes is not None:
        source = KnownClasses(source, classes)
    torch.manual_seed(stable_seed(config.seed, _WEIGHTS))
    return config.task.builder()(config, source)


def cost(config: Config) -> dict[str, Any]:
    """Returns what a cell's network costs for one sample, without data or memory.

    ``params`` is the number of parameters, ``macs`` that of multiply-accumulates, ``gflops_published`` the figure by
    the convention of papers (see ``exp.tasks.count``); further costs of the task follow. Of an unchanged
    LightningModule without ``example_input_array`` the parameters alone are known.
    """
    with shapes_only() if config.task.counted_on_meta else nullcontext():
        task = build_task(config)
    example = task.example_shapes()
    if not example:
        return {"params": sum(parameter.numel() for parameter in task.model.parameters())}
    counts = count(task.model, *example)
    known = {"params": counts.params, "macs": counts.macs, "gflops_published": round(counts.gflops_published, 4)}
    return known | task.extra_costs()


def step_cost(config: Config) -> dict[str, int]:
    """Returns what a training step of a cell takes on one device, counted without data or memory.

    ``samples`` of a micro-batch; ``state_bytes`` of weights, gradients and the optimizer's averages; ``step_bytes``,
    those and what the forward pass keeps for the backward pass; ``operations``, two for a multiply-accumulate, forward
    and backward. Nothing is known of an unchanged LightningModule.
    """
    with shapes_only() if config.task.counted_on_meta else nullcontext():
        task = build_task(config)
    if not isinstance(task, Task):
        return {}
    shapes, samples = task.example_shapes(), task.micro_batch
    size = {"64-true": 8, "32-true": 4}.get(config.trainer.precision, 2)
    weights = 2 if config.trainer.precision == "bf16-true" else max(4, size)
    averages = 1 if config.optim.name == "sgd" else 2
    counts = count(task.model, *shapes)
    state = counts.params * weights * (2 + averages)
    kept_bytes = kept(task.model, *shapes) * size // 4 * samples
    return {
        "samples": samples,
        "state_bytes": state,
        "step_bytes": state + kept_bytes,
        "operations": 3 * 2 * counts.macs * samples,
    }
