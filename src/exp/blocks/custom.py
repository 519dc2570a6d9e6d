"""A block that a user wrote: any torch module that keeps the shape of its input."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from exp.blocks.options import CustomOptions
from exp.options.errors import ConfigError, brief, nearest
from exp.options.plugins import append_to_path


class Custom(nn.Module):
    """Builds ``Class(channels, **options.options)`` from ``package.module:Class`` and checks that it keeps the shape.

    A method ``init_weights()`` of the block is called after the network's own initialisation. Sub-modules named
    ``gate`` or ``router_weights`` are recorded with ``att.record=true``.

    Args:
        channels: C of x (B, C, H, W), the block's first argument.
        options: See ``CustomOptions``. The working directory is searched for the target too.

    Raises:
        ConfigError: The target cannot be imported or built, or is no torch module; or, in a forward pass, it returns no
            tensor or changes the shape.
    """

    def __init__(self, channels: int, options: CustomOptions) -> None:
        super().__init__()
        self.target = target = options.target
        module, _, name = (target or "").partition(":")
        append_to_path(Path.cwd())
        try:
            kind = getattr(importlib.import_module(module), name)
            unknown = _unknown(kind, options.options or {})
            block = None if unknown else kind(channels, **(options.options or {}))
        except (ImportError, AttributeError, SyntaxError, TypeError, ValueError) as error:
            raise ConfigError(f"att.target={target}: {brief(error)}") from error
        if unknown:
            raise ConfigError(f"att.options: {unknown}")
        if not isinstance(block, nn.Module):
            raise ConfigError(f"att.target={target}: makes a {type(block).__name__}, not a torch module")
        self.block = block

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        if not isinstance(y, Tensor):
            raise ConfigError(f"att.target={self.target}: returns a {type(y).__name__}; return a tensor of x's shape")
        if not traced and y.shape != x.shape:
            raise ConfigError(f"att.target={self.target}: turns {tuple(x.shape)} into {tuple(y.shape)}; keep the shape")
        return y


def _unknown(kind: Callable[..., Any], options: Mapping[str, Any]) -> str:
    """Returns which option a block's class takes by no name, empty where it takes all."""
    known = inspect.signature(kind).parameters
    if any(one.kind is one.VAR_KEYWORD for one in known.values()):
        return ""
    named = list(known)[1:]  # behind the channels
    for name in options:
        if name not in named:
            return f"{getattr(kind, '__name__', 'the block')} takes no {name}{nearest(name, named)}"
    return ""
