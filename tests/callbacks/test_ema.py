"""The average of the weights: its arithmetic, and that it is what is validated, kept and tested."""

from typing import Any

import pytest
import torch

from exp.callbacks.ema import WeightAverage


def test_the_average_follows_the_weights_by_its_rule(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    averages: list[torch.Tensor] = []
    original = WeightAverage.on_train_batch_end

    def spy(self: WeightAverage, trainer: Any, module: Any, *rest: Any) -> None:
        if not seen:
            averages.append(self._average["fc.weight"].clone())
        original(self, trainer, module, *rest)
        seen.append(module.model.state_dict()["fc.weight"].clone())
        averages.append(self._average["fc.weight"].clone())

    monkeypatch.setattr(WeightAverage, "on_train_batch_end", spy)
    result = train("trainer.ema=0.5")
    assert len(seen) == 10
    expected = averages[0]
    for step, weights in enumerate(seen, start=1):
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weights
        assert torch.allclose(averages[step], expected, atol=1e-6)
    kept = torch.load(result["path"] / "best.ckpt", weights_only=True)["state_dict"]["model.fc.weight"]
    at = 5 * (result["best"]["epoch"] + 1)
    assert torch.equal(kept, averages[at])
    assert not torch.equal(kept, seen[at - 1])


def test_micro_batches_without_a_step_move_nothing(train: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[int] = []
    original = WeightAverage.on_train_batch_end

    def spy(self: WeightAverage, *arguments: Any) -> None:
        original(self, *arguments)
        steps.append(self.steps)

    monkeypatch.setattr(WeightAverage, "on_train_batch_end", spy)
    train("trainer.ema=0.9", "trainer.accumulate=2", "trainer.max_epochs=1")
    assert steps == [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]


def test_training_goes_on_with_the_weights_themselves(train: Any) -> None:
    plain, averaged = train("trainer.max_epochs=2"), train("trainer.max_epochs=2", "trainer.ema=0.9")
    losses = [[line["loss"] for line in _lines(result) if line["split"] == "train"] for result in (plain, averaged)]
    assert losses[0] == losses[1]
    assert plain["best"]["metrics"] != averaged["best"]["metrics"]


def _lines(result: dict[str, Any]) -> list[dict[str, Any]]:
    from exp.cells.metrics_file import read_metrics

    return read_metrics(result["path"] / "metrics.jsonl")
