"""Efficient channel attention: a 1-D convolution across channels of the global mean.

Source: Wang, Wu, Zhu, Li, Zuo, Hu, "ECA-Net", CVPR 2020.
"""

import math

from torch import Tensor, nn

from exp.nn.activations import GATES, make_gate
from exp.nn.checks import odd


class ECA(nn.Module):
    """Efficient channel attention, x (B, C, H, W) -> same shape, k parameters.

    Args:
        channels: C; sets k when kernel_size is 0.
        kernel_size: Odd k, or 0 for the paper's adaptive size: t = int((log2(C) + 1) / 2), the next odd number from t,
            at least 3.
        gate: sigmoid, tanh or hard_sigmoid.

    Raises:
        ValueError: For an even or negative kernel_size, or an unknown gate.
    """

    def __init__(self, channels: int, *, kernel_size: int = 0, gate: str = "sigmoid") -> None:
        super().__init__()
        if kernel_size == 0:
            adaptive = int((math.log2(channels) + 1) / 2)
            kernel_size = max(3, adaptive + 1 - adaptive % 2)
        odd("ECA", "kernel_size", kernel_size)
        self.conv = nn.Conv1d(1, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.gate = make_gate(gate, where="ECA", allowed=GATES)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to x times the channel gate, same shape."""
        logit = self.conv(x.mean((2, 3)).unsqueeze(1)).squeeze(1)
        return x * self.gate(logit)[:, :, None, None]
