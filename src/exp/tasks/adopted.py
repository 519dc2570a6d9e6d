"""An unchanged LightningModule as a task: what the engine keeps of it beside its own code."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn

from exp.data.placed import Place, PlacedLoader, can_be_placed
from exp.options.adopted import LightningOptions
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.options.fields import fields
from exp.options.parts import DataOptions, ModelOptions


class Adopted:
    """A LightningModule of a user's own with its data, and the engine's books about it.

    It is no LightningModule itself: the trainer is given the user's. ``exp.tasks.base.trained`` finds it from there.

    Args:
        config: The cell's options.
        source: Not used; the module or its datamodule reads the data.

    Raises:
        ConfigError: A class cannot be imported or built, or no constructor takes an option.
    """

    config: Config[LightningOptions, ModelOptions, DataOptions]

    def __init__(self, config: Config, source: Any) -> None:
        self.config = config
        options = {name: value for name, value in config.task.plain().items() if name not in fields(LightningOptions)}
        kinds = [_imported(config.task.module)]
        if config.task.datamodule:
            kinds.append(_imported(config.task.datamodule))
        taken = [_arguments(kind) for kind in kinds]
        for name in options:
            if not any(name in names for names in taken):
                raise ConfigError(f"task.{name}: neither constructor takes it ({', '.join(k.__name__ for k in kinds)})")
        built = [
            kind(**{name: value for name, value in options.items() if name in names})
            for kind, names in zip(kinds, taken, strict=True)
        ]
        self.lightning: pl.LightningModule = built[0]
        self.datamodule: pl.LightningDataModule | None = built[1] if len(built) > 1 else None
        self.lightning.__dict__["_exp"] = self
        self.train_loader = Place()
        self.resumable = True
        self.note: Callable[[str], None] = lambda text: None
        self.samples_seen = 0
        self.latest: dict[str, dict[str, float]] = {}
        self.train_scores: dict[str, float] = {}
        self.loss_sum = torch.zeros(2, dtype=torch.float64)

    @property
    def model(self) -> nn.Module:
        """The network, which is the module as a whole."""
        return self.lightning

    @property
    def device(self) -> torch.device:
        """Where the module is."""
        return self.lightning.device

    @property
    def eval_split(self) -> str:
        """The part on which the best epoch is chosen: the module's validation."""
        return "val"

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Loads the module's weights."""
        self.lightning.load_state_dict(state)

    def eval(self) -> "Adopted":
        """Puts the module into evaluation mode."""
        self.lightning.eval()
        return self

    def take_train_loss(self) -> Tensor:
        """Returns (2,) sum of the batches' losses and their number since the last call, on this rank."""
        taken = self.loss_sum.clone()
        self.loss_sum.zero_()
        return taken

    def take_train_scores(self) -> dict[str, float]:
        """Returns what the module logged while it trained, as of the epoch's end."""
        return self.train_scores

    def check_losses(self) -> None:
        """Nothing is left to check: each loss is looked at when it is made."""

    def log_all(self, split: str, values: dict[str, float]) -> None:
        """Does nothing: what the module logs is its own."""

    def place_loaders(self, *, seed: int, rank: int, world_size: int) -> dict[str, Any]:
        """Makes the module's loaders resumable and returns what the trainer's methods are given of them.

        On several devices each takes its share of the training batches and evaluates the whole set.
        """
        host: Any = self.datamodule or self.lightning
        self._place(host, "train_dataloader", seed=seed, rank=rank, world_size=world_size)
        for name in ("val_dataloader", "test_dataloader"):
            self._place(host, name, seed=seed, rank=0, world_size=1)
        return {"datamodule": self.datamodule} if self.datamodule else {}

    def _place(self, host: Any, name: str, **share: int) -> None:
        original = getattr(host, name)
        if getattr(original, "__func__", None) in (
            getattr(pl.LightningModule, name),
            getattr(pl.LightningDataModule, name),
        ):
            return
        place = self.train_loader if name == "train_dataloader" else Place()

        def loaders() -> Any:
            made = original()
            if isinstance(made, (list, tuple)) and name != "train_dataloader":
                return [PlacedLoader(one, Place(), **share) if can_be_placed(one) else one for one in made]
            if can_be_placed(made):
                return PlacedLoader(made, place, **share)
            if name == "train_dataloader":
                self.resumable = False
                self.note("the training data cannot be entered in the middle: an interrupted epoch begins anew")
            return made

        setattr(host, name, loaders)

    def has_test(self) -> bool:
        """Returns whether the module tests: it has a test_step, and someone a test_dataloader."""
        host: Any = self.datamodule or self.lightning
        loader = getattr(getattr(host, "test_dataloader", None), "__func__", None)
        step = type(self.lightning).test_step is not pl.LightningModule.test_step
        return step and loader not in (pl.LightningModule.test_dataloader, pl.LightningDataModule.test_dataloader)

    def example_shapes(self) -> tuple[Any, ...]:
        """Returns the module's own ``example_input_array``, by which its cost is counted; empty where it has none."""
        example = self.lightning.example_input_array
        if example is None:
            return ()
        return tuple(example) if isinstance(example, (tuple, list)) else (example,)

    def extra_costs(self) -> dict[str, float]:
        """Returns further costs, of which there are none."""
        return {}

    def finish(self, folder: Path, best: dict[str, Any] | None, records: list[dict[str, Any]]) -> dict[str, Any]:
        """Returns what goes into the result besides the metrics: which part was tested."""
        return {} if self.has_test() else {"tested_on": "val"}


def _imported(target: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{target}: cannot be imported: {error}") from error


def _arguments(kind: Any) -> set[str]:
    """Returns the names of a constructor's arguments."""
    return {name for name in inspect.signature(kind.__init__).parameters if name != "self"}
