import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from exp.cells.metrics_file import read_metrics
from exp.options.catalog import ConfigError
from exp.options.compose import resolved
from exp.run.train import cost, weights_sha256

Train = Callable[..., dict[str, Any]]


def test_a_result_says_all_it_should(train: Train) -> None:
    result = train("att=triplet", "seed=3")
    assert result["task"] == "attention"
    assert result["seed"] == 3
    assert result["test"].keys() == {"top1", "top5", "loss"}
    assert result["best"]["metrics"].keys() == {"top1", "top5", "loss"}
    assert result["params"] == sum(weight.numel() for weight in parameters(result))
    assert result["macs"] > 0
    assert result["samples_seen"] == 2 * 1222
    assert result["world_size"] == 1
    assert result["epochs"] == 2
    assert len(result["weights_sha256"]) == 64
    assert result["overrides"][-2:] == ["att=triplet", "seed=3"]
    assert result["config"]["att"]["kernel_size"] == 7
    assert "exp.blocks.triplet" in result["code"]
    assert result["train_seconds"] > 0
    assert {path.name for path in result["path"].iterdir()} == {
        "best.ckpt", "last.ckpt", "config.json", "metrics.jsonl", "result.json", "status.json",
        "confident.png", "confusion.png", "mistakes.png",
    }  # fmt: skip


def parameters(result: dict[str, Any]) -> list[torch.Tensor]:
    state = torch.load(result["path"] / "best.ckpt", weights_only=True)["state_dict"]
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return [weight for name, weight in state.items() if not name.endswith(statistics)]


def test_metrics_are_a_line_a_measurement(train: Train) -> None:
    result = train("trainer.log_every=2")
    lines = read_metrics(result["path"] / "metrics.jsonl")
    assert [line["split"] for line in lines] == ["step", "step", "val", "train", "step", "step", "val", "train", "test"]
    assert [line["step"] for line in lines] == [2, 4, 5, 5, 6, 8, 10, 10, 10]
    assert lines[-1]["top1"] == result["test"]["top1"]
    assert max(line["top1"] for line in lines if line["split"] == "val") == result["best"]["value"]


def test_the_same_cell_gives_the_same_weights_and_another_seed_others(train: Train) -> None:
    first = train("att=se", "trainer.max_epochs=1")
    again = train("att=se", "trainer.max_epochs=1", anew=True)
    other = train("att=se", "trainer.max_epochs=1", "seed=1")
    assert first["weights_sha256"] == again["weights_sha256"] != other["weights_sha256"]


def test_a_done_cell_is_not_run_again(train: Train) -> None:
    first = train("trainer.max_epochs=1")
    (first["path"] / "last.ckpt").unlink()
    assert train("trainer.max_epochs=1")["weights_sha256"] == first["weights_sha256"]
    assert not (first["path"] / "last.ckpt").exists()


def test_the_best_epoch_is_tested(train: Train) -> None:
    result = train("trainer.max_epochs=3")
    kept = torch.load(result["path"] / "best.ckpt", weights_only=True)
    tested = train(f"ckpt={result['path'] / 'best.ckpt'}", "trainer.max_epochs=0")
    assert kept["best"]["value"] == result["best"]["value"]
    assert tested["test"] == result["test"]
    assert tested["samples_seen"] == 0


@pytest.mark.slow
def test_fine_tuning_starts_from_the_checkpoint(train: Train) -> None:
    first = train("trainer.max_epochs=3")
    tuned = train(f"ckpt={first['path'] / 'last.ckpt'}", "trainer.max_epochs=1", "lr=1e-9", "weight_decay=0")
    scratch = train("trainer.max_epochs=1", "lr=1e-9", "weight_decay=0")
    loss = [read_metrics(r["path"] / "metrics.jsonl")[-2]["loss"] for r in (first, tuned, scratch)]
    assert abs(loss[1] - loss[0]) < 0.5 * abs(loss[2] - loss[0])
    assert tuned["key"] != scratch["key"]


def test_a_checkpoint_of_another_model_is_refused(train: Train, tmp_path: Path) -> None:
    first = train("trainer.max_epochs=1")
    failed = train(f"ckpt={first['path'] / 'best.ckpt'}", "trainer.max_epochs=0", "width=8")
    assert failed["state"] == "failed"
    assert "another model's weights" in failed["error"]
    (tmp_path / "junk.ckpt").write_bytes(b"junk")
    assert "not a checkpoint of exp" in train(f"ckpt={tmp_path}/junk.ckpt", "trainer.max_epochs=0")["error"]


@pytest.mark.parametrize(("keep", "kept"), [("none", set()), ("best", {"best.ckpt"}), ("last", {"last.ckpt"})])
def test_what_is_kept_is_an_option(train: Train, keep: str, kept: set[str]) -> None:
    path = train("trainer.max_epochs=1", f"cells.keep={keep}")["path"]
    assert {entry.name for entry in path.glob("*.ckpt")} == kept


def test_accumulation_keeps_the_batch(train: Train) -> None:
    """Without batch norm in training mode (one step, rate 0) the loss over micro-batches is that of the whole batch."""
    whole = train("lr=0", "trainer.max_epochs=1", "batch_size=1222", "trainer.log_every=1")
    parts = train("lr=0", "trainer.max_epochs=1", "batch_size=1222", "trainer.accumulate=3")
    assert whole["samples_seen"] == parts["samples_seen"] == 1222
    steps = [read_metrics(r["path"] / "metrics.jsonl")[-1]["step"] for r in (whole, parts)]
    assert steps == [1, 1]


def test_divergence_stops_at_once_and_says_where(train: Train) -> None:
    status = train("optim.name=sgd", "lr=1e12", "trainer.max_epochs=5", "att=lka")
    assert status["state"] == "diverged"
    assert "optimizer step" in status["error"]
    assert "batch" in status["error"]
    assert "Diverged" in (status["path"] / "error.txt").read_text()


@pytest.mark.parametrize("debug", ["trainer.fast_dev_run=1", "trainer.overfit_batches=1", "trainer.profiler=simple"])
def test_debugging_options(train: Train, debug: str) -> None:
    result = train(debug, "trainer.max_epochs=1")
    seen = {"trainer.fast_dev_run=1": 244, "trainer.overfit_batches=1": 244, "trainer.profiler=simple": 1222}[debug]
    assert result["samples_seen"] == seen
    assert (len(list(result["path"].glob("*profile*"))) > 0) == ("profiler" in debug)


@pytest.mark.slow
def test_speed_options_run(train: Train) -> None:
    result = train("trainer.precision=bf16-mixed", "trainer.channels_last=true", "optim.clip=1.0")
    assert result["test"]["loss"] > 0


def test_published_flaws_are_there(train: Train) -> None:
    result = train(
        "recipe=published",
        "data=digits",
        "model=resnet18",
        "att=triplet",
        "task.head_classes=20",
        "data.val_fraction=0",
    )
    lines = read_metrics(result["path"] / "metrics.jsonl")
    assert [line["split"] for line in lines] == ["test", "train", "test", "train", "test"], "chosen on the test part"
    state = torch.load(result["path"] / "best.ckpt", weights_only=True)["state_dict"]
    assert state["model.fc.weight"].shape[0] == 20
    assert "model.layer1.0.att.cw.conv.bias" in state


def test_cost_needs_no_data() -> None:
    counts = cost(resolved(["model=resnet50", "att=triplet", "data=imagenet"]).config)
    assert counts == {"params": 25_561_832, "macs": 4_135_500_918, "gflops_published": 4.1692}


def test_hash_covers_names_types_and_values() -> None:
    model = torch.nn.Linear(2, 2)
    before = weights_sha256(model)
    with torch.no_grad():
        model.bias[0] += 1
    assert weights_sha256(model) != before
    assert weights_sha256(model.double()) != before


def test_a_failed_cell_leaves_its_traceback(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    from exp.tasks.attention.module import Attention

    def broken(self: Attention, batch: Any) -> Any:
        raise RuntimeError("the block is broken")

    monkeypatch.setattr(Attention, "loss", broken)
    status = train("seed=9")
    assert status["state"] == "failed"
    line = broken.__code__.co_firstlineno + 1
    assert re.fullmatch(rf"RuntimeError: the block is broken \(.*test_train\.py:{line}\)", status["error"])
    assert "in broken" in (status["path"] / "error.txt").read_text()
    monkeypatch.undo()
    assert train("seed=9")["test"], "tried again, it is done"
    assert not (status["path"] / "error.txt").exists()


def test_config_is_written_before_training(train: Train) -> None:
    path = train("trainer.max_epochs=1")["path"]
    written = json.loads((path / "config.json").read_text())
    assert written["key"] == path.name.rpartition("-")[2]


def test_too_many_gpus_are_refused() -> None:
    from exp.options.sections import Trainer
    from exp.run.ddp import Rank
    from exp.run.train import device_of

    if torch.cuda.is_available():
        pytest.skip("needs a machine without a GPU")
    with pytest.raises(ConfigError, match="0 GPUs are visible"):
        device_of(Trainer(accelerator="gpu"), Rank(0, 2, 0))
