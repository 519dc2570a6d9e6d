"""Attention blocks against their published forms: ResNet-50's four shapes, both memory layouts, forward and backward.

``python benchmarks/attention.py`` compares triplet attention with the form that permutes and copies, coordinate
attention and the other blocks with adaptive pooling. Both sides have the same parameters; outputs, gradients of the
input and of all parameters have to agree.
"""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.blocks.cbam import CBAM
from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.eca import ECA
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.triplet import Triplet
from exp.layers.axis_pools import indexed_max
from exp.layers.pools import pool_axis
from measure import Row, close, compared, main, memory_row

SHAPES = ((8, 256, 56, 56), (8, 512, 28, 28), (8, 1024, 14, 14), (8, 2048, 7, 7))
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
Forward = Callable[[Tensor], Tensor]


def permuted(block: Triplet) -> Forward:
    """Triplet attention as published: x is permuted and copied, gated over its second axis, and permuted back."""

    def forward(x: Tensor) -> Tensor:
        branches = []
        for unit, order in ((block.cw, (0, 2, 1, 3)), (block.hc, (0, 3, 2, 1)), (block.hw, (0, 1, 2, 3))):
            assert unit is not None
            turned = x.permute(order).contiguous()
            planes = torch.stack([turned.max(1)[0], turned.mean(1)], 1)
            gate = unit.bn(F.conv2d(planes, unit.conv.weight, padding=3)).sigmoid()
            branches.append((turned * gate).permute(order).contiguous())
        return (branches[0] + branches[1] + branches[2]) / 3

    return forward


def coordinate(block: CoordinateAttention) -> Forward:
    """Coordinate attention as published: adaptive pooling, 1x1 convolutions, two multiplications."""
    part = block.planes["hw"]

    def forward(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        down, across = F.adaptive_avg_pool2d(x, (None, 1)), F.adaptive_avg_pool2d(x, (1, None)).permute(0, 1, 3, 2)
        mixed = F.hardswish(part.bn1(part.conv1(torch.cat([down, across], 2))))
        along_h, along_w = mixed.split([height, width], 2)
        return x * part.conv_w(along_w.permute(0, 1, 3, 2)).sigmoid() * part.conv_h(along_h).sigmoid()

    return forward


def cbam(block: CBAM) -> Forward:
    """CBAM with adaptive pooling."""

    def forward(x: Tensor) -> Tensor:
        pooled = [F.adaptive_avg_pool2d(x, 1).flatten(1), F.adaptive_max_pool2d(x, 1).flatten(1)]
        x = x * sum(block.mlp(one) for one in pooled).sigmoid()[:, :, None, None]
        assert block.spatial is not None
        planes = torch.stack([x.max(1)[0], x.mean(1)], 1)
        return x * block.spatial.bn(F.conv2d(planes, block.spatial.conv.weight, padding=3)).sigmoid()

    return forward


def squeeze(block: SqueezeExcite) -> Forward:
    """Squeeze-and-excitation with adaptive pooling."""
    return lambda x: x * block.fc2(block.fc1(F.adaptive_avg_pool2d(x, 1)).relu()).sigmoid()


def efficient(block: ECA) -> Forward:
    """ECA with adaptive pooling."""

    def forward(x: Tensor) -> Tensor:
        rows = F.adaptive_avg_pool2d(x, 1).squeeze(3).transpose(1, 2)
        return x * F.conv1d(rows, block.conv.weight, padding=block.conv.padding).transpose(1, 2).unsqueeze(3).sigmoid()

    return forward


def step(forward: Forward, x: Tensor, grad: Tensor) -> Callable[[], None]:
    """Returns a forward and a backward pass."""

    def run() -> None:
        x.grad = None
        forward(x).backward(grad)

    return run


def same(block: nn.Module, twin: Forward, shape: tuple[int, ...], layout: torch.memory_format) -> bool:
    """Returns whether output and gradients agree to 1e-5; those of all parameters relative to the largest of them.

    The bias of a convolution before a batch norm has no gradient but rounding, so no parameter can be judged by itself.
    """
    torch.manual_seed(1)
    x = torch.randn(2, *shape[1:]).contiguous(memory_format=layout).requires_grad_()
    wanted = [x, *block.parameters()]
    found = []
    for forward in (block, twin):
        y = forward(x)
        found.append((y, torch.autograd.grad((y * y.detach().cos()).sum(), wanted)))
    (y, ours), (z, theirs) = found
    mine, other = (torch.cat([grad.flatten() for grad in grads[1:]]) for grads in (ours, theirs))
    return close([y, ours[0], mine], [z, theirs[0], other], 1e-5)


def rows() -> Iterator[Row]:
    """Measures."""
    blocks: list[tuple[str, Callable[[int], nn.Module], Callable[..., Forward], str, float, int]] = [
        ("triplet", Triplet, permuted, "permute and copy", 0.40, 4),
        ("ca", CoordinateAttention, coordinate, "adaptive pooling", 0.55, 4),
        ("cbam", CBAM, cbam, "adaptive pooling", 1.0, 2),
        ("se", SqueezeExcite, squeeze, "adaptive pooling", 1.0, 2),
        ("eca", ECA, efficient, "adaptive pooling", 1.0, 2),
    ]
    for name, make, twin_of, against, limit, count in blocks:
        for shape in SHAPES[:count]:
            for layout_name, layout in LAYOUTS.items():
                torch.manual_seed(0)
                block = make(shape[1])
                with torch.no_grad():  # triplet's zero gamma would leave a gate constant
                    for module in block.modules():
                        if isinstance(module, nn.BatchNorm2d):
                            module.weight.uniform_(0.5, 1.5)
                twin = twin_of(block)
                x = torch.randn(shape).contiguous(memory_format=layout).requires_grad_()
                grad = torch.randn(shape).contiguous(memory_format=layout)
                what = f"{name} {'x'.join(map(str, shape[1:]))} {layout_name}"
                equal = same(block, twin, shape, layout)
                yield compared(what, against, step(block, x, grad), step(twin, x, grad), limit, equal)
                if name == "triplet":
                    yield memory_row(what, against, lambda: block(x), lambda: twin(x), 0.70)  # noqa: B023
    for layout_name, layout in LAYOUTS.items():
        x = torch.randn(8, 256, 28, 28).contiguous(memory_format=layout).requires_grad_()
        grad = torch.randn(8, 28, 28)
        ours, theirs = (step(way, x, grad) for way in (lambda x: pool_axis(x, "median", 1), lambda x: x.median(1)[0]))
        what = f"median over the channels 256x28x28 {layout_name}"
        yield compared(what, "torch.median", ours, theirs, 1.05, True)
    x = torch.randn(8, 56, 56, 256)
    for axis in (1, 2, 3):
        (value, index), right = indexed_max(x, axis), x.max(axis)
        equal = torch.equal(value, right.values) and torch.equal(index.long(), right.indices)
        ours, theirs = (lambda axis=axis: indexed_max(x, axis), lambda axis=axis: x.max(axis))
        yield compared(f"first maximum along axis {axis} of 8x56x56x256", "torch.max", ours, theirs, 1.0, equal)


if __name__ == "__main__":
    main(rows, __doc__)
