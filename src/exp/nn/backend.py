"""Where a faster, equal form of an operation may stand in for the plain one."""

import torch
from torch import Tensor


def eager_on_cpu(x: Tensor) -> bool:
    """Whether `x` is computed now, on a CPU.

    A compiler, a trace, an export and the meta device (counting) must see the plain operation instead.
    """
    traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    return x.device.type == "cpu" and not traced and not torch.compiler.is_compiling()
