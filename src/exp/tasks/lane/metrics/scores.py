"""The metrics of a lane model's evaluation: CULane's F1, errors, and signs that a model does not learn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from exp.metrics.extremes import Case, Extremes
from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.metrics.area import LINE_WIDTH, Area
from exp.tasks.lane.metrics.culane import CROSS, MF1, areas, count, matched

SWAP_IOU = 0.5
"""Threshold of the F1 with another image's labels."""
SWAPPED_IMAGES = 2000
"""Images of a rank that take part in the swap; their lanes have to be kept until the end."""
SHOWN = 4
"""Frames of which lanes are kept for pictures: spread over the part, the best and the worst."""
_REPORTED = {0.5: "f1_50", 0.75: "f1_75", 0.9: "f1_90"}


@dataclass(frozen=True)
class Evaluated:
    """A batch after the model.

    Attributes:
        losses: (B, S, T) cross-entropy of the right tokens under teacher forcing.
        counted: bool (B, S, T), rows that the training loss counts.
        forced: (B, S, T) likeliest tokens under teacher forcing.
        written: (B, S, T) tokens of autoregressive decoding.
        ids: (B, S, T) right tokens.
        x: (B, S, T) right x in input pixels, NaN where there is no point.
        uniformity: How uniform the attention of each decoder block is, in 0..1; empty where it was not measured.
        token_mean: Mean of the visual tokens.
        token_std: Their standard deviation.
        prompted: (B, S, T) tokens written with so many first points of each lane given, by their number.
    """

    losses: Tensor
    counted: Tensor
    forced: Tensor
    written: Tensor
    ids: Tensor
    x: Tensor
    uniformity: list[Tensor]
    token_mean: Tensor
    token_std: Tensor
    prompted: dict[int, Tensor] = field(default_factory=dict)


class LaneScores(Metric):
    """Everything that is measured of a lane model in an evaluation, as sums in float64, which ranks add up.

    Image-swap F1 scores each image's lanes against the labels of another, half the set away. A model that uses its
    input scores far lower there; a model that has learnt a typical road scores the same.

    Args:
        codec: Turns tokens into lanes.
        labels: Lanes of all images of the split in pixels of the original.
        categories: Category of each image.
        blocks: Decoder blocks whose attention is probed.
        line_width: Pixels across a lane where F1 compares areas.
        extra: Metrics known beforehand, returned with the others.
        prompts: Numbers of given points for which lanes are scored too.

    Attributes:
        sums: float64 (sums,), see ``update``.
        probed: Whether the attention to the image has been measured.
        spread: Frames evenly spread over the part, in their order, each with the lanes written on it.
        extremes: The frames with the best and the worst mean IoU of their lanes, a lane too few or too many being 0.
    """

    full_state_update = False
    sums: Tensor

    def __init__(
        self,
        codec: LaneCodec,
        labels: Sequence[Sequence[np.ndarray]],
        categories: Sequence[str],
        *,
        blocks: int,
        line_width: int = LINE_WIDTH,
        extra: dict[str, float] | None = None,
        prompts: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.line_width = line_width
        self.codec = codec
        self.labels = labels
        self.categories = categories
        self.extra = extra or {}
        self.prompts = tuple(prompts)
        self.kinds = sorted({kind for kind in categories if kind})
        self._names = [
            *("images", "batches", "loss", "counted", "rows", "forced", "written", "agreed_rows", "lanes", "probes"),
            *("error", "error_original", "points", "bend", "bends", "predicted", "labelled", "token_mean", "token_std"),
            *(f"uniformity_{i}" for i in range(blocks)),
            *(f"{part}_{t:g}" for t in MF1 for part in ("tp", "fp", "fn")),
            *(f"swap_{part}" for part in ("tp", "fp", "fn")),
            *(f"prompt{points}_{part}" for points in self.prompts for part in ("tp", "fp", "fn")),
            *(f"{part}_{kind}" for kind in self.kinds for part in ("tp", "fp", "fn")),
        ]
        self._place = {name: place for place, name in enumerate(self._names)}
        self.add_state("sums", torch.zeros(len(self._names), dtype=torch.float64), dist_reduce_fx="sum")
        self.probed = False
        self.spread: list[Case] = []
        self.extremes = Extremes(SHOWN)
        self._chosen = set(np.linspace(0, max(0, len(labels) - 1), SHOWN).astype(int).tolist())
        self._seen: list[tuple[list[Area | None], list[Area | None]]] = []

    def reset(self) -> None:
        """Empties the sums, and forgets the lanes that were kept for the swap."""
        super().reset()
        self.probed = False
        self.spread, self.extremes = [], Extremes(SHOWN)
        self._seen = []

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Scores the swapped images, which every rank does among its own, and adds up the ranks' sums."""
        seen, self._seen = self._seen, []
        for number, (_, labels) in enumerate(seen):
            predicted = seen[(number + len(seen) // 2) % len(seen)][0]
            if len(seen) > 1:
                ious = matched(predicted, labels, self.codec.view.image_width)
                self._count("swap_{}", ious, predicted, labels, SWAP_IOU)
        super().sync(*args, **kwargs)

    def update(self, batch: Evaluated, rows: np.ndarray) -> None:
        """Adds a batch.

        Args:
            batch: The model's results on it.
            rows: Numbers of its images in the split.
        """
        self._add("images", len(rows))
        self._add("batches", 1)
        weights = batch.counted.double()
        per_image = (batch.losses.double() * weights).flatten(1).sum(1) / weights.flatten(1).sum(1).clamp(min=1)
        self._add("loss", per_image.sum())
        self._add("counted", (weights.flatten(1).sum(1) > 0).sum())
        self._add("rows", batch.ids.numel())
        self._add("forced", (batch.forced == batch.ids).sum())
        right = batch.written == batch.ids
        self._add("written", right.sum())
        self._add("agreed_rows", right.long().cumprod(-1).sum())
        self._add("lanes", batch.ids.shape[0] * batch.ids.shape[1])
        self._add("token_mean", batch.token_mean)
        self._add("token_std", batch.token_std)
        if batch.uniformity:
            self.probed = True
            self._add("probes", 1)
        for i, value in enumerate(batch.uniformity):
            self._add(f"uniformity_{i}", value)
        written, x = batch.written.cpu().numpy(), batch.x.cpu().numpy()
        for ids, truth, row in zip(written, x, rows.tolist(), strict=True):
            self._score(ids, truth, row)
        for points, tokens in batch.prompted.items():
            for ids, row in zip(tokens.cpu().numpy(), rows.tolist(), strict=True):
                self._score_prompted(points, ids, row)

    def _score_prompted(self, points: int, ids: np.ndarray, row: int) -> None:
        """Adds an image whose tokens (S, T) were written with so many points of each lane given."""
        view = self.codec.view
        predicted = areas(self.codec.lanes(self.codec.tokens.decode(ids)), view.image_height, view.image_width)
        known = areas(self.labels[row], view.image_height, view.image_width)
        self._count(f"prompt{points}_{{}}", matched(predicted, known, view.image_width), predicted, known, 0.5)

    def _score(self, ids: np.ndarray, truth: np.ndarray, row: int) -> None:
        """Adds an image: its written tokens (S, T), right x (S, T) in input pixels, and number in the split."""
        codec, view = self.codec, self.codec.view
        x = codec.tokens.decode(ids)
        both = ~np.isnan(x) & ~np.isnan(truth)
        error = float(np.abs(x - truth)[both].sum())
        self._add("error", error)
        self._add("error_original", error / view.scale[0])
        self._add("points", int(both.sum()))
        bend, bends = zigzag(x, bins=codec.tokens.nbins, width=view.width)
        self._add("bend", bend)
        self._add("bends", bends)
        written = codec.lanes(x)
        predicted, known = (
            areas(lanes, view.image_height, view.image_width, self.line_width) for lanes in (written, self.labels[row])
        )
        self._add("predicted", len(predicted))
        self._add("labelled", len(known))
        ious = matched(predicted, known, view.image_width)
        for threshold in MF1:
            self._count(f"{{}}_{threshold:g}", ious, predicted, known, threshold)
        if self.categories[row]:
            self._count(f"{{}}_{self.categories[row]}", ious, predicted, known, 0.5)
        most = max(len(predicted), len(known))
        case = Case(float(ious.sum()) / most if most else 1.0, row, written)
        self.extremes.add([case])
        if row in self._chosen:
            self.spread = sorted([*self.spread, case], key=lambda case: case.row)
        if len(self._seen) < SWAPPED_IMAGES:
            self._seen.append((predicted, known))

    def _count(
        self, name: str, ious: np.ndarray, predicted: Sequence[object], labels: Sequence[object], threshold: float
    ) -> None:
        counts = count(ious, len(predicted), len(labels), threshold)
        for part in ("tp", "fp", "fn"):
            self._add(name.format(part), getattr(counts, part))

    def _add(self, name: str, value: Tensor | float) -> None:
        self.sums[self._place[name]] += value

    def compute(self) -> dict[str, float]:
        """Returns the metrics; none where nothing was scored.

        F1 in percent: ``f1_50``, ``f1_75``, ``f1_90``, ``mf1``, ``f1_50_swapped``, ``f1_50_promptN``,
        ``f1_50_CATEGORY`` (``fp_cross``).
        Shares: ``tf_acc`` and ``ar_acc`` of all rows under teacher forcing and in decoding, ``uniformity_BLOCK`` and,
        their mean, ``uniformity``. ``loss``: hard-target cross-entropy of the rows the training loss counts.
        ``pixel_error``: mean distance in input pixels where both have a point (``pixel_error_image``: in those
        of the original). ``zigzag``: mean second difference in bins. ``first_mismatch``: rows of a lane before
        the first wrong token. ``lanes``: predicted lanes a label. ``selection``: mf1 less the loss, so that F1
        decides which epoch is best and the loss breaks ties.
        """
        sums = dict(zip(self._names, self.sums.tolist(), strict=True))
        if not sums["images"]:
            return {}

        def rate(part: str, whole: str) -> float:
            return sums[part] / sums[whole] if sums[whole] else math.nan

        by_threshold = {t: _f1(sums, f"{{}}_{t:g}") for t in MF1}
        mean_f1 = sum(by_threshold.values()) / len(MF1)
        loss = rate("loss", "counted")
        uniformity = {n: rate(n, "probes") for n in self._names if n.startswith("uniformity_")}
        return {
            **{name: by_threshold[t] for t, name in _REPORTED.items()},
            "mf1": mean_f1,
            "f1_50_swapped": _f1(sums, "swap_{}") if sums["images"] > 1 else math.nan,
            **{f"f1_50_prompt{points}": _f1(sums, f"prompt{points}_{{}}") for points in self.prompts},
            "loss": loss,
            "tf_acc": rate("forced", "rows"),
            "ar_acc": rate("written", "rows"),
            "pixel_error": rate("error", "points"),
            "pixel_error_image": rate("error_original", "points"),
            "zigzag": rate("bend", "bends"),
            "first_mismatch": rate("agreed_rows", "lanes"),
            "lanes": rate("predicted", "labelled"),
            "token_mean": rate("token_mean", "batches"),
            "token_std": rate("token_std", "batches"),
            **({"uniformity": sum(uniformity.values()) / len(uniformity)} if uniformity else {}),
            **uniformity,
            **{
                (f"fp_{kind}" if kind == CROSS else f"f1_50_{kind}"): (
                    sums[f"fp_{kind}"] if kind == CROSS else _f1(sums, f"{{}}_{kind}")
                )
                for kind in self.kinds
            },
            **self.extra,
            "selection": mean_f1 - (0.0 if math.isnan(loss) else loss),
        }


def zigzag(x: np.ndarray, *, bins: int = 1, width: int = 1) -> tuple[float, int]:
    """Returns the sum of the second differences of lanes from row to row, in bins, and how many there are.

    Args:
        x: (lanes, rows) in pixels, NaN where a lane has no point.
        bins: Bins over the width; with one bin a pixel, differences are in pixels.
        width: Pixels over which the bins are spread.
    """
    bends = np.abs(np.diff(x, 2, axis=1)) * bins / width
    return float(np.nansum(bends)), int((~np.isnan(bends)).sum())


def _f1(sums: dict[str, float], name: str) -> float:
    """Returns F1 in percent of the sums that ``name`` names with tp, fp and fn put in."""
    tp, fp, fn = (sums[name.format(part)] for part in ("tp", "fp", "fn"))
    return 200 * tp / (2 * tp + fp + fn) if tp else 0.0


def alarms(scores: dict[str, float], *, clip: float = 0.0) -> list[str]:
    """Returns the signs that a run is not learning what its loss suggests, a line each; empty where there are none.

    Args:
        scores: Metrics of ``LaneScores.compute``, with ``ceiling_f1_50``, ``commonest_token`` and ``grad_norm`` where
            they are known.
        clip: Largest gradient norm of the optimizer, 0 for none.
    """
    lines = []

    def value(name: str) -> float:
        return scores.get(name, math.nan)

    if value("ceiling_f1_50") < 95:
        lines.append(
            f"the tokens themselves cannot do better than F1@50 {value('ceiling_f1_50'):.1f}: labels that are encoded"
            " and decoded lose that much; change tokens, nbins, max_dx or steps"
        )
    if value("commonest_token") > 0.5:
        lines.append(f"{100 * value('commonest_token'):.0f} % of the target tokens are the same id")
    if value("tf_acc") - value("ar_acc") > 0.1:
        lines.append(
            f"accuracy is {value('tf_acc'):.3f} when fed the answers and {value('ar_acc'):.3f} when decoding: the model"
            " leans on what it is fed"
        )
    if value("loss") < 0.1 and value("f1_50") < 50:
        lines.append(
            f"loss {value('loss'):.3f} but F1@50 {value('f1_50'):.1f}: the loss leaves out what decoding needs"
        )
    if value("f1_50") > 5 and value("f1_50_swapped") > 0.7 * value("f1_50"):
        lines.append(
            f"F1@50 {value('f1_50'):.1f} falls only to {value('f1_50_swapped'):.1f} with another image: the image is"
            " hardly used"
        )
    if value("zigzag") > 2:
        lines.append(f"lanes zigzag: second differences of {value('zigzag'):.1f} bins on average (0.5 is smooth)")
    if value("token_std") < 0.02 or value("token_std") > 20:
        lines.append(f"visual tokens have a standard deviation of {value('token_std'):.3g}")
    if clip > 0 and value("grad_norm") > 100 * clip:
        lines.append(f"gradient norm {value('grad_norm'):.3g} against a clip of {clip:g}")
    return lines
