"""The LightningModule of a task that is a single file: its model, loss and scores, trained and evaluated like any."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from exp.data.arrays import study_module
from exp.data.epoch import EpochLoader, EpochPlan
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.options.parts import NoAttention
from exp.options.study import STUDIES, StudyDataOptions, StudyModelOptions, StudyTaskOptions
from exp.tasks.base import Task
from exp.tasks.build import attention
from exp.tasks.further import needed_by


@dataclass
class ArrayBatch:
    """One rank's share of a micro-batch.

    Attributes:
        arrays: Tensors with a row a sample, in the order in which the file's ``data`` returns them.
        weight: Factor of the mean loss, see ``EpochPlan``.
    """

    arrays: tuple[Tensor, ...]
    weight: float

    def __len__(self) -> int:
        return len(self.arrays[0])


class ArrayBatches(EpochLoader):
    """Batches of one part, kept on the device as a whole.

    Args:
        arrays: The part's arrays.
        plan: How epochs are cut.
        device: Device of the batches.
    """

    def __init__(self, arrays: tuple[np.ndarray, ...], plan: EpochPlan, device: torch.device) -> None:
        self.plan = plan
        self.arrays = tuple(torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)

    def __iter__(self) -> Iterator[ArrayBatch]:
        epoch, left = self.plan.left()
        order = self.plan.order(epoch)
        for index in left:
            share = self.plan.share(index)
            rows = order[share.first : share.last].to(self.arrays[0].device)
            yield ArrayBatch(tuple(array[rows] for array in self.arrays), share.weight)


class Means(Metric):
    """Means over the samples of what a file's ``scores`` gives for each, and of the loss.

    Args:
        where: The file, for messages.

    Attributes:
        sums: float64 (metrics, 2), the sum of each metric and how many samples had one; ranks add them up.
    """

    full_state_update = False
    sums: Tensor

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where
        self.names: list[str] = []
        self.add_state("sums", torch.zeros(0, 2, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, *given: Any, values: dict[str, Tensor]) -> None:
        """Adds a batch.

        Args:
            given: What metrics of plug-ins are given; not used here.
            values: A tensor (n,) for each metric, of which values that are NaN do not count.

        Raises:
            ConfigError: Batches have different metrics.
        """
        if not len(self.sums):
            self.names = list(values)
            self.sums = torch.zeros(len(values), 2, dtype=torch.float64, device=self.device)
        if list(values) != self.names:
            raise ConfigError(f"{self.where}: scores gave {', '.join(values)} after {', '.join(self.names)}")
        rows = [
            torch.stack([value.nansum(), (~value.isnan()).sum().to(value)]) for value in map(_double, values.values())
        ]
        self.sums += torch.stack(rows)

    def compute(self) -> dict[str, float]:
        """Returns the mean of each metric; NaN where no sample had a value."""
        return {name: (total / count).item() for name, (total, count) in zip(self.names, self.sums, strict=True)}


def _double(value: Tensor) -> Tensor:
    return value.detach().double()


class StudyTask(Task):
    """What a file declares, as a task.

    Args:
        config: The cell's options.
        source: Reader of the arrays, see ``exp.data.arrays.Arrays``.
    """

    config: Config[StudyTaskOptions, StudyModelOptions, StudyDataOptions]

    def __init__(self, config: Config, source: Any) -> None:
        super().__init__(config, source)
        self.study = STUDIES[config.task.name]
        self.module = study_module(config.task.name)
        built = {name: getattr(config.model, name) for name in self.study.arguments["Model"]}
        if config.model.takes_att:
            built["att"] = attention(config.att).get("att")
        elif not isinstance(config.att, NoAttention):
            raise ConfigError(f"att={config.att.name}: {self.study.path}'s Model has no argument att to place it")
        self.model = self.module.Model(**built)
        self._loss = self._bound("loss")
        self._scores_of: Callable[..., Any] | None = self._bound("scores") if hasattr(self.module, "scores") else None

    def _bound(self, function: str) -> Callable[..., Any]:
        options = {name: getattr(self.config.task, name) for name in self.study.arguments[function]}
        return lambda *arrays: getattr(self.module, function)(self.model, *arrays, **options)

    def forward(self, *arrays: Tensor) -> Any:
        """Returns what the file's ``Model`` gives for its inputs."""
        return self.model(*arrays)

    def example_shapes(self) -> tuple[Any, ...]:
        """Returns the first training sample's first array, as a batch of one."""
        return (torch.from_numpy(np.ascontiguousarray(self.source.load()["train"][0][:1])),)

    def loader(self, split: str, *, device: torch.device, rank: int, world_size: int) -> ArrayBatches | None:
        """Returns batches of a part, shuffled in training; None where ``data`` returns no such part."""
        parts = self.source.load()
        if split not in parts:
            if split == self.eval_split:
                self.validation_step = None  # type: ignore[assignment, method-assign]  # Lightning warns of an idle one
            return None
        training = split == "train"
        plan = EpochPlan.balanced(
            len(parts[split][0]),
            self.config.data.batch_size,
            shuffle=training,
            seed=self.config.seed,
            rank=rank,
            world_size=world_size,
            accumulate=self.config.trainer.accumulate if training else 1,
        )
        return ArrayBatches(parts[split], plan, device)

    def loss(self, batch: ArrayBatch) -> tuple[Tensor, int]:
        """Returns the file's loss, a mean over the batch's samples, and how many there are.

        Raises:
            ConfigError: The file's ``loss`` gave anything but one number.
        """
        loss = self._loss(*batch.arrays)
        if not isinstance(loss, Tensor) or loss.dim():
            what = f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
            raise ConfigError(f"{self.study.path}: loss gave {what}; return one number, the mean over the samples")
        return loss, len(batch)

    def new_scores(self) -> Means:
        """Returns empty means."""
        return Means(str(self.study.path))

    def score(self, batch: ArrayBatch, scores: Means) -> None:
        """Adds a batch: the loss, and what ``scores`` gives for each sample."""
        count = len(batch)
        values = {"loss": self._loss(*batch.arrays).detach().expand(count)}
        if self._scores_of is not None:
            given = self._scores_of(*batch.arrays)
            for name, value in (given if isinstance(given, dict) else {"score": given}).items():
                if not isinstance(value, Tensor) or value.shape != (count,):
                    shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                    raise ConfigError(
                        f"{self.study.path}: scores gave {name} as {shape}; return one value a sample, ({count},)"
                    )
                values[name] = value
        scores.update(*self._judged_by_further(batch), values=values)

    def _judged_by_further(self, batch: ArrayBatch) -> tuple[Any, ...]:
        """Returns what metrics of plug-ins are given: the model's output, and the arrays that it does not take."""
        if not self._further:
            return ()
        taken = max(1, needed_by(self.model.forward))
        return (self.model(*batch.arrays[:taken]), *batch.arrays[taken:])
