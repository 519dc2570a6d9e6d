"""A strided 1x1 convolution that avoids a faulty kernel of oneDNN.

In torch 2.13.0 on a CPU with AVX2 alone, the backward pass of a 1x1 convolution with a stride above 1 and 2 to 7 input
channels writes past its buffers where the memory layout is channels_last. Other strides, channel counts, kernel sizes,
groups and layouts were tried and are free of the fault.
"""

from torch import Tensor, nn

FAULTY_CHANNELS = range(2, 8)
"""Input channels at which the kernel is faulty."""


def takes_faulty_kernel(model: nn.Module, *, compiled: bool = False) -> bool:
    """Returns whether a model in channels_last would take the faulty kernel.

    Args:
        model: The model.
        compiled: Whether it is compiled; compilers choose the layout later than the detour of this file does.
    """
    kinds = (nn.Conv2d, StridedPointwise) if compiled else (nn.Conv2d,)
    return any(
        isinstance(part, nn.Conv2d)
        and type(part) in kinds
        and part.kernel_size == (1, 1)
        and max(part.stride) > 1
        and part.in_channels in FAULTY_CHANNELS
        for part in model.modules()
    )


class StridedPointwise(nn.Conv2d):
    """A 1x1 convolution without bias, x (B, C, H, W) -> (B, out_channels, ceil(H / stride), ceil(W / stride)).

    Where the faulty kernel would be chosen, the pixels are picked first and convolved without a stride: the same sums.
    The state dict is that of ``nn.Conv2d``.

    Args:
        in_channels: C.
        out_channels: Channels of the output.
        stride: Distance of the pixels that are kept.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        step = self.stride[0]
        if step == 1 or self.in_channels not in FAULTY_CHANNELS or input.device.type != "cpu":
            return super().forward(input)
        if input.stride(1) != 1 and self.weight.stride(3) == 1:  # both contiguous, which chooses another kernel
            return super().forward(input)
        return nn.functional.conv2d(input[:, :, ::step, ::step], self.weight)
