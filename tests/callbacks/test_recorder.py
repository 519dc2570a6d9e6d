import logging
from pathlib import Path

import pytest

from exp.callbacks import recorder
from exp.callbacks.recorder import LastAlarm
from exp.options.compose import resolved
from exp.run.train import run
from tests.conftest import TINY


def test_the_last_warning_of_a_run_is_kept_and_still_printed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm = LastAlarm()
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger("exp"), "handlers", [alarm])
    logger = logging.getLogger("exp.tasks.some")
    logger.info("all is well")
    assert alarm.text == ""
    logger.warning("epoch %d: a low loss\nbeside a low score", 3)
    assert alarm.text == "epoch 3: a low loss beside a low score"
    assert "epoch 3: a low loss" in capsys.readouterr().err


def test_how_far_an_evaluation_is_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "REPORT_SECONDS", 0.0)
    config = resolved([*TINY, "trainer.max_epochs=1", "batch_size=64", "trainer.limit_val_batches=3"]).config
    said = []
    run(config, tmp_path, threads=1, report=lambda progress: said.append((progress["epoch"], progress["evaluating"])))
    lines = [line for _, line in said if line]
    assert [line.split(",")[0] for line in lines[:3]] == [f"validating {n} of 3" for n in (1, 2, 3)]
    tested = [line for line in lines if line.startswith("testing ")]
    assert tested[-1].startswith(f"testing {len(tested)} of {len(tested)}, ")
    assert all(line.endswith(" left") for line in lines)
    assert said[0][1] == "", "a batch of training"
    assert max(epoch for epoch, _ in said) == 1
