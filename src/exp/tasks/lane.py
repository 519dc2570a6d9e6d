"""A language model of lanes (notebook 001_a79f247b6d6434d0.txt, LaneLM preprint 202504.1582).

Each reason why the notebook's model never learnt is an option here beside its correction, and every run measures what
would have shown it.
"""

import functools
import logging
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from exp import registry
from exp.data.lane_batches import LaneAugment, LaneBatch, LaneBatches
from exp.data.lane_codec import LaneCodec, ceiling
from exp.data.lane_source import LaneSplit
from exp.data.source import DataError
from exp.losses.lane_cells import cell_lanes
from exp.losses.lane_tokens import mean_over_images, token_losses
from exp.metrics.lane_scores import Evaluated, LaneScores, alarms
from exp.models.build import attention
from exp.models.lanelm import LaneLM, Seen
from exp.nn import lane_tokens
from exp.nn.fpn import LEVELS, STRIDES
from exp.tasks.base import Task, stable_seed

_log = logging.getLogger(__name__)
Y_STAGES = (0.0, 0.1, 0.3)
"""Weights of the staged y loss."""
Y_ADVANCES_BELOW = 0.1
"""Mean x loss of an epoch that takes the y loss to its next stage."""
CELL = STRIDES[LEVELS[0]]
"""Pixels of the cells in which places are told."""
_CEILING_IMAGES = 500
_REFUSED_SHARE = 0.01
_SAMPLE = 2000  # labels looked at before training


def build_codec(config: dict[str, Any], source: Any) -> LaneCodec:
    """The codec of a cell's options for a data set's view."""
    task = config["task"]
    tokens = lane_tokens.build(task["tokens"], nbins=task["nbins"], width=source.shape[2], max_dx=task.get("max_dx"))
    return LaneCodec(
        tokens,
        source.view,
        steps=task["steps"],
        order=task["order"],
        slots=task["slots"],
        max_lanes=task["max_lanes"],
    )


def build_model(config: dict[str, Any], codec: LaneCodec) -> LaneLM:
    """The model of a cell's options."""
    task, own = config["task"], {k: v for k, v in config["model"].items() if k not in ("name", "backbone", "width")}
    depth = registry.load(registry.MODELS, config["model"]["backbone"])
    attended = attention(config["att"]) if config.get("att") else {}
    backbone = functools.partial(
        depth, num_classes=1, in_channels=3, stem="imagenet", width=config["model"]["width"], **attended
    )
    defaults = {"subsample": False, "cross": "concatenated", "pooled_tokens": 1}  # where the schema leaves them out
    return LaneLM(
        backbone=backbone,
        vocabulary=codec.tokens.size,
        slots=task["max_lanes"],
        steps=task["steps"],
        bos=task["bos"],
        slot=task["slot"],
        y_head=task["y_loss"] != "none",
        cell_head=task["cell_loss"] > 0,
        bin_places=torch.from_numpy(codec.tokens.pixels(np.arange(task["nbins"])) / CELL).float(),
        row_places=torch.from_numpy(codec.rows / CELL).float(),
        **(defaults | own),
    )


class Lane(Task):
    """A ResNet with a pyramid and a decoder that writes lanes, trained with teacher forcing."""

    model: LaneLM
    y_stage: Tensor
    x_loss: Tensor

    def __init__(self, config: dict[str, Any], source: Any) -> None:
        super().__init__(config, source)
        self.codec = build_codec(config, source)
        self.model = build_model(config, self.codec)
        self.options = config["task"]
        self.register_buffer("y_stage", torch.zeros((), dtype=torch.long))
        self.register_buffer("x_loss", torch.zeros(2, dtype=torch.float64))
        self._splits: dict[str, LaneSplit] = {}
        self._before: dict[str, float] = {}
        self._grad_norm: Tensor | None = None
        self._evaluated = "val"

    def example_shapes(self) -> tuple[tuple[int, ...], ...]:
        """One image; the model fills in a table of tokens."""
        return ((1, *self.source.shape),)

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> LaneBatches | None:
        """Batches of a split, augmented in training only.

        Raises:
            DataError: The labels do not fit the tokens.
        """
        if not self._splits:
            try:
                self._splits = self.source.load()
            except ValueError as error:
                raise DataError(str(error)) from None
            self._look_at_labels()
        if split not in self._splits:
            return None
        data, training = self.config["data"], split == "train"
        augment = LaneAugment(data["flip"], data["rotate"], data["zoom"], data["shift"], data["brightness"])
        return LaneBatches(
            self._splits[split],
            self.codec,
            batch_size=data["batch_size"],
            shuffle=training,
            seed=self.config["seed"],
            device=device,
            mean=data["mean"],
            std=data["std"],
            repeat=data["repeat"] if training else 1,
            augment=augment if training else None,
            rank=rank,
            world_size=world_size,
            accumulate=self.config["trainer"]["accumulate"] if training else 1,
        )

    def _look_at_labels(self) -> None:
        """Measures before training what the tokens can express, and refuses those that cannot take the labels."""
        view = self.codec.view
        lanes = self._splits["train"].lanes
        some = lanes[:: max(1, len(lanes) // _SAMPLE)]
        coded = [self.codec.encode([view.to_input(lane) for lane in image]) for image in some]
        dropped = sum(one.dropped for one in coded)
        if dropped:
            _log.warning("%d lanes of %d looked at have no slot; raise task.max_lanes", dropped, sum(map(len, some)))
        if isinstance(self.codec.tokens, lane_tokens.Relative):
            share, largest = self.codec.tokens.too_small(np.concatenate([one.x for one in coded]))
            if share > _REFUSED_SHARE:
                raise DataError(
                    f"task.max_dx={self.options['max_dx']}: {100 * share:.1f} % of the labels' steps are larger, the"
                    f" largest is {largest} bins; set task.max_dx={largest}, or tokens=absolute"
                )
        ids = np.concatenate([one.ids for one in coded])
        ids = ids[ids != lane_tokens.PAD]
        limit = ceiling(self.codec, self._splits.get("val", self._splits["train"]).lanes[:_CEILING_IMAGES])
        self._before = {f"ceiling_f1_{round(100 * t)}": f1 for t, f1 in limit.items()}
        self._before["commonest_token"] = float(np.bincount(ids).max() / len(ids)) if len(ids) else 0.0
        for alarm in alarms(self._before):
            _log.warning("before training: %s", alarm)

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Logits (n, S, T, vocabulary) of images (n, 3, H, W)."""
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
        if self.options["y_loss"] == "staged":
            total = self.x_loss.clone()
            if self.trainer.world_size > 1:
                torch.distributed.all_reduce(total)
            if total[1] > 0 and total[0] / total[1] < Y_ADVANCES_BELOW:
                self.y_stage.add_(1).clamp_(max=len(Y_STAGES) - 1)
            self.x_loss.zero_()

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Notes the gradient's norm before it is clipped."""
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self._grad_norm = torch.nn.utils.get_total_norm(gradients)

    def loss(self, batch: LaneBatch) -> tuple[Tensor, int]:
        """Cross-entropy of the tokens, with what the options add: row index, own inputs, roll-out."""
        model, options = self.model, self.options
        images = self._laid_out(batch.images)
        inputs = model.shifted(batch.ids)
        written = model(images, inputs, batch.filled)
        seen, memories = written.seen, written.memories
        rate = self._sampling_rate() if options["scheduled_sampling"] else 0.0
        if rate > 0:
            inputs = self._mixed(inputs, written.x, rate)
            written = model.write(inputs, memories)
        counted = self._counted(batch.ids)
        if options["lane_batch"]:
            counted = counted & self._drawn_lanes(batch.ids)
        x_losses = token_losses(written.x, batch.ids, nbins=options["nbins"], soft=options["soft"])
        x_loss = mean_over_images(x_losses, counted)
        self.x_loss += torch.stack([x_loss.detach().double() * len(images), x_loss.new_tensor(len(images)).double()])
        loss = x_loss
        if written.y is not None:
            weight = self._y_weight()
            y_losses = F.cross_entropy(written.y.flatten(0, 2).float(), self._row_ids(batch.ids), reduction="none")
            loss = (1 - weight) * loss + weight * mean_over_images(y_losses.view(counted.shape), counted)
        if options["cell_loss"]:
            loss = loss + options["cell_loss"] * self._cell_loss(seen, batch.x)
        if options["rollout"]:
            own = model.write(self._mixed(inputs, written.x, 1.0), memories)
            own_losses = token_losses(own.x, batch.ids, nbins=options["nbins"], soft=options["soft"])
            falling = torch.linspace(1, 1 / 6, counted.shape[-1], device=own_losses.device)
            loss = loss + options["rollout"] * mean_over_images(own_losses * falling, counted)
        return loss, len(images)

    def _laid_out(self, images: Tensor) -> Tensor:
        last = self.config["trainer"]["channels_last"]
        return images.contiguous(memory_format=torch.channels_last) if last else images

    def _counted(self, ids: Tensor) -> Tensor:
        return (
            ids != lane_tokens.PAD if self.options["padding"] == "ignored" else torch.ones_like(ids, dtype=torch.bool)
        )

    def _drawn_lanes(self, ids: Tensor) -> Tensor:
        """Mask (B, S, 1): ``lane_batch`` of the lanes that have points, or all of them where there are no more."""
        there = (ids != lane_tokens.PAD).any(-1)
        draws = torch.rand(there.shape, device=ids.device).masked_fill(~there, 2.0).flatten()
        limit = draws.sort().values[min(self.options["lane_batch"], draws.numel()) - 1]
        return ((draws <= limit).view(there.shape) & there)[..., None]

    def _row_ids(self, ids: Tensor) -> Tensor:
        """The right row index of every row, the number of rows where it has no point, flattened."""
        rows = torch.arange(ids.shape[-1], device=ids.device).expand(ids.shape)
        return torch.where(ids == lane_tokens.PAD, ids.shape[-1], rows).flatten()

    def _cell_loss(self, seen: Seen, x: Tensor) -> Tensor:
        """Mean over the levels of the cross-entropy of each cell's lane."""
        y = torch.from_numpy(self.codec.rows).to(x)
        losses = []
        for level, logits in zip(self.model.visual.levels, seen.cells, strict=True):
            right = cell_lanes(x, y, logits.shape[-2:], self.model.visual.step(level))
            losses.append(F.cross_entropy(logits.float(), right))
        return torch.stack(losses).mean()

    def _y_weight(self) -> float:
        return Y_STAGES[int(self.y_stage)] if self.options["y_loss"] == "staged" else self.options["y_weight"]

    def _sampling_rate(self) -> float:
        begin, end = self.options["sampling_ramp"]
        now = self.global_step / max(1, self.steps_per_epoch)
        return self.options["sampling_rate"] * min(1.0, max(0.0, (now - begin) / max(end - begin, 1e-9)))

    @staticmethod
    def _mixed(inputs: Tensor, logits: Tensor, rate: float) -> Tensor:
        """Decoder inputs of which a share is the likeliest tokens by ``logits``; the first input stays."""
        own = torch.cat([inputs[:, :, :1], logits.argmax(-1)[:, :, :-1]], 2)
        return torch.where(torch.rand(inputs.shape, device=inputs.device) < rate, own, inputs)

    def on_validation_epoch_start(self) -> None:
        """Empties the scores."""
        self._evaluated = self.eval_split
        super().on_validation_epoch_start()

    def on_test_epoch_start(self) -> None:
        """Empties the scores."""
        self._evaluated = "test"
        super().on_test_epoch_start()

    def new_scores(self) -> LaneScores:
        """F1, errors and diagnostics of the split at hand."""
        split = self._splits[self._evaluated]
        extra = dict(self._before)
        if self._grad_norm is not None:
            extra["grad_norm"] = float(self._grad_norm)
        blocks = len(self.model.blocks) if self.options["probe"] else 0
        return LaneScores(self.codec, split.lanes, split.categories, blocks=blocks, device=self.device, extra=extra)

    def score(self, batch: LaneBatch, scores: LaneScores) -> None:
        """Adds a batch: one pass with the answers fed, one in which the model writes."""
        seen = self.model.see(self._laid_out(batch.images), batch.filled)
        memories = self.model.remember(seen)
        # The probe multiplies all queries with all tokens once more; one batch of an evaluation is enough.
        probe: list[Tensor] | None = [] if self.options["probe"] and not scores.probed else None
        logits = self.model.write(self.model.shifted(batch.ids), memories, probe=probe).x
        generator = None
        if self.options["temperature"]:
            generator = torch.Generator(self.device).manual_seed(stable_seed(self.config["seed"], int(batch.rows[0])))
        tokens = torch.cat([some.flatten() for some in seen.tokens]).float()
        scores.update(
            Evaluated(
                losses=token_losses(logits, batch.ids, nbins=self.options["nbins"]),
                counted=self._counted(batch.ids),
                forced=logits.argmax(-1),
                written=self.model.generate(memories, temperature=self.options["temperature"], generator=generator),
                ids=batch.ids,
                x=batch.x,
                uniformity=probe or [],
                token_mean=tokens.mean(),
                token_std=tokens.std(),
            ),
            batch.rows,
        )

    def on_validation_epoch_end(self) -> None:
        """Keeps the metrics and raises the alarms."""
        super().on_validation_epoch_end()
        self._alarm(self.latest[self.eval_split], f"epoch {self.current_epoch + 1}")

    def on_test_epoch_end(self) -> None:
        """Keeps the metrics and raises the alarms."""
        super().on_test_epoch_end()
        self._alarm(self.latest["test"], "test")

    def _alarm(self, scores: dict[str, float], where: str) -> None:
        found = alarms(scores, clip=self.config["optim"]["clip"])
        scores["alarms"] = float(len(found))
        if self.global_rank == 0:
            for alarm in found:
                _log.warning("%s: %s", where, alarm)
