"""ckpt=CELL takes over what the cell was built of, and nothing of how it was trained."""

import json
from pathlib import Path

import pytest

from exp.options.errors import ConfigError
from exp.run.from_cell import told, with_choices_of_checkpoint
from tests.conftest import TINY, exp, results

RECORDED = ["task=fer", "model=vgg", "width=8", "trainer.max_epochs=3", "seed=4", "data.flip=0.2", "optim.lr=0.1"]


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    path = tmp_path / "a cell"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"overrides": RECORDED}))
    (path / "best.ckpt").write_bytes(b"weights")
    return path


def test_choices_are_taken_over(cell: Path) -> None:
    words = [f"ckpt={cell}", "trainer.max_epochs=0", "width=4"]
    got = with_choices_of_checkpoint(words)
    path = f"ckpt={cell}/best.ckpt"
    assert got == ["task=fer", "model=vgg", "data.flip=0.2", path, "trainer.max_epochs=0", "width=4"]
    assert with_choices_of_checkpoint([f"ckpt={cell}/best.ckpt"])[-1] == path
    assert told(words, got) == "from the checkpoint's cell: task=fer model=vgg data.flip=0.2"


def test_other_files_are_left_as_they_are(cell: Path, tmp_path: Path) -> None:
    for words in ([f"ckpt={tmp_path}/other.ckpt"], ["seed=1"], [f"ckpt={cell}", "table=fer"]):
        assert with_choices_of_checkpoint(words) == words
    (cell / "best.ckpt").unlink()
    with pytest.raises(ConfigError, match=r"holds neither best\.ckpt nor last\.ckpt"):
        with_choices_of_checkpoint([f"ckpt={cell}"])


@pytest.mark.slow
def test_a_cell_that_is_not_the_default_is_tested_by_its_folder_alone(tmp_path: Path) -> None:
    first = exp("att=se", *TINY, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    trained = results(tmp_path / "multirun")[0]
    cell = next((tmp_path / "multirun" / "attention").iterdir())
    again = exp(f"ckpt={cell}", "trainer.max_epochs=0", "trainer.threads=1", "trainer.accelerator=cpu", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    tested = next(one for one in results(tmp_path / "multirun") if one["key"] != trained["key"])
    assert tested["test"] == trained["test"]


def test_fine_tuning_takes_the_network_and_leaves_the_data_that_are_replaced(cell: Path) -> None:
    record = {
        "overrides": [*RECORDED, "att=se", "init=old.ckpt"],
        "config": {
            "task": {"name": "fer"},
            "model": {"name": "vgg", "width": 8, "dropout": 0.3},
            "att": {"name": "se", "reduction": 4},
            "data": {"name": "faces", "flip": 0.2},
        },
    }
    (cell / "config.json").write_text(json.dumps(record))
    got = with_choices_of_checkpoint([f"init={cell}", "data=fer2013"])
    assert got[:4] == ["task=fer", "model=vgg", "width=8", "att=se"]
    assert got[-2:] == [f"init={cell}/best.ckpt", "data=fer2013"]
    assert "att.reduction=4" in got, "what the recipe had set there"
    assert not [word for word in got if "flip" in word or "old.ckpt" in word]
    assert "width=8" not in with_choices_of_checkpoint([f"init={cell}", "model.width=4"])
    assert with_choices_of_checkpoint([f"init={cell}:model", "task=lane"]) == [
        f"init={cell}/best.ckpt:model",
        "task=lane",
    ]
    assert with_choices_of_checkpoint(["init=timm"]) == ["init=timm"]
