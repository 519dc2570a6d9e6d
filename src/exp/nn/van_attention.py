"""The attention of the Visual Attention Network: LKA between two 1x1 convolutions, with an inner skip.

Source: Guo, Lu, Liu, Cheng, Hu, "Visual Attention Network", Computational Visual Media 2023, and its authors' code.
"""

from torch import Tensor, nn

from exp.nn.activations import make_activation
from exp.nn.lka import LKA

VAN_ACTIVATIONS = ("gelu", "relu", "silu", "none")


class VANAttention(nn.Module):
    """1x1, activation, LKA, 1x1, plus the input; x (B, C, H, W) -> same shape.

    The defaults are the official form with its key names: C = 64 has 17,344 parameters.

    Args:
        channels: C.
        kernel_size: As in LKA.
        form: As in LKA.
        branches: As in LKA.
        activation: Between the first 1x1 and LKA: gelu (official), relu, silu or none.
        lka_activation: After LKA's depthwise steps: none (official), relu, gelu or silu.
        norm: After LKA's depthwise steps: none (official) or batch.
        gate: Of LKA's map: none (official), sigmoid, tanh or hard_sigmoid.
        join: LKA's product (official) or sum.
        skip: Whether the input is added at the end.

    Raises:
        ValueError: For a value outside those named.
    """

    def __init__(
        self,
        channels: int,
        *,
        kernel_size: int = 21,
        form: str = "decomposed",
        branches: str | None = None,
        activation: str = "gelu",
        lka_activation: str = "none",
        norm: str = "none",
        gate: str = "none",
        join: str = "product",
        skip: bool = True,
    ) -> None:
        super().__init__()
        self.proj_1 = nn.Conv2d(channels, channels, 1)
        self.activation = make_activation(activation, where="VANAttention", allowed=VAN_ACTIVATIONS)
        self.spatial_gating_unit = LKA(
            channels,
            kernel_size=kernel_size,
            form=form,
            branches=branches,
            activation=lka_activation,
            norm=norm,
            gate=gate,
            join=join,
        )
        self.proj_2 = nn.Conv2d(channels, channels, 1)
        self.skip = skip

    def forward(self, x: Tensor) -> Tensor:
        """Maps x (B, C, H, W) to the attended features, same shape."""
        y = self.proj_2(self.spatial_gating_unit(self.activation(self.proj_1(x))))
        return x + y if self.skip else y
