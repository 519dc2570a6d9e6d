"""A user's own Lightning module, without anything else of exp, that logs its metrics on two ranks.

``python -m tests.metrics.user_module OUT`` trains on two processes and writes what was logged, and the same metrics of
one process that saw everything, as JSON.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from exp.metrics import CasiaBRank1, CasiaBScores, CULaneF1, ExpressionScores, LaneZigzag, TopK, TuSimpleAccuracy

ROWS = list(range(589, 289, -10))
WALKS = [(person, kind, view) for person in (1, 2, 3) for kind in ("nm-01", "nm-05", "bg-01") for view in (0, 90)]


def lanes(image: int, shift: float) -> list[list[list[float]]]:
    """Two lanes of an image; the second is missing in every third."""
    both = [[[start + shift + 3 * image, row] for row in ROWS] for start in (200.0, 900.0)]
    return both[: 1 if image % 3 == 2 else 2]


def add(metrics: Any, image: int) -> None:
    """Adds an image to each metric; walks are those of rank 0 alone in the first half."""
    draws = torch.Generator().manual_seed(image)
    metrics["f1"].update([lanes(image, 12.0 * (image % 4))], [lanes(image + image % 2, 0.0)])
    x = [[point[0] for point in lane] for lane in lanes(image, 0.0)]
    metrics["tusimple"].update([x], [x[:1]], [ROWS])
    metrics["zigzag"].update(torch.randn(2, 9, generator=draws))
    logits, labels = torch.randn(3, 4, generator=draws), torch.randint(4, (3,), generator=draws)
    metrics["topk"].update(logits, labels, nn.functional.cross_entropy(logits, labels, reduction="none"))
    metrics["faces"].update(logits, labels, torch.rand(3, generator=draws) < 0.3)
    if image % 2 == 0:  # rank 1 has no walk
        ids, types, views = zip(*WALKS[image // 2 :: 5], strict=True)
        walks = torch.randn(len(ids), 6, 2, generator=draws)
        for name in ("rank1", "casia"):
            metrics[name].update(walks, ids, types, views)


def made() -> Any:
    """The metrics, empty."""
    return nn.ModuleDict(
        {
            "f1": CULaneF1(),
            "tusimple": TuSimpleAccuracy(),
            "zigzag": LaneZigzag(),
            "rank1": CasiaBRank1("nm"),
            "casia": CasiaBScores(),
            "topk": TopK(4),
            "faces": ExpressionScores(list("abcd")),
        }
    )


class User(pl.LightningModule):
    """One layer, and metrics logged in the two ways of Lightning: the metric itself, and a dictionary of scores."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.metrics = made()

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Some loss."""
        return self.layer(batch.float()[:, None]).square().mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        """Adds a batch of one image."""
        add(self.metrics, int(batch))
        for name in ("f1", "tusimple", "zigzag"):
            self.log(name, self.metrics[name], batch_size=1)

    def on_validation_epoch_end(self) -> None:
        """Logs what is no single number, or has no data on a rank."""
        self.log("rank1", self.metrics["rank1"].compute(), sync_dist=True)
        for name in ("casia", "topk", "faces"):
            scores = {f"{name}/{key}": torch.as_tensor(value) for key, value in self.metrics[name].compute().items()}
            self.log_dict(scores, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Plain SGD."""
        return torch.optim.SGD(self.parameters(), lr=0.1)


def main() -> None:
    """Trains on two processes."""
    warnings.simplefilter("ignore")
    trainer = pl.Trainer(
        accelerator="cpu", devices=2, strategy="ddp", max_epochs=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    images = DataLoader(range(10), batch_size=1)  # type: ignore[arg-type, var-annotated]
    trainer.fit(User(), images, images)
    if trainer.is_global_zero:
        alone = made()
        for image in range(10):
            add(alone, image)
        wanted = {name: float(own(alone[name])) for name in ("f1", "tusimple", "zigzag", "rank1")}
        for name in ("casia", "topk", "faces"):
            wanted |= {f"{name}/{key}": float(value) for key, value in own(alone[name]).items()}
        logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
        Path(sys.argv[1]).write_text(json.dumps({"logged": logged, "wanted": wanted}))


def own(metric: Any) -> Any:
    """The scores of this process alone."""
    for one in metric.modules():
        one.sync_on_compute = one._to_sync = False
    return metric.compute()


if __name__ == "__main__":
    main()
