"""Facial expression recognition (notebook 002_1f4d0ac63299d004.txt)."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from exp.data.batches import Batch, Batches
from exp.data.expression import EXACT, NEAR, ExpressionSplit
from exp.data.source import Pixels, Split
from exp.metrics.expression import ExpressionScores
from exp.metrics.fitting import diagnosis
from exp.nn.views import VIEWS
from exp.tasks.images import ImageTask

SHOWN = 60
"""Mistakes on the contact sheet."""


class Fer(ImageTask):
    """A classifier of faces; its scores know copies between the parts, and votes where the set has them.

    A batch's labels are row numbers over all parts of the set, by which the class, the votes and whether there is a
    copy are looked up.
    """

    def __init__(self, config: dict[str, Any], source: Any) -> None:
        super().__init__(config, source, source.num_classes)
        self._tables: dict[str, Tensor] = {}
        self._place = torch.device("cpu")
        self._train_hits = torch.zeros(2, dtype=torch.float64)
        self._tested: ExpressionScores | None = None

    @property
    def class_names(self) -> list[str]:
        """The classes in order; numbers where the set has no names."""
        return self.source.class_names or [str(number) for number in range(self.source.num_classes)]

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> Batches | None:
        """Batches whose labels are row numbers."""
        self._place = device
        return super().loader(split, device=device, rank=rank, world_size=world_size)

    def labelled(self, split: str) -> Split:
        """The part with its faces' row numbers as labels."""
        first = 0
        for name, part in self.splits.items():
            if name == split:
                return Split(part.images, np.arange(first, first + len(part), dtype=np.int64))
            first += len(part)
        raise KeyError(split)

    def tables(self, device: torch.device) -> dict[str, Tensor]:
        """What is known of each row: ``labels`` int64, ``copied`` bool, ``votes`` float (rows, classes) where told."""
        if not self._tables or self._tables["labels"].device != device:
            parts = list(self.splits.values())
            copied = [_copies(part) > 0 for part in parts]
            votes = [part.votes for part in parts if isinstance(part, ExpressionSplit) and part.votes is not None]
            self._tables = {
                "labels": torch.from_numpy(np.concatenate([part.labels for part in parts])).to(device),
                "copied": torch.from_numpy(np.concatenate(copied)).to(device),
                "weights": self._class_weights(self.splits["train"].labels).to(device),
            }
            if votes:
                self._tables["votes"] = torch.from_numpy(np.concatenate(votes)).to(device)
        return self._tables

    def _class_weights(self, labels: np.ndarray) -> Tensor:
        """float32 (classes,) whose mean over the training faces is 1."""
        counts = torch.bincount(torch.from_numpy(labels), minlength=len(self.class_names)).double()
        power = {"none": 0.0, "sqrt": 0.5, "inverse": 1.0}[self.config["task"]["class_weights"]]
        weights = counts.clamp(min=1) ** -power
        return (weights * counts.sum() / (weights * counts).sum()).float()

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Cross-entropy with label smoothing and class weights, against the class or the taggers' distribution."""
        tables = self.tables(batch.labels.device)
        logits, labels = self(batch.images), tables["labels"][batch.labels]
        target = tables["votes"][batch.labels] if self.config["data"].get("target") == "votes" else labels
        smoothing = self.config["task"]["label_smoothing"]
        losses = F.cross_entropy(logits, target, reduction="none", label_smoothing=smoothing)
        hits = (logits.detach().argmax(1) == labels).sum().double()
        if self._train_hits.device != hits.device:
            self._train_hits = self._train_hits.to(hits.device)
        self._train_hits += torch.stack([hits, torch.full_like(hits, len(labels))])
        return (losses * tables["weights"][labels]).mean(), len(labels)

    def take_train_scores(self) -> dict[str, float]:
        """``top1`` over the epoch's training batches as they were seen: augmented, with dropout, weights moving."""
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
        """Goes on counting."""
        if "train_hits" in checkpoint:
            first = self.trainer.is_global_zero
            self._train_hits = torch.tensor(checkpoint["train_hits"], dtype=torch.float64) * float(first)

    def new_scores(self) -> ExpressionScores:
        """Accuracy, macro F1, balanced accuracy, calibration, with and without copies."""
        tta = self.config["task"]["tta"] if self.trainer.testing else "none"
        voted = "votes" in self.tables(self.device)
        self._tested = ExpressionScores(self.device, self.class_names, tta=None if tta == "none" else tta, voted=voted)
        return self._tested

    def score(self, batch: Batch, scores: ExpressionScores) -> None:
        """Adds a batch."""
        tables = self.tables(batch.labels.device)
        views = None
        if scores.tta:
            seen = VIEWS[scores.tta](batch.images)
            views = self(seen.flatten(0, 1)).float().softmax(1).unflatten(0, seen.shape[:2]).mean(0)
        scores.update(
            self(batch.images).float(),
            tables["labels"][batch.labels],
            tables["copied"][batch.labels],
            tta=views,
            votes=tables["votes"][batch.labels] if "votes" in tables else None,
        )

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Pictures in the cell, and in the result: scores of each class, copies, and how the fit is to be judged."""
        from exp.metrics.pictures import draw_confusion, draw_curves, draw_mistakes

        assert self._tested is not None
        details = self._tested.details()
        self.to(self._place)
        train_top1 = self._top1("train")
        fit = diagnosis(records, train_top1=train_top1, best=best, monitor="top1", split=self.eval_split)
        draw_confusion(folder / "confusion.png", details["confusion"], self.class_names)
        draw_curves(folder / "curves.png", fit)
        part = self.splits["test"]
        probabilities = self.probabilities(part.images)
        draw_mistakes(folder / "mistakes.png", part.images[:, 0], part.labels, probabilities, self.class_names, SHOWN)
        copies = {
            name: {"exact": int((_copies(part) & EXACT > 0).sum()), "near": int((_copies(part) & NEAR > 0).sum())}
            for name, part in self.splits.items()
        }
        return {"fer": {"train_top1": train_top1, "fit": fit, "test": details, "copies_of_earlier_parts": copies}}

    def _top1(self, split: str) -> float:
        """Accuracy in percent of the weights as they are, without augmentation or dropout."""
        predicted = self.probabilities(self.splits[split].images).argmax(1)
        return 100 * float((predicted == self.splits[split].labels).mean())

    @torch.inference_mode()
    def probabilities(self, images: Pixels) -> np.ndarray:
        """Of single views, without augmentation or dropout.

        Args:
            images: uint8 (N, 1, 48, 48).

        Returns:
            float32 (N, classes).
        """
        self.eval()
        part = Split(images, np.zeros(len(images), dtype=np.int64))
        every = Batches(part, batch_size=512, shuffle=False, seed=0, device=self.device, augment=self.augment(False))
        return torch.cat([self(batch.images).float().softmax(1).cpu() for batch in every]).numpy()


def _copies(part: Split) -> np.ndarray:
    """See `ExpressionSplit.copies`; other sets know of none."""
    return part.copies if isinstance(part, ExpressionSplit) else np.zeros(len(part), dtype=np.uint8)
