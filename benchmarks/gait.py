"""Gait: the triplet loss against the cube of all triplets, CASIA-B's scores against one search an angle pair.

``python benchmarks/gait.py`` makes clips and walks of random numbers in the sizes of CASIA-B. Losses, counts, gradients
and scores have to agree.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from exp.tasks.gait.losses.triplet import batch_all_triplet, part_distances
from exp.tasks.gait.metrics.casia_b import CROSS_GALLERY, CROSS_PROBE, GALLERY, PROBES, evaluate
from exp.tasks.gait.models.horizontal import HorizontalPooling
from exp.tasks.gait.models.part_head import SeparateFC
from exp.tasks.gait.models.temporal import pool_frames
from measure import Row, close, compared, main, memory_row

MARGIN = 0.2
PARTS, WIDTH = 16, 256


def cube(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss as its definition reads, and its terms above zero; every person has as many clips."""
    x = embeddings.permute(2, 0, 1)
    squares = x.square().sum(2)
    squared = squares[:, :, None] + squares[:, None, :] - 2 * x @ x.transpose(1, 2)
    itself = torch.eye(len(labels), dtype=torch.bool)
    apart = (squared > 0) & ~itself
    distances = torch.where(apart, torch.where(apart, squared, 1.0).sqrt(), 0.0)
    same = labels[:, None] == labels
    parts, n = distances.shape[:2]
    positives, negatives = distances[:, same & ~itself].view(parts, n, -1, 1), distances[:, ~same].view(parts, n, 1, -1)
    terms = (positives + MARGIN - negatives).relu().flatten(1)
    count = (terms > 0).sum(1)
    return (terms.sum(1) / count.clamp(min=1)).mean(), count


def losses() -> Iterator[Row]:
    """Measures the triplet loss, checked in float64, where rounding does not decide which triplets count."""
    for people, clips in ((32, 8), (32, 16)):
        torch.manual_seed(0)
        labels = torch.arange(people).repeat_interleave(clips)
        centres = torch.randn(people, WIDTH, PARTS).repeat_interleave(clips, 0) * 0.02
        x = (torch.randn(people * clips, WIDTH, PARTS) * 0.05 + centres).requires_grad_()

        def ours(x: Tensor = x, labels: Tensor = labels) -> Tensor:
            return batch_all_triplet(part_distances(x), labels, margin=MARGIN).loss

        def theirs(x: Tensor = x, labels: Tensor = labels) -> Tensor:
            return cube(x, labels)[0]

        fine = x.detach()[:, :, :4].double().requires_grad_()
        result = batch_all_triplet(part_distances(fine), labels, margin=MARGIN)
        expected, count = cube(fine, labels)
        possible = 4 * len(labels) * (clips - 1) * (len(labels) - clips)
        equal = round(result.nonzero.item() * possible) == count.sum().item()
        pairs = [(one, torch.autograd.grad(one, fine)[0]) for one in (result.loss, expected)]
        equal = equal and close(*pairs, 1e-6)
        what = f"triplet loss, {people}x{clips} clips, {PARTS} parts"

        def back(way: object) -> None:
            x.grad = None  # noqa: B023
            way().backward()  # type: ignore[operator]

        yield compared(what, "the cube", lambda: back(ours), lambda: back(theirs), 0.35, equal, 3)
        yield memory_row(what, "the cube", ours, theirs, 0.30)


def walks() -> dict[str, np.ndarray]:
    """Returns 5,500 walks of 50 persons, of which rank-1 is neither chance nor perfect."""
    kinds = [*GALLERY, *sum(PROBES.values(), ())]
    labels = [(f"{p:03}", kind, f"{18 * v:03}") for p in range(50) for kind in kinds for v in range(11)]
    ids, types, views = (np.array(column) for column in zip(*labels, strict=True))
    draws = np.random.RandomState(0)
    centres = draws.standard_normal((50, WIDTH, PARTS)).astype(np.float32)
    features = centres[ids.astype(int)] + 5 * draws.standard_normal((len(ids), WIDTH, PARTS)).astype(np.float32)
    return {"features": features, "ids": ids, "types": types, "views": views}


def by_pair(features: np.ndarray, ids: np.ndarray, types: np.ndarray, views: np.ndarray) -> dict[str, float]:
    """All scores; the conditions' with a distance matrix and a sorting for each of the 3 x 11 x 11 pairs of angles."""
    names, scores = sorted(set(views.tolist())), {}
    for condition, kinds in PROBES.items():
        found: dict[str, list[float]] = {name: [] for name in ("r1", "r5", "map", "minp")}
        for probe_view in names:
            row: dict[str, list[float]] = {name: [] for name in found}
            for view in names:
                probe = np.isin(types, kinds) & (views == probe_view)
                entry = np.isin(types, GALLERY) & (views == view)
                a, b = (torch.from_numpy(features[those].transpose(2, 0, 1).copy()) for those in (probe, entry))
                squares = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None, :]
                between = (squares - 2 * a @ b.transpose(1, 2)).relu().sqrt().mean(0).numpy()
                if view == probe_view:
                    continue
                order = np.argsort(between, axis=1, kind="stable")
                hits = (ids[probe][:, None] == ids[entry])[np.arange(len(order))[:, None], order]
                rank, count = np.arange(1, hits.shape[1] + 1), hits.sum(1)
                row["r1"].append(hits[:, 0].mean())
                row["r5"].append(hits[:, :5].any(1).mean())
                row["map"].append(((hits.cumsum(1) / rank * hits).sum(1) / count).mean())
                row["minp"].append((count / (hits * rank).max(1)).mean())
            for name, values in row.items():
                found[name].append(float(np.mean(values)))
        scores |= {f"{condition}_{name}": 100 * float(np.mean(values)) for name, values in found.items()}
    return scores | across(features, ids, types, views)


def across(features: np.ndarray, ids: np.ndarray, types: np.ndarray, views: np.ndarray) -> dict[str, float]:
    """The cross-view protocol's scores with one matrix and one sorting."""
    probe, entry = np.isin(types, CROSS_PROBE), np.isin(types, CROSS_GALLERY)
    a, b = (torch.from_numpy(features[those].transpose(2, 0, 1).copy()) for those in (probe, entry))
    squares = a.square().sum(2)[:, :, None] + b.square().sum(2)[:, None, :]
    between = (squares - 2 * a @ b.transpose(1, 2)).relu().sqrt().mean(0).numpy()
    same = ids[probe][:, None] == ids[entry]
    own = same & (views[probe][:, None] == views[entry])
    order = np.argsort(np.where(own, np.inf, between), axis=1, kind="stable")
    hits = np.take_along_axis(same & ~own, order, axis=1)
    rank, count = np.arange(1, hits.shape[1] + 1), hits.sum(1)
    shares = {"r1": hits[:, 0], "map": (hits.cumsum(1) / rank * hits).sum(1) / count}
    shares["minp"] = count / (hits * rank).max(1)
    return {f"cross_{name}": 100 * float(values.mean()) for name, values in shares.items()}


def parts() -> Iterator[Row]:
    """Measures what is made of the frame maps: a maximum over time, strips, and a matrix a strip."""
    torch.manual_seed(0)
    frames = torch.randn(4 * 30, 512, 16, 11).requires_grad_()
    maps = torch.randn(64, 512, 16, 11).requires_grad_()
    strips = torch.randn(64, 512, 16).requires_grad_()
    hpp, fc = HorizontalPooling(16), SeparateFC(512, WIDTH, 16)

    def over_time(x: Tensor) -> Tensor:
        return x.view(4, 30, 512, 16, 11).transpose(1, 2).contiguous().max(dim=2)[0]

    def pyramid(x: Tensor) -> Tensor:
        z = x.view(64, 512, 16, -1)
        return z.mean(-1) + z.max(-1)[0]

    def each(x: Tensor) -> Tensor:
        return x.permute(2, 0, 1).contiguous().matmul(fc.weight).permute(1, 2, 0).contiguous()

    for what, x, ours, theirs in (
        ("maximum over 30 frames, 4 walks", frames, lambda x: pool_frames(x, [30] * 4, "max"), over_time),
        ("16 strips of 64 maps, mean + maximum", maps, hpp, pyramid),
        ("a matrix a strip, 16 x (512 -> 256), 64 walks", strips, fc, each),
    ):
        grad = torch.randn(ours(x).shape)
        pairs = [(way(x), *torch.autograd.grad(way(x), x, grad)) for way in (ours, theirs)]

        def step(way: Callable[[Tensor], Tensor], x: Tensor = x, grad: Tensor = grad) -> None:
            x.grad = None
            way(x).backward(grad)

        equal = close(*pairs, 1e-5)
        yield compared(what, "OpenGait's form", lambda: step(ours), lambda: step(theirs), 1.05, equal)  # noqa: B023


def rows() -> Iterator[Row]:
    """Measures."""
    yield from parts()
    yield from losses()
    arrays = walks()
    mine, theirs = evaluate(**arrays).scores(), by_pair(**arrays)
    equal = all(abs(mine[name] - value) < 0.02 for name, value in theirs.items())  # a tie in float32 may fall otherwise
    what = "CASIA-B and cross-view scores, 5,500 walks"
    yield compared(what, "363 angle pairs", lambda: evaluate(**arrays), lambda: by_pair(**arrays), 0.25, equal, 3)


if __name__ == "__main__":
    main(rows, __doc__)
