"""Batch norm over the whole batch of all ranks (processes), on the CPU too.

torch's ``SyncBatchNorm`` runs on accelerators only. This form sums over the ranks twice, for the mean and for the
variance about it; the gradients of these sums are sums over the ranks again. The result is what one device would
compute on the whole batch.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _AllReduce(torch.autograd.Function):
    """Sums a tensor over all ranks; its gradient is summed over all ranks as well."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


class CPUSyncBatchNorm(_BatchNorm):
    """Batch norm with statistics over all ranks; x (n, C, ...) -> same shape, where n may differ between ranks."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"batch norm needs at least 2 dimensions, got {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        """Returns the normalised input; in evaluation, and on one rank, that of torch's own batch norm."""
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        axes = [axis for axis in range(input.dim()) if axis != 1]
        shape = [1, -1] + [1] * (input.dim() - 2)
        local = torch.full((1,), input.numel() / input.shape[1], dtype=torch.float32, device=input.device)
        values = input.float()
        sums = _AllReduce.apply(torch.cat([values.sum(axes), local]))
        count = sums[-1].detach()
        mean = sums[:-1] / count
        centred = values - mean.view(shape)
        variance = _AllReduce.apply(centred.square().sum(axes)) / count
        self._remember(mean.detach(), variance.detach(), float(count))
        normal = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normal = normal * self.weight.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if not self.track_running_stats:
            return
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_((variance * (count / max(count - 1, 1))).to(self.running_var.dtype), momentum)


def synchronised(model: nn.Module, device: torch.device) -> nn.Module:
    """Returns the model with every batch norm replaced by one over all ranks.

    Parameters, buffers and the keys of the state dict stay the same.

    Args:
        model: Any module; its batch norms are replaced in place.
        device: Where it will run; on an accelerator torch's ``SyncBatchNorm`` is taken.
    """
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    if isinstance(model, _BatchNorm):
        twin = CPUSyncBatchNorm(model.num_features, model.eps, model.momentum, model.affine, model.track_running_stats)
        twin._parameters = model._parameters
        twin._buffers = model._buffers
        return twin.train(model.training)
    for name, child in model.named_children():
        replaced = synchronised(child, device)
        if replaced is not child:
            setattr(model, name, replaced)
    return model
