"""Efficient channel attention: a 1-D convolution across channels of the global mean.

Source: Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net", CVPR 2020.
"""

import math
from typing import Any

from torch import Tensor, nn

from exp.blocks.options import ECAOptions
from exp.layers.activations import make_gate
from exp.layers.axis_gates import scaled
from exp.layers.axis_pools import pooled


class ECA(nn.Module):
    """Efficient channel attention, x (B, C, H, W) -> same shape, k parameters.

    The paper's size of the convolution is, with t = int((log2(C) + 1) / 2), the next odd number from t, at least 3.

    Args:
        channels: C; sets k where ``kernel_size`` is 0.
        options: See ``ECAOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, channels: int, options: ECAOptions | None = None, **given: Any) -> None:
        super().__init__()
        options = ECAOptions.of(options, given)
        adaptive = int((math.log2(channels) + 1) / 2)
        kernel_size = options.kernel_size or max(3, adaptive + 1 - adaptive % 2)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.gate = make_gate(options.gate)

    def forward(self, x: Tensor) -> Tensor:
        """Returns x (B, C, H, W) times the channel gate, same shape."""
        (mean,), joint = pooled(x, ("avg",), [(2, 3)], ((0,),))
        gate = self.gate(self.conv(mean).squeeze(1))
        return scaled(x, [(gate[:, :, None, None],)], joint)
