"""Gathering across ranks: one batch, and the gradient of one batch, on two processes with unequal shares."""

import socket

import torch
import torch.multiprocessing as mp

from exp.tasks.gait.losses.gather import gathered
from exp.tasks.gait.losses.triplet import batch_all_triplet, part_distances

LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 2])
SHARES = (4, 3)


def batch() -> torch.Tensor:
    return torch.randn(7, 4, 2, generator=torch.Generator().manual_seed(0))


def loss_of(x: torch.Tensor) -> torch.Tensor:
    return batch_all_triplet(part_distances(x), LABELS, margin=0.2).loss


def rank_gradient(rank: int, port: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=len(SHARES)
    )
    low = sum(SHARES[:rank])
    x = batch()[low : low + SHARES[rank]].requires_grad_()
    loss = loss_of(gathered(x, SHARES))
    loss.backward()
    torch.save({"loss": loss.detach(), "grad": x.grad}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_ranks_have_the_loss_and_gradient_of_one(tmp_path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(rank_gradient, args=(port, str(tmp_path)), nprocs=2)
    x = batch().requires_grad_()
    loss = loss_of(x)
    loss.backward()
    found = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    for one in found:
        torch.testing.assert_close(one["loss"], loss.detach())
    # Each rank's gradient is that of its own rows times the number of ranks, which averaging takes back.
    torch.testing.assert_close(torch.cat([one["grad"] for one in found]) / 2, x.grad)


def test_alone_it_is_the_identity() -> None:
    x = batch()
    assert gathered(x, (7,)) is x
