"""Narrow nets meet a faulty kernel of oneDNN on AVX2; each trains in a process of its own, which must survive."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from exp.layers.pointwise import FAULTY_CHANNELS, StridedPointwise
from tests.conftest import ENVIRONMENT

TRAIN = """
import torch
from exp.layers.options import RESNETS
from exp.layers.resnet import ResNet
torch.manual_seed(0)
kept = []
for width in {widths}:
    model = ResNet(RESNETS["resnet{depth}"](width=width, stem="{stem}"), num_classes=3)
    model = model.to(memory_format=torch.channels_last)
    for step in range({steps}):
        x = torch.randn(4, 3, 32, 80).contiguous(memory_format=torch.channels_last)
        model(x).sum().backward()
        kept = [*kept[-50:], torch.randn(step % 37 + 1, 17)]
print("survived")
"""


OTHER_CPU = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.mark.parametrize("environment", [OTHER_CPU, pytest.param({}, marks=pytest.mark.slow)])
def test_narrow_channels_last_nets_survive_their_backward_pass(environment: dict[str, str]) -> None:
    code = TRAIN.format(widths=[2, 4, 5, 7], depth=18, stem="imagenet", steps=25)
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "survived\n"), done.stderr[-2000:]


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 7, 8, 16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_numbers_are_those_of_the_plain_convolution(channels: int, layout: torch.memory_format) -> None:
    torch.manual_seed(channels)
    ours = StridedPointwise(channels, 8, 2).double()
    plain = nn.Conv2d(channels, 8, 1, 2, bias=False).double()
    plain.load_state_dict(ours.state_dict())
    x, same = (torch.randn(4, channels, 15, 40, dtype=torch.double).requires_grad_() for _ in range(2))
    same.data.copy_(x.data)
    # Double precision takes no oneDNN kernel, so that the plain one is safe here.
    y, right = ours(x.contiguous(memory_format=layout)), plain(same.contiguous(memory_format=layout))
    torch.testing.assert_close(y, right)
    for gradients in ((y, x, ours), (right, same, plain)):
        gradients[0].square().sum().backward()
    torch.testing.assert_close(x.grad, same.grad)
    torch.testing.assert_close(ours.weight.grad, plain.weight.grad)


def test_contiguous_nets_keep_the_kernel_and_so_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: taken.append(self.in_channels) or x)
    for channels in FAULTY_CHANNELS:
        StridedPointwise(channels, 8, 2)(torch.randn(2, channels, 6, 6))
        StridedPointwise(channels, 8, 2)(torch.randn(2, channels, 6, 6).contiguous(memory_format=torch.channels_last))
    assert taken == list(FAULTY_CHANNELS)
