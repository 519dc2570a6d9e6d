"""A language model of lanes (notebook 001_a79f247b6d6434d0.txt, LaneLM preprint 202504.1582).

Each reason why the notebook's model never learnt is an option here beside its correction, and every run measures what
would have revealed it.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from exp.data.source import DataError
from exp.options.config import Config
from exp.tasks.base import Task, stable_seed
from exp.tasks.build import attention
from exp.tasks.lane.data.batches import LaneBatch, LaneBatches
from exp.tasks.lane.data.codec import Coded, LaneCodec
from exp.tasks.lane.data.source import LaneSplit
from exp.tasks.lane.losses.cells import cell_lanes
from exp.tasks.lane.losses.tokens import mean_over_images, token_losses
from exp.tasks.lane.metrics.ceiling import ceiling
from exp.tasks.lane.metrics.scores import Evaluated, LaneScores, alarms
from exp.tasks.lane.models.fpn import LEVELS, STRIDES
from exp.tasks.lane.models.lanelm import LaneLM, Seen
from exp.tasks.lane.options import LaneDataOptions, LaneLMOptions, LaneOptions
from exp.tasks.lane.tokens import PAD, Relative

_log = logging.getLogger(__name__)
Y_STAGES = (0.0, 0.1, 0.3)
"""Weights of the staged y loss."""
Y_ADVANCES_BELOW = 0.1
"""Mean x loss of an epoch that takes the y loss to its next stage."""
CELL = STRIDES[LEVELS[0]]
"""Pixels of the cells in which places are given to the model."""
PROMPT_PIXELS = 5.0
"""Largest distance in original pixels of a given point from the label, as in the preprint."""
_CEILING_IMAGES = 500  # labels that are encoded and decoded before training
_SAMPLE = 2000  # labels whose tokens are looked at before training
_REFUSED_SHARE = 0.01  # of steps that are too large for the tokens


class Lane(Task):
    """A ResNet with a pyramid and a decoder that writes lanes, trained with teacher forcing.

    Args:
        config: The cell's options.
        source: Reader of the lane set.
    """

    config: Config[LaneOptions, LaneLMOptions, LaneDataOptions]
    model: LaneLM
    y_stage: Tensor
    x_loss: Tensor

    def __init__(self, config: Config[LaneOptions, LaneLMOptions, LaneDataOptions], source: Any) -> None:
        super().__init__(config, source)
        self.codec = LaneCodec(source.view, config.task)
        bins = self.codec.tokens.pixels(np.arange(config.task.nbins))
        self.model = LaneLM(
            config.model,
            task=config.task,
            vocabulary=self.codec.tokens.size,
            bin_places=torch.from_numpy(bins / CELL).float(),
            row_places=torch.from_numpy(self.codec.rows / CELL).float(),
            **attention(config.att),
        )
        self.register_buffer("y_stage", torch.zeros((), dtype=torch.long))
        self.register_buffer("x_loss", torch.zeros(2, dtype=torch.float64))
        self._splits: dict[str, LaneSplit] = {}
        self._scored: LaneScores | None = None
        self._before: dict[str, float] = {}
        self._grad_norm: Tensor | None = None
        self._stage_weight: float | None = None

    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Returns the shape of an image; the model fills in a table of tokens itself."""
        return ((1, *self.source.shape),)

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> LaneBatches | None:
        """Returns the batches of a split, augmented in training only; None where the set has no such part.

        Raises:
            DataError: Files are missing or damaged, or the labels do not fit the tokens.
        """
        if not self._splits:
            try:
                self._splits = self.source.load()
            except ValueError as error:
                raise DataError(str(error)) from None
            self._look_at_labels()
        if split not in self._splits:
            return None
        training = split == "train"
        return LaneBatches(
            self._splits[split],
            self.codec,
            self.config.data,
            training=training,
            seed=self.config.seed,
            device=device,
            rank=rank,
            world_size=world_size,
            accumulate=self.config.trainer.accumulate if training else 1,
        )

    def _look_at_labels(self) -> None:
        """Measures before training what the tokens can express.

        Raises:
            DataError: The labels' steps from row to row are too large for the tokens.
        """
        lanes = self._splits["train"].lanes
        some = lanes[:: max(1, len(lanes) // _SAMPLE)]
        coded = [self.codec.encode([self.codec.view.to_input(lane) for lane in image]) for image in some]
        dropped = sum(image.dropped for image in coded)
        if dropped:
            _log.warning("%d lanes of %d looked at have no slot; raise task.max_lanes", dropped, sum(map(len, some)))
        self._refuse_large_steps(coded)
        ids = np.concatenate([image.ids for image in coded])
        ids = ids[ids != PAD]
        images = self._splits.get("val", self._splits["train"]).lanes[:_CEILING_IMAGES]
        limit = ceiling(self.codec, images, line_width=self.config.data.line_width)
        self._before = {f"ceiling_f1_{round(100 * t)}": f1 for t, f1 in limit.items()}
        self._before["commonest_token"] = float(np.bincount(ids).max() / len(ids)) if len(ids) else 0.0
        for alarm in alarms(self._before):
            _log.warning("before training: %s", alarm)

    def _refuse_large_steps(self, coded: list[Coded]) -> None:
        if not isinstance(self.codec.tokens, Relative):
            return
        share, largest = self.codec.tokens.too_small(np.concatenate([image.x for image in coded]))
        if share > _REFUSED_SHARE:
            raise DataError(
                f"task.max_dx={self.config.task.max_dx}: {100 * share:.1f} % of the labels' steps are larger, the"
                f" largest is {largest} bins; set task.max_dx={largest}, or tokens=absolute"
            )

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Returns logits (n, S, T, vocabulary) of images (n, 3, H, W)."""
        return self.model(images, inputs).x

    def on_train_epoch_start(self) -> None:
        """Moves the y loss on where the x loss of the epoch before allows it."""
        super().on_train_epoch_start()
        loader = self.train_loader
        assert isinstance(loader, LaneBatches)
        if loader.dropped or loader.outside:
            _log.warning(
                "epoch %d: %d lanes had no slot (task.max_lanes), %d were moved out of the image (rotate, zoom, shift)",
                self.current_epoch,  # the one before, counted from 1 as on the screen
                loader.dropped,
                loader.outside,
            )
            loader.dropped = loader.outside = 0
        if self.config.task.y_loss == "staged":
            total = self.x_loss.clone()
            if self.trainer.world_size > 1:
                torch.distributed.all_reduce(total)
            if total[1] > 0 and total[0] / total[1] < Y_ADVANCES_BELOW:
                self.y_stage.add_(1).clamp_(max=len(Y_STAGES) - 1)
            self.x_loss.zero_()
            self._stage_weight = None

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Notes the gradient's norm before it is clipped."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self._grad_norm = torch.nn.utils.get_total_norm(gradients)

    def loss(self, batch: LaneBatch) -> tuple[Tensor, int]:
        """Returns the batch's mean loss, of tokens and what the options add to them, and its number of images."""
        task = self.config.task
        images = self._laid_out(batch.images)
        inputs = self.model.shifted(batch.ids)
        written = self.model(images, inputs, batch.filled)
        seen, memories = written.seen, written.memories
        rate = self._sampling_rate() if task.scheduled_sampling else 0.0
        if rate > 0:
            inputs = self._mixed(inputs, written.x, rate)
            written = self.model.write(inputs, memories)
        counted = self._counted(batch.ids)
        if task.lane_batch:
            counted = counted & self._drawn_lanes(batch.ids)
        x_loss = mean_over_images(self._token_losses(written.x, batch.ids), counted)
        self.x_loss += torch.stack([x_loss.detach().double() * len(images), x_loss.new_tensor(len(images)).double()])
        loss = x_loss
        if written.y is not None:
            weight = self._y_weight()
            loss = (1 - weight) * loss + weight * self._row_loss(written.y, batch.ids, counted)
        if task.cell_loss:
            loss = loss + task.cell_loss * self._cell_loss(seen, batch.x)
        if task.rollout:
            own = self.model.write(self._mixed(inputs, written.x, 1.0), memories)
            falling = torch.linspace(1, 1 / 6, counted.shape[-1], device=images.device)
            loss = loss + task.rollout * mean_over_images(self._token_losses(own.x, batch.ids) * falling, counted)
        return loss, len(images)

    def _laid_out(self, images: Tensor) -> Tensor:
        last = self.config.trainer.channels_last is True
        return images.contiguous(memory_format=torch.channels_last) if last else images

    def _token_losses(self, logits: Tensor, ids: Tensor) -> Tensor:
        """Returns the training loss (B, S, T) of each row's token."""
        return token_losses(logits, ids, nbins=self.config.task.nbins, soft=self.config.task.soft)

    def _counted(self, ids: Tensor) -> Tensor:
        """Returns which rows (B, S, T) the loss counts: all, or those with a point."""
        return ids != PAD if self.config.task.padding == "ignored" else torch.ones_like(ids, dtype=torch.bool)

    def _drawn_lanes(self, ids: Tensor) -> Tensor:
        """Returns a mask (B, S, 1) of ``lane_batch`` random lanes that have points, or of all if there are no more."""
        there = (ids != PAD).any(-1)
        draws = torch.rand(there.shape, device=ids.device).masked_fill(~there, 2.0).flatten()
        limit = draws.sort().values[min(self.config.task.lane_batch, draws.numel()) - 1]
        return ((draws <= limit).view(there.shape) & there)[..., None]

    def _row_loss(self, logits: Tensor, ids: Tensor, counted: Tensor) -> Tensor:
        """Returns the loss of the row index, which is the number of rows T where a row has no point.

        Args:
            logits: (B, S, T, T + 1).
            ids: (B, S, T) tokens.
            counted: bool (B, S, T), rows that count.
        """
        rows = torch.arange(ids.shape[-1], device=ids.device).expand(ids.shape)
        right = torch.where(ids == PAD, ids.shape[-1], rows).flatten()
        losses = F.cross_entropy(rearrange(logits, "b s t rows -> (b s t) rows").float(), right, reduction="none")
        return mean_over_images(losses.view(counted.shape), counted)

    def _cell_loss(self, seen: Seen, x: Tensor) -> Tensor:
        """Returns the mean over the levels of the cross-entropy of each cell's lane."""
        y = torch.from_numpy(self.codec.rows).to(x)
        losses = []
        for level, logits in zip(self.model.visual.levels, seen.cells, strict=True):
            right = cell_lanes(x, y, logits.shape[-2:], self.model.visual.step(level))
            losses.append(F.cross_entropy(logits.float(), right))
        return torch.stack(losses).mean()

    def _y_weight(self) -> float:
        if self.config.task.y_loss != "staged":
            return self.config.task.y_weight
        if self._stage_weight is None:  # kept for the epoch: reading the stage waits for the device
            self._stage_weight = Y_STAGES[int(self.y_stage)]
        return self._stage_weight

    def _sampling_rate(self) -> float:
        begin, end = self.config.task.sampling_ramp
        now = self.global_step / max(1, self.steps_per_epoch)
        return self.config.task.sampling_rate * min(1.0, max(0.0, (now - begin) / max(end - begin, 1e-9)))

    @staticmethod
    def _mixed(inputs: Tensor, logits: Tensor, rate: float) -> Tensor:
        """Returns decoder inputs of which a share is the likeliest tokens by ``logits``; the first input stays."""
        own = torch.cat([inputs[:, :, :1], logits.argmax(-1)[:, :, :-1]], 2)
        return torch.where(torch.rand(inputs.shape, device=inputs.device) < rate, own, inputs)

    def new_scores(self) -> LaneScores:
        """Returns empty sums of F1, errors and diagnostics for the part at hand."""
        split = self._splits["test" if self.trainer.testing else self.eval_split]
        extra = dict(self._before)
        if self._grad_norm is not None:
            extra["grad_norm"] = float(self._grad_norm)
        blocks = len(self.model.blocks) if self.config.task.probe else 0
        self._scored = LaneScores(
            self.codec,
            split.lanes,
            split.categories,
            blocks=blocks,
            line_width=self.config.data.line_width,
            extra=extra,
            prompts=self._prompts,
        )
        return self._scored

    @property
    def _prompts(self) -> list[int]:
        """Numbers of given points for which the test is scored too; none in validation."""
        return self.config.task.prompts if self.trainer.testing else []

    def _prompt(self, batch: LaneBatch, points: int) -> Tensor:
        """Returns tokens (B, S, T) of the first points of each lane, somewhat off; -1 at all other rows."""
        x = batch.x.cpu().double().numpy()
        there = ~np.isnan(x)
        given = there & (there.cumsum(-1) <= points)
        generator = np.random.default_rng([self.config.seed, points, *batch.rows.tolist()])
        off = generator.uniform(-PROMPT_PIXELS, PROMPT_PIXELS, x.shape) * self.codec.view.scale[0]
        off = np.clip(x + off, 0, np.nextafter(self.codec.view.width, 0))
        tokens = self.codec.tokens.encode(np.where(given, off, np.nan).reshape(-1, x.shape[-1])).reshape(x.shape)
        return torch.from_numpy(np.where(given, tokens, -1)).to(batch.ids.device)

    def score(self, batch: LaneBatch, scores: LaneScores) -> None:
        """Adds a batch, after a pass with the answers as inputs and another in which the model writes by itself."""
        task = self.config.task
        seen = self.model.see(self._laid_out(batch.images), batch.filled)
        memories = self.model.remember(seen)
        # The probe multiplies all queries with all tokens once more; a single batch of an evaluation is enough.
        probe: list[Tensor] | None = [] if task.probe and not scores.probed else None
        logits = self.model.write(self.model.shifted(batch.ids), memories, probe=probe).x
        generator = None
        if task.temperature:
            generator = torch.Generator(self.device).manual_seed(stable_seed(self.config.seed, int(batch.rows[0])))
        tokens = torch.cat([some.flatten() for some in seen.tokens]).float()
        scores.update(
            Evaluated(
                losses=token_losses(logits, batch.ids, nbins=task.nbins),
                counted=self._counted(batch.ids),
                forced=logits.argmax(-1),
                written=self.model.generate(memories, temperature=task.temperature, generator=generator),
                ids=batch.ids,
                x=batch.x,
                uniformity=probe or [],
                token_mean=tokens.mean(),
                token_std=tokens.std(),
                prompted={
                    points: self.model.generate(
                        memories, temperature=task.temperature, generator=generator, prompt=self._prompt(batch, points)
                    )
                    for points in self._prompts
                },
            ),
            batch.rows,
        )

    def judged(self, scores: dict[str, float], split: str) -> dict[str, float]:
        """Returns the scores with the number of alarms, and raises the alarms."""
        raised = alarms(scores, clip=self.config.optim.clip)
        if self.global_rank == 0:
            where = "test" if self.trainer.testing else f"epoch {self.current_epoch + 1}"
            for alarm in raised:
                _log.warning("%s: %s", where, alarm)
        return scores | {"alarms": float(len(raised))}

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Leaves frames of the test with labels and written lanes: spread over it, the best and the worst of rank 0."""
        from exp.tasks.lane.pictures import draw_frames

        assert self._scored is not None
        part, extremes = self._splits["test"], self._scored.extremes
        for name, cases in (("lanes", self._scored.spread), ("worst", extremes.worst), ("best", extremes.best)):
            frames = [
                (f"{part.names[c.row]}: IoU {c.score:.2f}", part.images[c.row], c.shown, part.lanes[c.row])
                for c in cases
            ]
            draw_frames(folder / ("lanes.jpg" if name == "lanes" else f"lanes_{name}.jpg"), self.codec.view, frames)
        return {}
