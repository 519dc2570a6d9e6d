"""Parameters, multiply-accumulates and the "published" FLOPs of a network, counted without data or memory.

There are two conventions, because tables in papers use both. ``macs`` counts convolutions and matrix products only.
The published one, which meets the figures of the triplet attention paper (ResNet-50: 4.122, with triplet k = 7: 4.169
GFLOPs), adds to them one operation for each bias addition, two for each element of a BatchNorm output, one for each
element of a ReLU output and one for each input element of a pooling module. Gates, products with gates and statistics
taken along an axis are free.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from exp.blocks.fusion import BranchFusion

_LINEAR = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_POOL = (
    nn.MaxPool1d,
    nn.MaxPool2d,
    nn.MaxPool3d,
    nn.AvgPool1d,
    nn.AvgPool2d,
    nn.AvgPool3d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d,
)


@dataclass(frozen=True)
class Counts:
    """What a network costs.

    Attributes:
        params: Parameters, trainable or not.
        macs: Multiply-accumulates of convolutions and matrix products in one forward pass.
        gflops_published: The published convention of this module's docstring, in 1e9 operations.
    """

    params: int
    macs: int
    gflops_published: float


@contextlib.contextmanager
def shapes_only() -> Iterator[None]:
    """Within it, modules are built on the meta device, without memory and without drawing their first weights."""
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves out drawing, which the meta device does in Python: half the time of building a network there."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if function in (Tensor.normal_, Tensor.uniform_):
            return args[0]
        return function(*args, **(kwargs or {}))


def count(model: nn.Module, *inputs: tuple[int, ...] | Tensor) -> Counts:
    """Counts one forward pass in evaluation mode on the meta device; the model itself is left as it is.

    Args:
        model: Any module whose forward needs no values, only shapes.
        *inputs: The forward's arguments: a shape with the batch axis (batch 1 gives the figures of the tables), taken
            as float32, or an example tensor, whose shape and dtype are used.
    """
    twin = _on_meta(model).eval()
    args = [_to_meta(x) if isinstance(x, Tensor) else torch.empty(x, device="meta") for x in inputs]
    extra_ops, extra_macs = 0, 0

    def add(module: nn.Module, module_inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal extra_ops, extra_macs
        if isinstance(module, _LINEAR) and module.bias is not None:
            extra_ops += output.numel()
        elif isinstance(module, _NORM):
            extra_ops += 2 * output.numel()
        elif isinstance(module, (nn.ReLU, nn.ReLU6)):
            extra_ops += output.numel()
        elif isinstance(module, _POOL):
            extra_ops += module_inputs[0].numel()
        elif isinstance(module, BranchFusion) and module.kind == "conv":
            # Written as broadcast products, which the counter does not see; it is a grouped 1x1 convolution.
            extra_macs += module.branches * output.numel()

    handles = [module.register_forward_hook(add) for module in twin.modules()]
    for module in twin.modules():
        if isinstance(module, _NORM):  # a quarter of the time is the meta device's own batch norm, written in Python
            module.forward = _same  # type: ignore[assignment, method-assign]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        twin(*args)
    for handle in handles:
        handle.remove()
    macs = counter.get_total_flops() // 2 + extra_macs
    params = sum(p.numel() for p in model.parameters())
    return Counts(params, macs, (macs + extra_ops) / 1e9)


def kept(model: nn.Module, *shapes: tuple[int, ...]) -> int:
    """Returns the bytes that a forward pass in training keeps for the backward pass, for one sample, in float32.

    Args:
        model: As for `count`; its parameters do not count.
        *shapes: Of its inputs for a batch of one.
    """
    twin = _on_meta(model).train()
    storages = {}
    own = {tensor.untyped_storage()._cdata for tensor in (*twin.parameters(), *twin.buffers())}

    def note(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        if storage._cdata not in own:
            storages[storage._cdata] = storage
        return x

    inputs = [torch.empty((2, *shape[1:]), device="meta") for shape in shapes]  # batch norm asks for two samples
    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        held = twin(*inputs)
    del held
    return sum(storage.nbytes() for storage in storages.values()) // 2


def _on_meta(model: nn.Module) -> nn.Module:
    """Returns a copy whose parameters and buffers go to the meta device at once, so that no weight is duplicated."""
    return copy.deepcopy(model, {id(t): _to_meta(t) for t in (*model.parameters(), *model.buffers())})


def _same(x: Tensor) -> Tensor:
    return x


def _to_meta(tensor: Tensor) -> Tensor:
    meta = torch.empty_like(tensor, device="meta")
    return nn.Parameter(meta, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else meta
