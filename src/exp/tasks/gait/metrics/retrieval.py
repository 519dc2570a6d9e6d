"""CASIA-B's scores as torchmetrics: walks are gathered over the batches and ranks, and searched for at the end."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from exp.tasks.gait.metrics.casia_b import PROBES, Report, evaluate
from exp.tasks.gait.options import Metric as Distance

TYPES = (*(f"nm-{n:02}" for n in range(1, 7)), *(f"{kind}-{n:02}" for kind in ("bg", "cl") for n in (1, 2)))
"""CASIA-B's kinds of walks."""


class GatheredWalks(Metric):
    """The embeddings of walks with some numbers of each; the base of metrics that need all walks at once.

    Both are kept flat and in float32, the form in which torchmetrics gathers them from ranks that had no walk.

    Args:
        numbers: Numbers of each walk, whole and below 2 ** 24.
        kwargs: See ``torchmetrics.Metric``.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    labels: list[Tensor]
    embeddings: list[Tensor]
    shape: Tensor

    def __init__(self, numbers: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.numbers = numbers
        self.add_state("labels", [], dist_reduce_fx="cat")
        self.add_state("embeddings", [], dist_reduce_fx="cat")
        self.add_state("shape", torch.zeros(2, dtype=torch.int64), dist_reduce_fx="max")

    def add(self, labels: Tensor, embeddings: Tensor) -> None:
        """Adds walks: their numbers (n, numbers) and embeddings (n, c, p)."""
        self.labels.append(labels.to(embeddings.device).float().flatten())
        self.embeddings.append(embeddings.detach().float().flatten())
        self.shape.copy_(torch.tensor(embeddings.shape[1:]))

    def gathered(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the numbers, int64 (n, numbers), and the embeddings, float32 (n, c, p), of all walks.

        Within ``compute`` these are the walks of all ranks, otherwise those of this one.
        """
        if not len(self.labels):
            return np.zeros((0, self.numbers), dtype=np.int64), np.zeros((0, 1, 1), dtype=np.float32)
        labels = dim_zero_cat(self.labels).view(-1, self.numbers).long().cpu().numpy()
        return labels, dim_zero_cat(self.embeddings).view(-1, *self.shape.tolist()).cpu().numpy()


class CasiaBScores(GatheredWalks):
    """All scores of the CASIA-B protocol in percent, by name, see ``exp.tasks.gait.metrics.casia_b``.

    They are rank-1, rank-5, mAP and mINP of each condition (``nm_r1``, ``bg_map``, ...), ``mean_r1``, and, where walks
    of the stricter cross-view protocol are there, its scores by condition (``cross_nm_r1``) and pooled (``cross_r1``).

    Args:
        metric: Distance of two walks, ``euclidean`` or ``cosine``.
        rounding: Whether each angle pair is rounded to two decimals before it is averaged, as published.
        kwargs: See ``torchmetrics.Metric``.

    Example:
        >>> from torch import eye
        >>> walks = [(person, kind, view) for person in (1, 2) for kind in ("nm-01", "nm-05") for view in (0, 90)]
        >>> ids, types, views = zip(*walks)
        >>> metric = CasiaBScores()
        >>> metric.update(eye(2)[[person - 1 for person in ids]][:, :, None], ids, types, views)
        >>> metric.compute()["nm_r1"]
        tensor(100., dtype=torch.float64)
    """

    def __init__(self, metric: Distance = "euclidean", *, rounding: bool = False, **kwargs: Any) -> None:
        super().__init__(3, **kwargs)
        self.metric = metric
        self.rounding = rounding

    def update(
        self, embeddings: Tensor, ids: Sequence[int] | Tensor, types: Sequence[str], views: Sequence[int] | Tensor
    ) -> None:
        """Adds walks.

        Args:
            embeddings: (n, c, p), one vector of c numbers for each of p parts.
            ids: (n,) numbers of the persons.
            types: (n,) kinds of the walks: nm-01 to nm-06, bg-01, bg-02, cl-01, cl-02.
            views: (n,) angles in degrees.

        Raises:
            ValueError: There are not as many labels as walks, or a kind is unknown.
        """
        unknown = [kind for kind in types if kind not in TYPES]
        if unknown:
            raise ValueError(f"type {unknown[0]}: not one of {', '.join(TYPES)}")
        if embeddings.ndim != 3 or not len(embeddings) == len(ids) == len(types) == len(views):
            raise ValueError(
                f"embeddings {tuple(embeddings.shape)} with {len(ids)} ids, {len(types)} types and {len(views)} views:"
                " expected (n, c, p) and n of each"
            )
        kinds = [TYPES.index(kind) for kind in types]
        labels = torch.tensor([[int(a), b, int(c)] for a, b, c in zip(ids, kinds, views, strict=True)])
        self.add(labels, embeddings)

    def report(self) -> Report:
        """Returns the scores with their matrices of angle pairs, see ``gathered`` for whose walks they are.

        Raises:
            ProtocolError: There is no gallery or no probe, or a number is not finite.
        """
        labels, embeddings = self.gathered()
        ids, kinds, views = labels.T
        types = np.array(TYPES)[kinds]
        return evaluate(embeddings, ids, types, views, metric=self.metric, rounding=self.rounding)

    def compute(self) -> Any:
        """Returns the scores, float64 () each.

        Raises:
            ProtocolError: There is no gallery or no probe, or a number is not finite.
        """
        scores = self.report().scores()
        return {name: torch.tensor(value, dtype=torch.float64, device=self.device) for name, value in scores.items()}


class CasiaBRank1(CasiaBScores):
    """CASIA-B's rank-1 in percent as a single number, so that it can be logged and monitored by itself.

    Args:
        condition: ``nm``, ``bg`` or ``cl``; None for the mean of those for which there are probes.
        cross_view: Whether it is the rank-1 of the stricter cross-view protocol.
        metric: Distance of two walks, ``euclidean`` or ``cosine``.
        rounding: Whether each angle pair is rounded to two decimals before it is averaged, as published.
        kwargs: See ``torchmetrics.Metric``.

    Raises:
        ValueError: The condition is unknown.

    Example:
        >>> from torch import eye
        >>> walks = [(person, kind, view) for person in (1, 2) for kind in ("nm-01", "nm-05") for view in (0, 90)]
        >>> ids, types, views = zip(*walks)
        >>> metric = CasiaBRank1()
        >>> metric.update(eye(2)[[person - 1 for person in ids]][:, :, None], ids, types, views)
        >>> metric.compute()
        tensor(100., dtype=torch.float64)
    """

    plot_lower_bound = 0.0
    plot_upper_bound = 100.0

    def __init__(
        self,
        condition: str | None = None,
        *,
        cross_view: bool = False,
        metric: Distance = "euclidean",
        rounding: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(metric, rounding=rounding, **kwargs)
        if condition is not None and condition not in PROBES:
            raise ValueError(f"condition={condition}: not one of {', '.join(PROBES)}")
        pooled = "cross_r1" if cross_view else "mean_r1"
        self.name = pooled if condition is None else f"{'cross_' if cross_view else ''}{condition}_r1"

    def compute(self) -> Tensor:
        """Returns the rank-1, float64 (); NaN where the walks that it needs are not there.

        Raises:
            ProtocolError: There is no gallery or no probe, or a number is not finite.
        """
        value = self.report().scores().get(self.name, float("nan"))
        return torch.tensor(value, dtype=torch.float64, device=self.device)
