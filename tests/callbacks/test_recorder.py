import logging

import pytest

from exp.callbacks.recorder import LastAlarm


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
