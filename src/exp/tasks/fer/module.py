"""The facial expression task (notebook 002_1f4d0ac63299d004.txt)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from exp.data.batches import Batches, ImageBatch
from exp.data.options import ImageOptions
from exp.data.source import Pixels, Source, Split
from exp.options.config import Config
from exp.options.parts import ModelOptions
from exp.tasks.fer.data.expression import EXACT, NEAR, ExpressionSplit
from exp.tasks.fer.fitting import diagnosis
from exp.tasks.fer.metrics import ExpressionScores
from exp.tasks.fer.options import FerOptions
from exp.tasks.fer.views import VIEWS
from exp.tasks.images import ImageTask

SHOWN = 60
"""Mistakes on the contact sheet."""


@dataclass(frozen=True)
class Known:
    """What is known of the faces of a part beside their classes, on the device.

    Attributes:
        copied: bool (N,), whether an earlier part has a copy of the face.
        votes: float32 (N, classes), the taggers' distribution; None where there is none.
    """

    copied: Tensor
    votes: Tensor | None


class Fer(ImageTask):
    """A classifier of faces; its scores know copies between the parts, and votes where the set has them."""

    config: Config[FerOptions, ModelOptions, ImageOptions]

    def __init__(self, config: Config[FerOptions, ModelOptions, ImageOptions], source: Source) -> None:
        super().__init__(config, source, source.num_classes)
        self._learns_votes = getattr(config.data, "target", "majority") == "votes"
        self._known: dict[tuple[str, torch.device], Known] = {}
        self._class_weights: Tensor | None = None
        self._place = torch.device("cpu")
        self._train_hits = torch.zeros(2, dtype=torch.float64)
        self._tested: ExpressionScores | None = None

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in order; numbers where the set has no names."""
        return self.source.class_names or [str(number) for number in range(self.source.num_classes)]

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> Batches | None:
        """Returns batches of a part; None where the set has no such part."""
        self._place = device
        return super().loader(split, device=device, rank=rank, world_size=world_size)

    def known(self, split: str, device: torch.device) -> Known:
        """Returns what is known of a part's faces, which ``ImageBatch.rows`` are looked up in."""
        if (split, device) not in self._known:
            part = self.splits[split]
            votes = part.votes if isinstance(part, ExpressionSplit) else None
            self._known[split, device] = Known(
                torch.from_numpy(_copies(part) > 0).to(device),
                None if votes is None else torch.from_numpy(votes).to(device),
            )
        return self._known[split, device]

    def class_weights(self, device: torch.device) -> Tensor:
        """Returns each class's weight in the training loss, float32 (classes,); their mean over the faces is 1."""
        if self._class_weights is None or self._class_weights.device != device:
            labels = torch.from_numpy(self.splits["train"].labels)
            counts = torch.bincount(labels, minlength=len(self.class_names)).double()
            power = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}[self.config.task.class_weights]
            weights = counts.clamp(min=1) ** -power
            self._class_weights = (weights * counts.sum() / (weights * counts).sum()).float().to(device)
        return self._class_weights

    def loss(self, batch: ImageBatch) -> tuple[Tensor, int]:
        """Returns the mean cross-entropy against the class or the taggers' distribution, and the number of faces."""
        logits, labels = self(batch.images), batch.labels
        target = labels
        if self._learns_votes:
            votes = self.known("train", labels.device).votes
            assert votes is not None
            target = votes[batch.rows]
        smoothing = self.config.task.label_smoothing
        losses = F.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
        hits = (logits.detach().argmax(1) == labels).sum().double()
        if self._train_hits.device != hits.device:
            self._train_hits = self._train_hits.to(hits.device)
        self._train_hits += torch.stack([hits, torch.full_like(hits, len(labels))])
        return (losses * self.class_weights(labels.device)[labels]).mean(), len(labels)

    def take_train_scores(self) -> dict[str, float]:
        """Returns ``top1`` of the epoch's training batches as they were seen: augmented, with dropout."""
        taken = self._train_hits.to(self.device)
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(taken)
        self._train_hits = torch.zeros_like(self._train_hits)
        hits, count = taken.tolist()
        return {"top1": 100 * hits / max(count, 1)}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the hits of an epoch that is not over; each rank's own are added to rank 0's."""
        taken = self._train_hits.to(self.device, copy=True)
        if self.trainer.world_size > 1:
            torch.distributed.all_reduce(taken)
        checkpoint["train_hits"] = taken.tolist()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores the hits, on rank 0 only."""
        if "train_hits" in checkpoint:
            first = self.trainer.is_global_zero
            self._train_hits = torch.tensor(checkpoint["train_hits"], dtype=torch.float64) * float(first)

    @property
    def _scored(self) -> str:
        """The part that is being evaluated."""
        return "test" if self.trainer.testing else self.eval_split

    def new_scores(self) -> ExpressionScores:
        """Returns empty sums of accuracy, macro F1, balanced accuracy and calibration, with and without copies."""
        tta = self.config.task.tta if self.trainer.testing else "none"
        voted = self.known(self._scored, self.device).votes is not None
        self._tested = ExpressionScores(self.class_names, tta=None if tta == "none" else tta, voted=voted)
        return self._tested

    def score(self, batch: ImageBatch, scores: ExpressionScores) -> None:
        """Adds a batch to the sums."""
        known = self.known(self._scored, batch.labels.device)
        views = None
        if scores.tta:
            seen = VIEWS[scores.tta](batch.images)
            logits = self(rearrange(seen, "views n c h w -> (views n) c h w")).float()
            views = rearrange(logits.softmax(1), "(views n) k -> views n k", views=len(seen)).mean(0)
        scores.update(
            self(batch.images).float(),
            batch.labels,
            known.copied[batch.rows],
            tta=views,
            votes=None if known.votes is None else known.votes[batch.rows],
        )

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Leaves pictures in the cell; returns scores of each class, copies, and how the net fits."""
        from exp.metrics.pictures import draw_confusion, draw_curves, surest_answers, worst_mistakes

        assert self._tested is not None
        details = self._tested.details()
        self.to(self._place)  # the trainer has taken it back to the CPU
        train_top1 = self._top1("train")
        fit = diagnosis(
            records, train_top1=train_top1, best=best, monitor=self.config.task.monitor, split=self.eval_split
        )
        draw_confusion(folder / "confusion.png", details["confusion"], self.class_names)
        draw_curves(folder / "curves.png", fit["curve"], title=f"{fit['verdict']}: {fit['why']}")
        part = self.splits["test"]
        probabilities = self.probabilities(part.images)
        self._draw_answers(folder / "mistakes.png", worst_mistakes(part.labels, probabilities, SHOWN), probabilities)
        self._draw_answers(folder / "confident.png", surest_answers(part.labels, probabilities, SHOWN), probabilities)
        copies = {
            name: {"exact": int((_copies(part) & EXACT > 0).sum()), "near": int((_copies(part) & NEAR > 0).sum())}
            for name, part in self.splits.items()
        }
        chart = {"confusion": details.pop("confusion"), "class_names": details.pop("class_names")}
        return chart | {
            "fer": {"train_top1": train_top1, "fit": fit, "test": details, "copies_of_earlier_parts": copies}
        }

    def _draw_answers(self, path: Path, rows: np.ndarray, probabilities: np.ndarray) -> None:
        """Draws some faces of the test part, each with what it is, what it was taken for and how surely."""
        from exp.metrics.pictures import caption, draw_answers

        part, answers, names = self.splits["test"], probabilities.argmax(1), self.class_names
        captions = [caption(names[part.labels[row]], names[answers[row]], probabilities[row].max()) for row in rows]
        draw_answers(path, [part.images[row, 0] for row in rows], captions)

    def _top1(self, split: str) -> float:
        """Returns the accuracy in percent of the weights as they are, without augmentation or dropout."""
        predicted = self.probabilities(self.splits[split].images).argmax(1)
        return 100 * float((predicted == self.splits[split].labels).mean())

    @torch.inference_mode()
    def probabilities(self, images: Pixels) -> np.ndarray:
        """Returns the classes' probabilities, float32 (N, classes), without augmentation or dropout.

        Args:
            images: uint8 (N, 1, 48, 48).
        """
        self.eval()
        part = Split(images, np.zeros(len(images), dtype=np.int64))
        every = Batches(part, batch_size=512, shuffle=False, seed=0, device=self.device, augment=self.augment(False))
        return torch.cat([self(batch.images).float().softmax(1).cpu() for batch in every]).numpy()


def _copies(part: Split) -> np.ndarray:
    """Returns which faces are copies, see ``ExpressionSplit.copies``; other sets know of none."""
    return part.copies if isinstance(part, ExpressionSplit) else np.zeros(len(part), dtype=np.uint8)
