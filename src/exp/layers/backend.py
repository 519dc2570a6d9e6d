"""Where a faster, equal form of an operation may be computed instead of the plain one."""

import torch
from torch import Tensor


def eager_on_cpu(x: Tensor) -> bool:
    """Returns whether an operation on ``x`` is computed at once, on a CPU.

    A compiler, a trace, an export and the meta device (on which operations are counted) have to get the plain one.
    """
    traced = torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
    return x.device.type == "cpu" and not traced and not torch.compiler.is_compiling()
