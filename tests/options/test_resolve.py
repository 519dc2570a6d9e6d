import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exp.options.catalog import GROUPS, ConfigError
from exp.options.compose import composed, resolved
from exp.options.fields import distinctive, effective
from exp.options.folders import conf_dir
from exp.options.resolve import Resolved, resolve


def refused(*overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        resolved(list(overrides))
    message = str(error.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["att=tripplet"], "did you mean 'triplet'"),
        (["kernel_sise=3"], "did you mean 'kernel_size'"),
        (["trainer.devics=2"], "did you mean 'trainer.devices'"),
        (["att=triplet", "att.kernel_sze=3"], "did you mean 'att.kernel_size'"),
        (["recipe=sond"], "did you mean 'sound'"),
        (["att=custom", "att.options.reduction=8"], "given at once, 'att.options={reduction: VALUE}'"),
        (["callbacks.use.stop.patience=3"], "'callbacks.use={stop: {patience: VALUE}}'"),
        (["att=triplet", "gate=tanhh"], "did you mean 'tanh'"),
        (["att=triplet", "kernel_size=4"], "odd"),
        (["att=triplet", "kernel_size=a"], "expected int, got str"),
        (["trainer.max_epochs=abc"], "expected int, got str"),
        (["trainer.max_epochs=-1"], "at least 0"),
        (["seed=-1"], "whole number"),
        (["seed=1.5"], "whole number"),
        (["+foo=1"], "foo: no such option"),
        (["+att.foo=1"], "att.foo: no such option"),
        (["att=none", "kernel_size=3"], "att=triplet,"),
        (["att=triplet", "negative_slope=0.2"], "needs att.activation=leaky_relu"),
        (["optim.momentum=0.5"], "needs optim.name=sgd"),
        (["trainer.sync_batchnorm=false"], "needs trainer.devices=2 or more"),
        (["att=ca", "axes=cw", "reduction=8"], "needs att.axes"),
        (["att=triplet", "gate=softmax_batch"], "recipe=published"),
        (["task.select=test"], "recipe=published"),
        (["att=triplet", "kernel_size=3", "att.kernel_size=5"], "given twice"),
        (["batch_size=2", "trainer.devices=2", "trainer.accumulate=2"], "smaller than"),
        (["trainer.max_epochs=0"], "say which with ckpt=PATH"),
        (["ckpt=nowhere.ckpt"], "no such file"),
        (["trainer.precision=16-mixed", "trainer=cpu"], "bf16-mixed"),
        (["att="], "not the name of a choice"),
        (["att"], "expected OPTION=VALUE"),
        (["data.batch_size=1"], "batch norm needs two images at a time"),
        (
            ["data.batch_size=4", "trainer.accumulate=4"],
            "data.batch_size=4 with trainer.accumulate=4: batch norm needs",
        ),
        (["optim.name=adam", "optim.betas=[0.9]"], "two numbers in [0, 1)"),
        (["task.head_classes=3"], "data=digits has 10 classes; give at least as many"),
        (["data.std=0"], "above 0"),
        (["data.std=[0.2,0,0.2]"], "above 0"),
        (["data.std=[]"], "a number, or one a channel"),
        (["data.mean=nan"], "finite"),
        (["data.mean=[0.5,0.5]"], "2 numbers, but the images have 1 channels"),
        (["task=lane", "data.std=0"], "above 0"),
    ],
)
def test_what_cannot_stand_is_refused_in_one_line(overrides: list[str], said: str) -> None:
    assert said in refused(*overrides)


def test_axes_go_to_the_part_that_declares_them() -> None:
    config = resolved(["att=triplet", "kernel_size=3", "lr=0.01", "batch_size=8", "width=8"]).config
    assert config.att.kernel_size == 3
    assert config.optim.lr == 0.01
    assert config.data.batch_size == 8
    assert config.model.width == 8


def test_an_axis_of_two_parts_needs_its_long_spelling() -> None:
    plain = composed(["att=triplet", "activation=relu"])
    plain["model"]["activation"] = None
    schema = GROUPS["model"]["resnet18"]
    twin = type("Twin", (schema,), {"__annotations__": {"activation": str}, "activation": "relu"})
    GROUPS["model"]["resnet18"] = twin
    try:
        with pytest.raises(ConfigError, match=r"say model\.activation or att\.activation"):
            resolve(plain, ["att=triplet", "activation=relu"])
    finally:
        GROUPS["model"]["resnet18"] = schema


UNFITTING = {
    "task=gait model=resnet18": "model=resnet18: is for images, but task=gait works on walks; take baseline, ",
    "task=attention model=baseline": "model=baseline: is for walks, but task=attention works on images; take ",
    "task=fer data=walkers": "data=walkers: is for walks, but task=fer works on images; take ",
    "task=attention data=roads": "data=roads: is for lanes, but task=attention works on images; take ",
    "task=fer model=lanelm": "model=lanelm: is for lanes, but task=fer works on images; take ",
    "task=lane model=resnet18": "model=resnet18: is for images, but task=lane works on lanes; take lanelm",
}


@pytest.mark.parametrize("words", UNFITTING)
def test_what_does_not_fit_together_is_refused_with_what_does(words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(UNFITTING[words])):
        resolved(words.split())


NARROWED = {
    "": "resnet18 narrowed to width=16",
    "data=cifar100": "",
    "data=imagenet": "",
    "data=cifar100 model=resnet50": "",
    "width=16": "",
    "recipe=sound data=digits": "",
    "task=gait": "baseline narrowed to width=8 bins=8 embedding=32",
    "task=gait data=casia_b": "",
    "task=gait data=casia_b model=convlstm": "",
    "task=fer": "",
    "task=fer model=resnet_cbam": "resnet_cbam narrowed to width=16",
    "task=fer model=resnet_cbam data=fer2013": "",
    "task=lane": "lanelm narrowed to width=16 fpn_channels=32 dim=96 hidden=192",
    "task=lane data=culane": "",
    "task=lane data=tusimple": "",
}


@pytest.mark.parametrize("words", NARROWED)
def test_quick_narrows_nets_on_surrogate_data_only_and_says_so(words: str) -> None:
    assert resolved(words.split()).narrowed == NARROWED[words]


def test_lanes_on_real_roads_are_seen_at_the_sources_size() -> None:
    for words in (["data=culane"], ["data=tusimple"], ["data=culane", "recipe=sound"]):
        data = resolved(["task=lane", *words]).config.data
        assert (data.input_height, data.input_width) == (320, 800)
    assert resolved(["task=lane"]).config.data.input_height == 128


def test_a_decision_of_a_recipe_may_hold_further_ones() -> None:
    when = {"data": {"digits": {"batch_size": 4, "when": {"model": {"resnet18": {"width": 24}}}}}}
    plain = composed(["recipe=sound", "data=digits"])
    config = resolve(plain | {"when": when}).config
    assert (config.data.batch_size, config.model.width) == (4, 24)
    elsewhere = resolve(composed(["recipe=sound"]) | {"when": when}).config
    assert elsewhere.model.width == 64
    slip = {"data": {"where": {"when": {"model": {"resnet18": {"widht": 24}}}}}}
    with pytest.raises(ConfigError, match=r"when\.data\.where\.when\.model\.resnet18\.widht: no such option"):
        resolve(plain | {"when": slip})


CHOICES = ["att=triplet", "kernel_size=3", "seed=4", "trainer.max_epochs=7", "data=digits"]


def test_order_of_overrides_is_no_choice() -> None:
    keys = {resolved(list(order)).key for order in itertools.islice(itertools.permutations(CHOICES), 0, 120, 17)}
    assert len(keys) == 1


@pytest.mark.parametrize(
    "same",
    [
        ["att=triplet", "kernel_size=7"],
        ["att=triplet", "att.kernel_size=7"],
        ["att=triplet", "gate=sigmoid", "seed=0"],
        ["att=triplet", "trainer=cpu"],
        ["att=triplet", "trainer.threads=3", "trainer.log_every=7", "cells.dir=/elsewhere", "cells.keep=none"],
        ["att=triplet", "sweep.jobs=3"],
        ["att=triplet", "trainer.devices=1"],
    ],
)
def test_the_same_choices_are_the_same_cell(same: list[str]) -> None:
    assert resolved(same).key == resolved(["att=triplet"]).key


@pytest.mark.parametrize(
    "other",
    [
        ["kernel_size=5"],
        ["seed=1"],
        ["trainer.devices=2"],
        ["trainer.precision=bf16-mixed"],
        ["pool=avg+max"],
        ["lr=1"],
    ],
)
def test_other_choices_are_another_cell(other: list[str]) -> None:
    assert resolved(["att=triplet", *other]).key != resolved(["att=triplet"]).key


def test_an_option_added_later_orphans_nothing() -> None:
    schema = GROUPS["att"]["ca"]
    before = distinctive(schema, effective(schema, {"reduction": 8}))
    assert before == {"reduction": 8}


GOLDEN = Path(__file__).with_name("identities.json")


@pytest.mark.parametrize("overrides", json.loads(GOLDEN.read_text()), ids=" ".join)
def test_identities_stay(overrides: str) -> None:
    """A change here makes everyone's finished cells unknown: it has to be meant."""
    assert resolved(overrides.split()).key == json.loads(GOLDEN.read_text())[overrides]


def test_the_recipe_fills_only_what_nobody_gave() -> None:
    published = ["recipe=published", "data=digits"]
    triplet = resolved([*published, "att=triplet"]).config.att
    assert (triplet.activation, triplet.pool, triplet.bias) == ("sigmoid", "avg+max", True)
    assert resolved([*published, "att=triplet", "activation=relu"]).config.att.activation == "relu"
    assert resolved([*published, "att=tripletca"]).config.att.pool == "max+l2"
    assert resolved([*published, "att=ca"]).config.att.reduction == 16
    assert resolved([*published, "att=ca", "reduction=32"]).config.att.reduction == 32


def test_the_published_recipe_is_the_notebooks() -> None:
    config = resolved(["recipe=published"]).config
    assert config.model.name == "resnet50"
    assert (config.optim.lr, config.optim.momentum, config.optim.weight_decay) == (0.1, 0.9, 1e-4)
    assert (config.optim.schedule, config.optim.step_size, config.optim.gamma) == ("step", 30, 0.1)
    assert (config.trainer.max_epochs, config.data.batch_size, config.seed) == (50, 256, 666)
    assert (config.task.select, config.task.head_classes) == ("test", 1000)
    assert (config.data.flip, config.data.eval_flip, config.data.crop) == (0.5, 0.5, 0)
    assert (config.data.mean, config.data.std) == (0.5, 0.5)
    assert config.att.zero_gamma  # its attributes are ChannelGateH, ChannelGateW and SpatialGate


RECIPES = sorted(path for path in (conf_dir() / "recipe").glob("*/*.yaml") if "when:" in path.read_text())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_recipe_says_of_a_choice_reaches_it(path: Path) -> None:
    """A choice's own YAML, such as the statistics of CIFAR-100, does not stand in its way."""
    for group, by_choice in yaml.safe_load(path.read_text())["when"].items():
        if group not in GROUPS:
            continue
        for choice, options in by_choice.items():
            config = resolved([f"task={path.parent.name}", f"recipe={path.stem}", f"{group}={choice}"]).config
            own = {name: value for name, value in options.items() if name != "when" and not isinstance(value, dict)}
            assert {name: getattr(getattr(config, group), name) for name in own} == own


def test_stem_follows_the_image_size() -> None:
    assert resolved(["data=cifar100"]).config.model.stem == "cifar"
    assert resolved(["data=imagenet"]).config.model.stem == "imagenet"
    assert resolved(["data=imagenet", "stem=cifar"]).config.model.stem == "cifar"


def test_a_wrong_recipe_file_is_named() -> None:
    for when, said in [
        ({"at": {}}, "when.at"),
        ({"att": {"tripple": {}}}, "did you mean 'triplet'"),
        ({"att": {"triplet": {"kernel": 3}}}, "did you mean 'kernel_size'"),
        ({"att.kernel": {3: {}}}, "when.att.kernel: no such option"),
        ({"optim.nesterov": {True: {"lrr": 1}}}, "when.optim.nesterov.True.lrr: no such option"),
        ({"optim.nesterov": {True: {"model": {"wdith": 1}}}}, "did you mean 'width'"),
    ]:
        plain = composed([]) | {"when": when}
        with pytest.raises(ConfigError, match=said):
            resolve(plain)


def test_a_recipe_may_go_by_the_value_of_an_option() -> None:
    when = {
        "optim.nesterov": {
            True: {"lr": 0.03, "model": {"width": 24, "readout": "max"}},
            False: {"lr": 0.04},
        },
        "optim": {"adam": {"lr": 0.05}},
        "model": {"resnet18": {"width": 12}},
        "data.preset": {"tempo": {"optim": {"lr": 0.06}}},
    }

    def chosen(**optim: Any) -> tuple[float, int]:
        plain = composed([])
        plain["optim"] = dict.fromkeys(plain["optim"]) | {"name": "adam"} | optim
        plain["model"]["width"] = None
        config = resolve(plain | {"when": when}).config
        return config.optim.lr, config.model.width

    # Where nobody set the option, its default decides; the first counts, and the net has no readout to set.
    assert chosen() == (0.04, 12)
    assert chosen(name="sgd", momentum=0.9, nesterov=True) == (0.03, 24)
    assert chosen(lr=0.07) == (0.07, 12)


def test_a_checkpoint_is_known_by_its_content(tmp_path: Path) -> None:
    cells: list[Resolved] = []
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
        cells.append(resolved([f"ckpt={tmp_path / name}"]))
    assert cells[0].key == cells[1].key != cells[2].key


def test_slug_names_the_choices() -> None:
    assert (
        resolved(["att=triplet", "kernel_size=3", "seed=2"]).slug == "resnet18-triplet-digits-width16-kernel_size3-s2"
    )


def test_resolving_leaves_its_input_alone() -> None:
    plain: dict[str, Any] = composed(["att=triplet", "kernel_size=3"])
    before = json.dumps(plain, sort_keys=True)
    resolve(plain, ["att=triplet", "kernel_size=3"])
    assert json.dumps(plain, sort_keys=True) == before
