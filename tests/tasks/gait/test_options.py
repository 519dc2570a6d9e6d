"""The gait task's options: recipes, the order of the frames, combinations that are refused."""

import pytest

from exp.options.compose import resolved
from exp.options.config import Config
from exp.options.errors import ConfigError

LSTMS = ("convlstm", "partlstm", "attentionlstm")


def config(*overrides: str) -> Config:
    return resolved(["task=gait", *overrides]).config


@pytest.mark.parametrize("model", ["baseline", *LSTMS, "baseattention", "reelresnet"])
def test_published_keeps_the_sources_flaws(model: str) -> None:
    found = config("recipe=published", f"model={model}")
    arms = model != "baseline"
    assert found.data.name == "casia_b"
    assert found.data.batch_subjects == (4 if arms else 8)
    assert found.data.batch_clips == 16
    assert found.data.frames == 30
    assert found.task.train_order == "unordered"
    assert found.task.test_order == ("unordered" if arms else "ordered")
    assert found.task.test_frames == (30 if arms else "all")
    assert found.task.rounding
    assert found.data.val_subjects == 0
    assert found.optim.lr == 0.1
    assert found.optim.weight_decay == 5e-4
    assert found.optim.milestones == [20, 40, 50]
    assert found.optim.momentum == 0.9
    assert found.trainer.max_epochs * found.data.steps == 60_000
    if model in LSTMS:
        assert found.model.separate_fc == (model == "attentionlstm")
        assert found.model.readout == "last"


def test_published_variants_of_the_failures_are_the_sources() -> None:
    assert config("recipe=published", "model=baseattention").model.positions == "learned"
    assert config("recipe=published", "model=reelresnet").model.parts == "time"
    assert config("model=baseattention").model.positions == "sinusoidal"
    assert config("model=reelresnet").model.parts == "pooled"


@pytest.mark.parametrize("recipe", ["sound", "quick"])
def test_sound_and_quick_treat_all_alike_and_keep_the_order(recipe: str) -> None:
    found = [config(f"recipe={recipe}", f"model={model}") for model in ("baseline", *LSTMS)]
    for one in found:
        assert one.task.train_order == one.task.test_order == "ordered"
        assert one.task.test_frames == "all"
        assert one.model.separate_fc
        assert one.data == found[0].data
        assert one.optim == found[0].optim


def test_order_sets_both_and_the_longer_names_say_otherwise() -> None:
    both = config("order=unordered", "model=partlstm").task
    assert (both.train_order, both.test_order) == ("unordered", "unordered")
    one = config("order=unordered", "test_order=ordered").task
    assert (one.train_order, one.test_order) == ("unordered", "ordered")
    over = config("recipe=published", "model=partlstm", "order=ordered").task
    assert (over.train_order, over.test_order) == ("ordered", "ordered")


def test_two_spellings_of_the_order_are_one_cell() -> None:
    keys = {
        resolved(["task=gait", *words]).key
        for words in (["order=unordered"], ["train_order=unordered", "test_order=unordered"], ["task.order=unordered"])
    }
    assert len(keys) == 1
    assert resolved(["task=gait", "order=ordered"]).key == resolved(["task=gait"]).key


def test_axes_go_where_they_belong() -> None:
    found = config(
        "model=convlstm",
        'layout="(n c) s (h w)"',
        "readout=max",
        "bidirectional=true",
        "fusion=attention",
        "temporal_pool=mean+lstm",
        "bins=4",
        "part_pool=avg",
        "separate_fc=false",
        "strides=[1,1,1,1]",
        "loss_per=global",
        "test_frames=30",
        "att=triplet",
    )
    model = found.model
    assert model.layout == "(n c) s (h w)"
    assert (model.readout, model.bidirectional, model.fusion) == ("max", True, "attention")
    assert (model.temporal_pool, model.bins, model.part_pool) == ("mean+lstm", 4, "avg")
    assert (model.separate_fc, model.strides) == (False, [1, 1, 1, 1])
    assert (found.task.loss_per, found.task.test_frames) == ("global", 30)
    assert found.att.name == "triplet"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["readout=max"], "nothing in this run takes it"),
        (["model=convlstm", "temporal_pool=max", "readout=max"], "model.readout=max: nothing reads it here"),
        (["model=convlstm", "layout=nhw"], r"not one of \(n h w\) s c"),
        (["model=baseattention", "model.positions=learned"], "walks of one length only"),
        (["model=reelresnet", "model.parts=time"], "walks of one length only"),
        (["model=baseattention", "model.dim=30", "model.heads=4"], "multiple of model.heads=4"),
        (["data.skip=4", "order=unordered"], "needs train_order=ordered"),
        (["task.triplet_weight=0", "task.ce_weight=0"], "nothing to train on"),
        (["model.backbone=rows", "att=triplet"], "no residual branch"),
        (["model.backbone=rows", "strides=[1,1,1,1]"], r"strides=\[1, 1, 1, 1\]: nothing reads it here"),
        (["strides=[1,2]"], "four numbers of at least 1"),
        (
            ["model=baseattention", "model.positions=learned", "test_frames=9"],
            "model.frames=30: positions=learned needs it to be data.frames=9",
        ),
        (["model=partlstm", 'layout="(n p) s c"'], "nothing in this run takes it"),
        (["data.frames=0"], "data.frames=0: has to be at least 1"),
        (["data.skip=-1"], "data.skip=-1: has to be at least 0"),
        (["test_frames=0"], "test_frames=0: has to be all or at least 1"),
        (["data.batch_subjects=2", "trainer.accumulate=3"], "data.batch_subjects=2: with data.batch_clips=4 too few"),
        (["data.batch_subjects=1", "data.batch_clips=3", "trainer.devices=4"], "too few for trainer.accumulate=1"),
        (["order=sideways"], "not one of ordered, unordered"),
        (["data=casia_b", "data.views=3"], "no such option"),
    ],
)
def test_what_contradicts_itself_is_one_line(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        config(*words)
    assert len(str(error.value).splitlines()) == 1


def test_fixed_lengths_are_fine_with_one_number_of_frames() -> None:
    found = config("model=reelresnet", "model.parts=time", "test_frames=12", "data.frames=12")
    assert found.model.parts == "time"


@pytest.mark.parametrize("model", ["baseline", "partlstm", "convlstm", "attentionlstm"])
def test_the_quick_recipe_has_numbers_for_the_tempo_preset(model: str) -> None:
    tempo, mixed = config("data=tempo", f"model={model}"), config(f"model={model}")
    assert (tempo.model.backbone, mixed.model.backbone) == ("rows", "resnet9")
    assert getattr(tempo.model, "readout", "max") == "max"
    assert (tempo.optim.lr, mixed.optim.lr) == (0.01, 0.005)
    assert config("preset=tempo", f"model={model}").model == tempo.model
    assert config("data=tempo", "model=partlstm", "readout=last", "data.steps=9").model.readout == "last"
    assert config("data=tempo", "recipe=sound").model.backbone == "resnet9"


def test_the_tempo_preset_is_walkers() -> None:
    found = config("data=tempo").data
    assert found.name == "walkers"
    assert found.preset == config("preset=tempo").data.preset == "tempo"
