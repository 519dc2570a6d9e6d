"""Gait recognition by the CASIA-B protocol (notebook 000_5904b90314bc883c.txt)."""

import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exp.options.config import Config
from exp.tasks.base import Diverged, Task
from exp.tasks.build import attention
from exp.tasks.gait import pictures
from exp.tasks.gait.data.casia_b import CasiaB
from exp.tasks.gait.data.clip_batches import ClipBatch, PersonBatches, WalkBatches
from exp.tasks.gait.data.clips import Clips
from exp.tasks.gait.data.frame_sampler import FrameSampler
from exp.tasks.gait.data.protocol import require_protocol
from exp.tasks.gait.data.walkers import Walkers
from exp.tasks.gait.losses.collapse import CollapseAlarm
from exp.tasks.gait.losses.cosine import cosine_cross_entropy
from exp.tasks.gait.losses.gather import gathered
from exp.tasks.gait.losses.triplet import batch_all_triplet, part_distances
from exp.tasks.gait.metrics.casia_b import PROBES, distances, evaluate, part_major
from exp.tasks.gait.metrics.retrieval import GatheredWalks
from exp.tasks.gait.models.net import GaitOutput
from exp.tasks.gait.models.temporal import FrameLSTM
from exp.tasks.gait.options import BackboneOptions, ClipOptions, GaitOptions

_NEAREST = 6
"""Gallery walks that the example search draws."""
_BRIEF = ("nm_r1", "bg_r1", "cl_r1", "mean_r1")
"""Scores of a validation."""


class OrderError(ValueError):
    """Frames in random order for a net to which their order means something."""


def require_order(needs_order: bool, ordered: bool, asked: str) -> None:
    """Refuses shuffled frames for a net that needs their order, unless they were asked for.

    Args:
        needs_order: Whether the order means something to the net.
        ordered: Whether the frames are in the order in which they were filmed.
        asked: The order the run was asked for: ordered or unordered.

    Raises:
        OrderError: The frames are shuffled and nobody asked for it.
    """
    if needs_order and not ordered and asked != "unordered":
        raise OrderError("the net needs the frames' order, but they are shuffled; order=unordered would allow it")


class Embeddings(GatheredWalks):
    """The embeddings of a part's walks, each at its own row, and their scores.

    Walks that were not embedded (debugging runs of a few batches) count as zero vectors.

    Args:
        clips: The walks.
        options: The task's options.
        full: Whether all scores are wanted, or rank-1 alone.
    """

    def __init__(self, clips: Clips, options: GaitOptions, *, full: bool) -> None:
        super().__init__(1)
        self.clips = clips
        self.options = options
        self.full = full
        self.features = np.zeros((len(clips), 1, 1), dtype=np.float32)

    def update(self, rows: Tensor, embeddings: Tensor) -> None:
        """Adds walks: their numbers (n,) and embeddings (n, c, p)."""
        self.add(rows, embeddings)

    def compute(self) -> dict[str, float]:
        """Returns scores in percent, see ``exp.tasks.gait.metrics.casia_b.Report.scores``.

        The embeddings of all walks are in ``features`` from then on, float32 (walks, c, p).
        """
        rows, embeddings = self.gathered()
        self.features = np.zeros((len(self.clips), *embeddings.shape[1:]), dtype=np.float32)
        self.features[rows[:, 0]] = embeddings
        clips, options = self.clips, self.options
        report = evaluate(
            self.features,
            clips.ids,
            clips.types,
            clips.views,
            metric=options.metric,
            rounding=options.rounding,
        )
        scores = report.scores()
        return scores if self.full else {name: value for name, value in scores.items() if name in _BRIEF}


class Gait(Task):
    """A gait net trained with batch-all triplets and cosine cross-entropy, tested by retrieval.

    Args:
        config: The cell's options.
        source: Reader of the data set.
    """

    config: Config[GaitOptions, BackboneOptions, ClipOptions]

    def __init__(self, config: Config[GaitOptions, BackboneOptions, ClipOptions], source: Walkers | CasiaB) -> None:
        super().__init__(config, source)
        build = config.model.builder()
        self.model = build(
            config.model, image_size=source.shape[1:], num_classes=source.num_classes, **attention(config.att)
        )
        self.needs_order = bool(self.model.needs_order)
        self.alarm = CollapseAlarm(config.task.margin)
        self._clips: dict[str, Clips] = {}
        self._tested: Embeddings | None = None

    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Returns the shape of one training clip."""
        return ((1, self.config.data.frames, *self.source.shape[1:]),)

    def clips(self, split: str) -> Clips | None:
        """Returns the walks of a part, None where the data set has no such part."""
        if not self._clips:
            self._clips = self.source.load()
        return self._clips.get(split)

    def loader(
        self, split: str, *, device: torch.device, rank: int, world_size: int
    ) -> PersonBatches | WalkBatches | None:
        """Returns P x K batches in training, whole walks in validation and test; None where there is no such part.

        Raises:
            DataError: A part cannot be trained on or scored.
        """
        clips = self.clips(split)
        if clips is None:
            return None
        data, task = self.config.data, self.config.task
        if split == "train":
            return PersonBatches(
                clips,
                data,
                sampler=FrameSampler(data.frames, task.train_order, data.skip),
                seed=self.config.seed,
                device=device,
                rank=rank,
                world_size=world_size,
                accumulate=self.config.trainer.accumulate,
            )
        require_protocol(split, clips.types.tolist(), clips.views.tolist())
        frames = None if task.test_frames == "all" else task.test_frames
        return WalkBatches(
            clips,
            sampler=FrameSampler(frames, task.test_order, limit=data.max_frames),
            batch_frames=data.eval_frames,
            device=device,
            rank=rank,
            world_size=world_size,
        )

    def forward(self, frames: Tensor, lengths: Sequence[int] | None = None) -> GaitOutput:
        """Returns embeddings and logits of clips (n, s, H, W), or of walks (F, H, W) with their lengths."""
        return self.model(frames, lengths)

    def _run(self, batch: ClipBatch, asked: str) -> GaitOutput:
        require_order(self.needs_order, batch.ordered, asked)
        return self(batch.frames, batch.lengths)

    def on_train_start(self) -> None:
        """Warns where the LSTM would take more memory than it may."""
        super().on_train_start()
        lstm, memory = self._lstm, self.extra_costs()
        if lstm is not None and memory["lstm_chunks"] > 1 and self.global_rank == 0:
            print(
                f"the LSTM would keep {memory['lstm_gib']:.2f} GiB for its backward pass, more than"
                f" model.lstm_gib={lstm.options.lstm_gib:g}; it runs in {memory['lstm_chunks']} chunks, which give the"
                " same numbers up to rounding",
                file=sys.stderr,
                flush=True,
            )

    @property
    def _lstm(self) -> FrameLSTM | None:
        """The net's LSTM over time, None where it has none."""
        return next((module for module in self.model.modules() if isinstance(module, FrameLSTM)), None)

    @property
    def micro_batch(self) -> int:
        """Clips of a forward pass in training, on one device."""
        data, trainer = self.config.data, self.config.trainer
        return -(-data.batch_subjects * data.batch_clips // (trainer.devices * trainer.accumulate))

    def extra_costs(self) -> dict[str, float]:
        """Returns what the LSTM keeps for its backward pass on one device, and the chunks in which it runs.

        They are ``lstm_gib``, in GiB, and ``lstm_chunks``, and ``lstm_gib_128``, what a batch of 128 walks would keep,
        the source's example; a net without an LSTM has none of them.
        """
        lstm = self._lstm
        if lstm is None:
            return {}
        data, walks = self.config.data, self.micro_batch
        each = {"64-true": 8, "32-true": 4}.get(self.config.trainer.precision, 2)
        gib = lstm.estimate(walks, data.frames, each=each) / 2**30
        return {
            "lstm_gib": round(gib, 4),
            "lstm_chunks": lstm.chunks(walks, data.frames, each=each),
            "lstm_gib_128": round(lstm.estimate(128, data.frames, each=each) / 2**30, 4),
        }

    def loss(self, batch: ClipBatch) -> tuple[Tensor, int]:
        """Returns the triplet loss over the micro-batch of all ranks plus the cross-entropy, and this rank's clips."""
        task = self.config.task
        out = self._run(batch, task.train_order)
        embedding, logits = (gathered(x, batch.shares) for x in out)
        labels = gathered(batch.labels, batch.shares)
        distances = part_distances(embedding)
        if task.loss_per == "global":
            distances, logits = distances.mean(0, keepdim=True), logits.mean(2, keepdim=True)
        triplet = batch_all_triplet(distances, labels, margin=task.margin, self_positive=task.self_positive)
        self.alarm.add(triplet.nonzero, triplet.mean_distance)
        entropy = cosine_cross_entropy(logits, labels, scale=task.ce_scale, smoothing=task.label_smoothing)
        return task.triplet_weight * triplet.loss + task.ce_weight * entropy, len(batch.labels)

    def take_train_scores(self) -> dict[str, float]:
        """Returns the share of triplets above zero and the mean distance of the epoch.

        Raises:
            Diverged: The embeddings have collapsed.
        """
        scores = self.alarm.take()
        complaint = self.alarm.collapsed(scores)
        if complaint:
            raise Diverged(complaint)
        return scores

    def new_scores(self) -> Embeddings:
        """Returns room for the embeddings of the part at hand."""
        clips = self.clips("test" if self.trainer.testing else self.eval_split)
        assert clips is not None
        self._tested = Embeddings(clips, self.config.task, full=self.trainer.testing)
        return self._tested

    def score(self, batch: ClipBatch, scores: Embeddings) -> None:
        """Embeds the walks of a batch."""
        scores.update(batch.rows, self._run(batch, self.config.task.test_order).embedding)

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Writes pictures and features.npz where asked for; returns the embedding's shape and the memory's peak."""
        assert self._tested is not None
        features, clips = self._tested.features, self._tested.clips
        if self.config.task.save_features:
            np.savez(folder / "features.npz", features=features, ids=clips.ids, types=clips.types, views=clips.views)
        if self.config.task.pictures:
            self._draw(folder, features, clips)
        return {"embedding": list(features.shape[1:]), "peak_gib": round(_peak_bytes(self.device) / 2**30, 4)}

    def _draw(self, folder: Path, features: np.ndarray, clips: Clips) -> None:
        """Writes silhouettes.png, views.png, search.png, probes_worst.png and probes_best.png."""
        options = self.config.task
        report = evaluate(features, clips.ids, clips.types, clips.views, metric=options.metric)
        pictures.draw_views(folder / "views.png", report.conditions)
        example = pictures.example_probe(clips.ids, clips.types, clips.views)
        if example is None:
            return
        probe, gallery = example
        same = (clips.ids == clips.ids[probe]) & (clips.views == clips.views[probe])
        strips = {}
        for kind, kinds in PROBES.items():
            rows = np.flatnonzero(same & np.isin(clips.types, kinds))
            if len(rows):
                strips[kind.upper()] = pictures.strip(clips.read(int(rows[0])))
        pictures.draw_conditions(folder / "silhouettes.png", strips)
        parts = part_major(features, options.metric)
        between = distances(parts, np.array([probe]), gallery, options.metric)[0]
        nearest = gallery[np.argsort(between, kind="stable")[:_NEAREST]].tolist()
        found = [
            (_named(clips, row), bool(clips.ids[row] == clips.ids[probe]), pictures.strip(clips.read(row)))
            for row in nearest
        ]
        pictures.draw_search(folder / "search.png", (_named(clips, probe), pictures.strip(clips.read(probe))), found)
        worst, best = pictures.extreme_probes(parts, clips.ids, clips.types, clips.views, options.metric)
        for name, cases in (("probes_worst", worst), ("probes_best", best)):
            shown = [[(_named(clips, row), pictures.strip(clips.read(row), 5)) for row in case] for case in cases]
            pictures.draw_probes(folder / f"{name}.png", shown)


def _peak_bytes(device: torch.device) -> int:
    """Returns the most memory taken so far: of tensors on a GPU, of the whole process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _named(clips: Clips, row: int) -> str:
    """Returns the name of a walk, such as ``001 nm-05 090``."""
    return f"{clips.ids[row]} {clips.types[row]} {clips.views[row]}"
