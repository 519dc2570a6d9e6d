"""Which weights a network starts from: by names and shapes, wherever the network lies in the checkpoint's."""

from pathlib import Path

import pytest
import torch
from torch import nn

from exp.options.compose import resolved
from exp.options.errors import ConfigError
from exp.tasks.build import build_task
from exp.tasks.transfer import decide, fit, take
from tests.conftest import exp, results

TINY_NET = ["width=4", "trainer.threads=1", "trainer.accelerator=cpu"]


def saved(folder: Path, *words: str, name: str = "best.ckpt") -> Path:
    """A checkpoint of a network with weights that no seed draws."""
    task = build_task(resolved([*TINY_NET, *words]).config)
    for value in task.lightning.state_dict().values():
        value.fill_(3)
    path = folder / name
    torch.save({"state_dict": task.lightning.state_dict()}, path)
    return path


def test_another_head_is_new_and_the_rest_is_taken(tmp_path: Path) -> None:
    path = saved(tmp_path, "att=se")
    config = resolved([*TINY_NET, "att=se", "data=where", "model.stem=cifar", f"init={path}"]).config
    line = f"init={path}: takes 152 of 154 weights; new: model.fc (2)"
    assert decide(config) == line
    task = build_task(config)
    assert take(task, config.model.init) == line
    head = ("model.fc.weight", "model.fc.bias")
    assert all((value == 3).all() for name, value in task.lightning.state_dict().items() if name not in head)
    assert not (task.model.fc.weight == 3).any()


def test_a_classifier_becomes_a_backbone(tmp_path: Path) -> None:
    path = saved(tmp_path, "data=where", "model.stem=imagenet")
    words = ["task=lane", "model.backbone=resnet18", "model.width=4", "model.frozen=true"]
    config = resolved([*words, f"init={path}"]).config
    line = decide(config)
    assert "model as model.backbone; new: " in line
    task = build_task(config)
    take(task, config.model.init)
    assert (task.model.backbone.layer4[1].conv2.weight == 3).all()
    assert not task.model.backbone.layer4[1].conv2.weight.requires_grad


def test_a_prefix_and_other_projects_checkpoints(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    theirs = {f"encoder.{name}": value for name, value in net.state_dict().items()} | {"head.weight": torch.ones(2)}
    decided = fit(net.state_dict(), theirs, "x:encoder", "encoder")
    assert (len(decided.taken), decided.new, decided.below) == (4, [], ("encoder", ""))
    assert decided.words("x:encoder") == "init=x:encoder: takes 4 of 4 weights, encoder as all; none is new"
    with pytest.raises(ConfigError, match="has nothing below body; it has encoder, head"):
        fit(net.state_dict(), theirs, "x:body", "body")
    with pytest.raises(ConfigError, match=r"another network's weights: 0.weight is \(9, 9\) there and \(4, 3\) here"):
        fit(net.state_dict(), {"0.weight": torch.ones(9, 9), "1.weight": torch.ones(5, 5)}, "x")


def test_what_cannot_be_started_from(tmp_path: Path) -> None:
    path = saved(tmp_path, "att=se")
    for words, problem in (
        ([f"ckpt={path}", "att=se", "width=8"], r"another model's weights: .* init=\.\.\. in place of ckpt=\.\.\."),
        ([f"init={path}", "width=8"], "another network's weights"),
    ):
        with pytest.raises(ConfigError, match=problem):
            decide(resolved([*TINY_NET[1:], *words]).config)
    for words, problem in (
        (["init=nofile"], "neither own, timm nor the path"),
        ([f"init={path}", f"ckpt={path}"], "both say what the weights start from"),
        (["init=timm", "model=van_b0"], "timm"),
        ([f"init={tmp_path / 'empty'}"], "holds neither best.ckpt nor last.ckpt"),
    ):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(ConfigError, match=problem):
            resolved(words)
    (tmp_path / "text.ckpt").write_text("words")
    with pytest.raises(ConfigError, match="not a checkpoint"):
        decide(resolved([f"init={tmp_path}/text.ckpt"]).config)


def test_the_content_decides_the_identity_and_the_prefix_does(tmp_path: Path) -> None:
    first, again = saved(tmp_path), tmp_path / "again.ckpt"
    again.write_bytes(first.read_bytes())
    other = saved(tmp_path, "att=se", name="other.ckpt")
    keys = [resolved([*TINY_NET, f"init={path}"]).key for path in (first, again, other, f"{first}:model")]
    assert keys[0] == keys[1]
    assert len({*keys, resolved(TINY_NET).key}) == 4
    assert "init" not in resolved([*TINY_NET, f"init={first}"]).slug


@pytest.mark.slow
def test_weights_that_do_not_fit_leave_no_cell(tmp_path: Path) -> None:
    path = saved(tmp_path, "att=se")
    for words in (("width=8",), ("--multirun", "width=8,12")):
        done = exp(*words, f"init={path}", "trainer.accelerator=cpu", cwd=tmp_path)
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert "another network's weights" in done.stderr
        assert results(tmp_path / "multirun") == []
        assert not list(tmp_path.glob("multirun/*/*"))
