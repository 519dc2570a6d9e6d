"""What the fer task accepts, and what its recipes say for each net."""

from typing import Any

import pytest

from exp.options.compose import resolved
from exp.options.config import Config
from exp.options.errors import ConfigError


def config(*overrides: str) -> Config[Any, Any, Any]:
    return resolved(["task=fer", *overrides]).config


def test_quick_is_the_first_net_on_drawn_faces() -> None:
    found = config()
    assert (found.model.name, found.data.name) == ("cnn", "faces")


@pytest.mark.parametrize("net", ["deepcnn", "resnet_cbam"])
def test_published_is_as_the_source_says_for_nets_two_and_three(net: str) -> None:
    found = config("recipe=published", f"model={net}")
    assert found.data.name == "fer2013"
    assert found.optim.weight_decay == 1e-4
    assert (found.optim.schedule, found.optim.step_size) == ("step", 20)
    assert found.optim.clip > 0
    assert found.trainer.patience > 0
    assert found.data.flip == found.data.crop == 0


def test_published_is_dropout_and_nothing_else_for_net_one() -> None:
    found = config("recipe=published")
    assert found.model.dropout == 0.5
    assert (found.optim.weight_decay, found.optim.clip, found.trainer.patience) == (0, 0, 0)
    assert found.optim.schedule == "constant"
    assert not found.model.batch_norm


def test_the_command_line_overrides_the_recipe() -> None:
    found = config("recipe=published", "model=deepcnn", "trainer.patience=0", "weight_decay=0", "batch_norm=false")
    assert (found.trainer.patience, found.optim.weight_decay) == (0, 0)
    assert found.model.batch_norm is False


def test_sound_trains_on_no_copy_of_a_held_out_face() -> None:
    found = config("recipe=sound")
    assert found.data.copies == "drop"
    assert found.trainer.ema > 0
    assert found.task.tta == "flip"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["att=cbam", "placement=stage_end"], "att.placement=stage_end: model=cnn has no such place"),
        (["model=vgg", "att=se", "placement=block_end"], "model=vgg has no such place"),
        (["model=resnet_cbam", "model.cbam=false", "att=triplet"], "model.cbam=false: att=triplet replaces CBAM"),
        (["stem=cifar"], "stem=cifar: nothing in this run takes it"),
        (
            ["data=fer2013", "data.target=votes"],
            "data.target=votes: nothing reads it here; it needs data.labels=ferplus",
        ),
        (["model=resnet_cbam", "stem=imagnet"], "not one of imagenet, cifar; did you mean 'imagenet'"),
        (["dropout=1"], "at least 0 and below 1"),
        (["task.tta=five"], "not one of none, flip, ten_crop"),
        (["data.train=10"], "at least 70"),
    ],
)
def test_contradictions_and_wrong_values_are_one_line_errors(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(*overrides)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_attention_works_on_every_net() -> None:
    for model in ("cnn", "deepcnn", "resnet_cbam", "vgg", "resnet18", "resnet34"):
        assert config(f"model={model}", "att=triplet").att.name == "triplet"
    assert config("model=resnet_cbam", "att=triplet", "placement=stage_end").att.placement == "stage_end"


def test_where_the_data_lie_and_how_strict_the_reader_is_are_no_identity() -> None:
    plain = resolved(["task=fer", "data=fer2013"])
    same = resolved(["task=fer", "data=fer2013", "data.root=/x", "data.counts=any", "data.layout=csv"])
    other = resolved(["task=fer", "data=fer2013", "data.labels=ferplus"])
    votes = resolved(["task=fer", "data=fer2013", "data.labels=ferplus", "data.target=votes"])
    assert plain.key == same.key
    assert len({plain.key, other.key, votes.key}) == 3
