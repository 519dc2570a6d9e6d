import json
import os
import re
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from exp.callbacks import wandb as view
from exp.cells.metrics_file import read_metrics
from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.options.sections import Logger
from tests.callbacks.wandb_file import Run, read

Train = Callable[..., dict[str, Any]]
OWN = ("epoch", "step", "_step", "_runtime", "_timestamp")


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))


def runs(folder: Path) -> list[Run]:
    return [read(path) for path in sorted(folder.rglob("run-*.wandb"))]


def test_a_cell_is_one_run_that_holds_all_of_it(train: Train) -> None:
    result = train("logger=wandb", "origin.table=modules", "data.size=8", "seed=3")
    (run,) = runs(result["path"])
    assert (run.id, run.group, run.job_type, run.name) == (result["key"], "modules", "attention", result["slug"])
    assert run.exit_code == 0
    assert run.config["seed"] == 3
    assert run.config["model"] == result["config"]["model"]
    assert run.config["key"] == result["key"]
    lines = read_metrics(result["path"] / "metrics.jsonl")
    assert len(run.history) == len(lines) + 1
    for shown, line in zip(run.history, lines, strict=False):
        values = {f"{line['split']}/{k}": v for k, v in line.items() if k not in ("split", "epoch", "step", "time")}
        assert {key: value for key, value in shown.items() if key not in OWN} == values
        assert (shown["epoch"], shown["step"]) == (line["epoch"], line["step"])
    assert run.history[-1]["media/confusion._type"] == "image-file"
    assert run.summary["final/top1"] == result["test"]["top1"]
    assert run.summary["params"] == result["params"]
    media = list((result["path"] / "wandb").rglob("media/images/**/*.png"))
    assert sorted({path.name.split("_")[0] for path in media}) == ["confident", "confusion", "mistakes"]


class Printer(pl.Callback):
    """Prints, as code of a user's does."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Prints a line."""
        print("a line of mine")


def test_what_is_asked_for_is_in_the_run(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.py").write_text("print('mine')\n")
    asked = ["logger.save_code=true", "logger.log_model=true", "logger.watch=all", "tags=[ablation,first]"]
    named = ["logger.group=mine", "logger.job_type=try", "trainer.log_every=1", "trainer.max_epochs=1"]
    prints = "callbacks.use={mine: {target: 'tests.callbacks.test_wandb:Printer'}}"
    result = train("logger=wandb", prints, *asked, *named)
    (run,) = runs(result["path"])
    assert (run.group, run.job_type) == ("mine", "try")
    assert set(run.tags) == {"quick", "digits", "ablation", "first"}
    assert {"code", "model"} <= set(run.artifacts)
    assert any(key.startswith("gradients/") for row in run.history for key in row)
    assert any(key.startswith("parameters/") for row in run.history for key in row)
    assert "output_raw" in run.kinds
    (chart,) = (result["path"] / "wandb").rglob("confusion_table*.table.json")
    written = json.loads(chart.read_text())
    assert written["columns"] == ["Actual", "Predicted", "nPredictions"]
    assert sum(row[2] for row in written["data"]) == sum(map(sum, result["confusion"]))


@pytest.mark.slow
def test_one_option_leaves_out_what_wandb_gathers_by_itself(train: Train) -> None:
    prints = "callbacks.use={mine: {target: 'tests.callbacks.test_wandb:Printer'}}"
    result = train("logger=wandb", prints, "logger.system=false", "trainer.max_epochs=1")
    (run,) = runs(result["path"])
    assert not {"output_raw", "output", "stats"} & run.kinds


def test_a_checkpoint_that_is_removed_cannot_be_kept() -> None:
    with pytest.raises(ConfigError, match=r"log_model=true: cells.keep=last removes best.ckpt"):
        resolved(["logger=wandb", "logger.log_model=true", "cells.keep=last"])


@pytest.mark.slow
def test_a_cell_that_diverges_ends_its_run_with_1_and_the_next_has_its_own(train: Train, tmp_path: Path) -> None:
    broken = train("logger=wandb", "optim.name=sgd", "optim.lr=1e30", "optim.warmup=0")
    assert broken["state"] == "diverged"
    good = train("logger=wandb", "trainer.max_epochs=1")
    (first,), (second,) = runs(broken["path"]), runs(good["path"])
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert first.id != second.id
    assert first.summary.get("final/top1") is None
    assert {row.get("_step") for row in second.history} == set(range(len(second.history)))


@pytest.mark.slow
def test_a_resumed_cell_has_one_run_with_all_its_history(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped as SIGTERM does it, after the first epoch; then gone on with."""
    import signal

    from exp.callbacks.mirror import Mirror

    caught_up = Mirror.on_train_epoch_end

    def stop_after_first(self: Mirror, trainer: Any, module: Any) -> None:
        caught_up(self, trainer, module)
        if trainer.current_epoch == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patched:
        patched.setattr(Mirror, "on_train_epoch_end", stop_after_first)
        stopped = train("logger=wandb", "trainer.max_epochs=3")
    assert stopped["state"] == "waiting"
    (before,) = runs(stopped["path"])
    assert before.exit_code == 130
    assert [row["epoch"] for row in before.history] == [0, 0]
    result = train("logger=wandb", "trainer.max_epochs=3")
    assert result["attempts"] == 2
    (run,) = runs(result["path"])
    assert run.id == result["key"]
    assert [row["train/loss"] for row in run.history if "train/loss" in row] == [
        line["loss"] for line in read_metrics(result["path"] / "metrics.jsonl") if line["split"] == "train"
    ]
    assert len([row for row in run.history if "train/loss" in row]) == 3


def test_sent_runs_are_not_thrown_away(tmp_path: Path) -> None:
    for name in ("offline-run-1-abc", "offline-run-2-abc", "offline-run-3-other"):
        (tmp_path / "wandb" / name).mkdir(parents=True)
    (tmp_path / "wandb" / "offline-run-2-abc" / "run-abc.wandb.synced").touch()
    view.drop_unsynced(tmp_path, "abc")
    left = sorted(path.name for path in (tmp_path / "wandb").iterdir())
    assert left == ["offline-run-2-abc", "offline-run-3-other"]


def test_offline_unless_a_key_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert view.mode() == "offline"
    host = "wandb.example.org"
    monkeypatch.setenv("WANDB_BASE_URL", f"https://{host}")
    (tmp_path / ".netrc").write_text("machine elsewhere login user password x\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert view.mode() == "offline"
    (tmp_path / ".netrc").write_text(f"machine {host} login user password x\n")
    assert view.mode() == "online"
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert view.mode() == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert view.mode() == "offline"


def test_a_table_is_a_run_of_its_own(tmp_path: Path) -> None:
    records = [{"row": "a", "metric": "top1", "mean": 1.5, "interval": [1, 2], "p": None}]
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        view.log_table(tmp_path, "modules", "table-modules-1", Logger(name="wandb"), records)
    (run,) = runs(tmp_path)
    assert (run.id, run.group, run.job_type, run.exit_code) == ("table-modules-1", "modules", "table", 0)
    (file,) = (tmp_path / "wandb").rglob("*.table.json")
    assert json.loads(file.read_text()) == {
        "columns": ["row", "metric", "mean", "p"],
        "data": [["a", "top1", 1.5, None]],
    }


@pytest.mark.slow
def test_a_key_without_network_goes_on_offline_and_says_so(
    train: Train, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert not view.reachable()
    result = train("logger=wandb", "trainer.max_epochs=1")
    assert result["test"]["top1"] >= 0
    (run,) = runs(result["path"])
    assert run.exit_code == 0
    assert list((result["path"] / "wandb").glob("offline-run-*"))
    assert "this run goes on offline" in caplog.text


@pytest.mark.slow
def test_a_key_of_another_form_goes_on_offline(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # it answers, and the key is refused before it is asked
        monkeypatch.setenv("WANDB_API_KEY", "short")
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert view.reachable()
        result = train("logger=wandb", "trainer.max_epochs=1")
    assert list((result["path"] / "wandb").glob("offline-run-*"))


REFUSED = {
    "logger.project=a/b": "logger.project=a/b: has to be a name that W&B takes, without '/'",
    "logger.project=" + "x" * 200: "has to be a name of 1 to 128 characters",
    "logger.entity='a:b'": "has to be a name that W&B takes, without ':'",
    "WANDB_MODE": "WANDB_MODE=onlin: W&B has no such mode; set online, offline or disabled, or unset it",
}


@pytest.mark.parametrize("word", REFUSED)
def test_what_wandb_would_refuse_is_refused_before_anything_starts(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if word == "WANDB_MODE":
        monkeypatch.setenv("WANDB_MODE", "onlin")
    with pytest.raises(ConfigError, match=re.escape(REFUSED[word])):
        resolved(["logger=wandb", *([] if word == "WANDB_MODE" else [word])])


@pytest.mark.slow
def test_several_loggers_show_the_same_and_the_last_line_says_how_to_send(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from exp.cells.cell import Cell
    from exp.run.console import Console

    result = train("logger=csv+wandb", "trainer.max_epochs=1")
    (run,) = runs(result["path"])
    table = next(result["path"].rglob("metrics.csv")).read_text().splitlines()
    assert len(table) - 1 >= 1
    assert run.summary["final/top1"] == result["test"]["top1"]
    Console(Cell.at(result["path"]), "exp").end("done")
    last = capsys.readouterr().out.splitlines()[-1]
    (folder,) = (result["path"] / "wandb").glob("offline-run-*")
    assert last == f"W&B: the run is offline; to send it: wandb sync {folder}"
    (folder / "run.wandb.synced").touch()
    Console(Cell.at(result["path"]), "exp").end("done")
    assert "W&B" not in capsys.readouterr().out


def test_loggers_are_joined_by_a_plus() -> None:
    assert resolved(["logger=wandb+csv", "logger.project=mine"]).key == resolved([]).key
    for word, said in (
        ("logger=[wandb,csv]", r"join several loggers by \+: logger=wandb\+csv"),
        ("logger.name=csv+csv", "each logger once"),
        ("logger.name=csv+wandbb", r"joined by \+; did you mean 'wandb'"),
    ):
        with pytest.raises(ConfigError, match=said):
            resolved([word])
