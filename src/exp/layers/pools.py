"""Statistics along one axis of a tensor, by name.

``l1`` and ``l2`` are plain norms, not divided by the length, as in 004_19b35580bfaac8c6.txt: they grow with n and
sqrt(n) of the pooled axis. ``lp`` is the 2-norm under the name that CBAM's code gives it, and ``lse`` that code's
log(sum(exp(x))) without 1/n. The median of an even count is the lower middle value. A median costs about 20 times a
mean on a CPU; no exact trick was faster than ``torch.median``.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def _max(x: Tensor, dim: int) -> Tensor:
    # max(dim) scatters its gradient to one position; amax splits ties, which costs about twice as much on a CPU.
    return x.max(dim)[0]


def _median(x: Tensor, dim: int) -> Tensor:
    no_index_median = x.is_cuda and torch.are_deterministic_algorithms_enabled()  # CUDA refuses it there
    if no_index_median or torch.onnx.is_in_onnx_export():  # ONNX has no median
        return x.sort(dim)[0].select(dim, (x.shape[dim] - 1) // 2)
    return x.median(dim)[0]


def _l1(x: Tensor, dim: int) -> Tensor:
    return torch.linalg.vector_norm(x, 1, dim)


def _l2(x: Tensor, dim: int) -> Tensor:
    return torch.linalg.vector_norm(x, 2, dim)


_STATISTICS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "avg": torch.mean,
    "max": _max,
    "median": _median,
    "l1": _l1,
    "l2": _l2,
    "lp": _l2,
    "lse": torch.logsumexp,
}


def pool_axis(x: Tensor, name: str, dim: int) -> Tensor:
    """Returns ``x`` with axis ``dim`` reduced to one statistic and removed.

    Args:
        x: Any floating-point tensor.
        name: avg, max, median, l1, l2, lp or lse.
        dim: The axis to reduce.
    """
    return _STATISTICS[name](x, dim)
