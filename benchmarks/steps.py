"""Training steps of large networks in bf16 and channels_last with a fused optimizer, against float32 as torch has it.

``python benchmarks/steps.py`` takes ResNet-50 on 32 images of 32 pixels with a 3x3 stem, and GaitBase's frame network
on 60 silhouettes, each with a linear layer and SGD. A second row each compares the step with what its operations would
take at the speed of the fastest large convolution. Both sides start from the same weights; their losses have to agree
within bf16's rounding. It has rows only where the processor has units for bf16.
"""

import copy
import statistics
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from exp.layers.options import RESNETS
from exp.layers.resnet import ResNet
from exp.tasks.gait.models.backbone import FrameResNet, init_gait
from measure import Row, in_turn, machine, main


def fastest_convolution() -> float:
    """Returns operations a second of a large convolution in bf16, forward, the best of several sizes."""
    seconds = []
    for channels, side in ((128, 32), (256, 28), (512, 14)):
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False).bfloat16().to(memory_format=torch.channels_last)
        x = torch.randn(32, channels, side, side).bfloat16().contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            spent = in_turn({"conv": lambda conv=conv, x=x: conv(x)})["conv"]  # type: ignore[misc]
        seconds.append(statistics.median(spent) / (2 * x.numel() * channels * 9))
    return 1 / min(seconds)


def step_of(model: nn.Module, x: Tensor, labels: Tensor, fast: bool) -> Callable[[], float]:
    """Returns a training step, which returns its loss."""
    if fast:
        model, x = (one.to(memory_format=torch.channels_last) for one in (model, x))  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, fused=fast)

    def step() -> float:
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            loss = nn.functional.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def networks() -> Iterator[tuple[str, nn.Module, Tensor, float, float]]:
    """Yields name, network, batch, the largest ratio and the smallest share of the peak."""
    torch.manual_seed(0)
    images = torch.randn(32, 3, 32, 32)
    yield "ResNet-50, 32 images", ResNet(RESNETS["resnet50"](stem="cifar"), num_classes=10), images, 0.36, 0.5
    frames = FrameResNet()
    init_gait(frames)
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(frames.out_channels, 10))
    shapes = (torch.rand(60, 1, 64, 44) > 0.5).float()
    yield "GaitBase's ResNet9, 60 frames", nn.Sequential(frames, head), shapes, 0.36, 0.7


def rows() -> Iterator[Row]:
    """Measures."""
    if "bf16" not in machine()["units"]:
        return
    torch.set_num_threads(1)
    peak = fastest_convolution()
    for name, model, x, most, share in networks():
        labels = torch.arange(len(x)) % 10
        theirs, ours = (step_of(copy.deepcopy(model), x, labels, fast) for fast in (False, True))
        equal = abs(ours() / theirs() - 1) < 0.02
        with FlopCounterMode(display=False) as counter:
            ours()
        spent = in_turn({"theirs": theirs, "ours": ours}, rounds=5)
        ratio = statistics.median(a / b for a, b in zip(spent["ours"], spent["theirs"], strict=True))
        mine, other = (statistics.median(spent[way]) for way in ("ours", "theirs"))
        yield Row(f"a step of {name}, bf16", "float32, NCHW", "CPU time", round(ratio, 3), most, equal,
                  f"{1000 * mine:.0f} : {1000 * other:.0f} ms")  # fmt: skip
        least = counter.get_total_flops() / peak
        yield Row(f"a step of {name}, bf16", "a convolution's peak", "CPU time", round(mine / least, 2),
                  round(1 / share, 2), equal, f"{1000 * mine:.0f} : {1000 * least:.0f} ms, {least / mine:.0%} of "
                  f"{peak / 1e9:.0f} GFLOP/s")  # fmt: skip


if __name__ == "__main__":
    main(rows, __doc__)
