"""The battery over every block and its options, and the refusal of bad options."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from exp.blocks.bam import BAM
from exp.blocks.cbam import CBAM
from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.eca import ECA
from exp.blocks.lka import LKA
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.triplet import Triplet
from exp.blocks.triplet_ca import TripletCA
from exp.blocks.triplet_lka import TripletLKA
from exp.blocks.van_attention import VANAttention
from exp.options.catalog import GROUPS
from exp.options.errors import ConfigError
from exp.options.fields import Includes, choices, default_of, fields, hints
from exp.options.parts import BlockOptions
from tests.blocks.battery import (
    CHANNELS,
    CHOICES,
    REQUIRED,
    BlockBattery,
    Case,
    block_options,
    check_compiled,
    check_onnx,
    images,
)
from tests.conftest import slow_but


def case(name: str, /, **given: object) -> Case:
    return Case(block_options(name, **given))


CASES = [
    *[case(name) for name in CHOICES],
    case("triplet", pool="avg+max+median", activation="relu", kernel_size=3, bias=True),
    case("triplet", pool="l1+max", activation="sigmoid", gate="tanh", kernel_size=5),
    case("triplet", pool="l2", activation="gelu", fusion="linear", zero_gamma=False),
    case("triplet", pool="median", activation="leaky_relu", negative_slope=0.2, spatial=False),
    case("triplet", activation="elu", alpha=0.5, gate="softmax_map", fusion="conv"),
    case("triplet", activation="celu", alpha=0.7, kernel_size=1),
    case("triplet", activation="tanh", gate="softmax_branch", bias=True),
    case("triplet", gate="softmax_branch", spatial=False, fusion="linear"),
    case("triplet", gate="softmax_map", bias=True),
    case("triplet", gate="softmax_batch"),
    case("triplet", fusion="conv", spatial=False),
    case("tripletca", pool="max+l2", activation="celu", bias=True, reduction=4),
    case("tripletca", gate="softmax_branch", fusion="conv", kernel_size=3),
    case("tripletca", gate="softmax_batch"),
    case("tripletlka", gate="softmax_branch", lka_kernel=7),
    case("tripletlka", fusion="linear", activation="relu", lka_kernel=28),
    case("ca", pools="avg+max+l2", gate="hard_sigmoid", activation="silu", reduction=1),
    case("ca", axes="hw+cw+ch", bias=False, min_channels=4),
    case("ca", axes="cw", pools="median+avg", gate="tanh", activation="relu"),
    case("ca", axes="ch", pools="l1", activation="gelu"),
    *[case("lka", kernel_size=k) for k in (7, 14, 28, 57)],
    case("lka", kernel_size=7, activation="gelu", norm="batch", gate="sigmoid"),
    case("lka", kernel_size=14, activation="silu", join="sum"),
    case("van", kernel_size=7),
    case("van", branches="5+7+9", lka_activation="elu", gate="tanh", skip=False),
    case("van", branches="3", norm="batch", join="sum"),
    case("van", unit="replk"),
    case("bam", reduction=4),
    case("bam", reduction=2, dilation=2, gate="hard_sigmoid", join="sum"),
    case(
        "step2", fusion="softmax_scaled", learnable_temperature=True, temperature_inverse="stable", branch="activated"
    ),
    case("step2", router_pool="attend", branch="plain", coord="0to1", learnable_alpha=True),
    case("step2", router_pool="grid", router_inputs=2, kernels="3+5+7", gate="hard_sigmoid", activation="silu"),
    case("step2", fusion="sum", coord="none", kernels="7", dilated=False, residual_alpha=0.5),
    case("cbam", pool="max+lp+lse", kernel_size=3, gate="tanh", bias=False, reduction=4),
    case("cbam", spatial=False, gate="hard_sigmoid", reduction=2),
    case("se", reduction=2, activation="hard_swish", gate="hard_sigmoid", bias=False),
    case("eca", kernel_size=7, gate="tanh"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestBlocks(BlockBattery):
    pass


COMPILED = [
    *[case(name) for name in ("triplet", "tripletca", "step2")],
    case("triplet", activation="elu", alpha=0.5, gate="softmax_map", fusion="conv"),
    case("triplet", activation="tanh", gate="softmax_branch", bias=True),
    case("ca", axes="hw+cw+ch"),
]


@pytest.mark.parametrize("case", slow_but(COMPILED, COMPILED[0]), ids=str)
def test_compiled_as_one_graph(case: Case) -> None:
    check_compiled(case, "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("case", [case(name) for name in ("triplet", "tripletca", "ca", "lka")], ids=str)
def test_compiled_by_inductor(case: Case) -> None:
    check_compiled(case, "inductor")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_onnx(case: Case, tmp_path: Path) -> None:
    check_onnx(case, tmp_path)


def conditions(schema: type[BlockOptions], name: str) -> dict[str, object]:
    """Returns values of other options under which an option is read, where their defaults are not such."""
    given: dict[str, object] = {}
    for key, wanted in fields(schema)[name].metadata.get("when", {}).items():
        if default_of(fields(schema)[key]) not in wanted:
            given[key] = wanted.part if isinstance(wanted, Includes) else next(iter(wanted))
    return given


def values(schema: type[BlockOptions], name: str) -> tuple[object, ...]:
    """Returns the values of an option that has few."""
    return (False, True) if hints(schema)[name] is bool else choices(hints(schema)[name])


OWN = {name: [one for one in fields(GROUPS["att"][name]) if one not in fields(BlockOptions)] for name in CHOICES}
"""The options of each block, without its place in the network."""


@pytest.mark.parametrize(
    ("block", "option", "value"),
    [(block, name, value) for block in CHOICES for name in OWN[block] for value in values(GROUPS["att"][block], name)],
)
def test_every_value_of_every_option_builds(block: str, option: str, value: object) -> None:
    given = conditions(GROUPS["att"][block], option) | {option: value}
    x = images(2, (7, 5), torch.float32)
    y = case(block, **given).new()(x)
    assert y.shape == x.shape
    assert torch.isfinite(y).all()


@pytest.mark.parametrize(("block", "option"), [(block, name) for block in CHOICES for name in OWN[block]])
def test_every_option_is_read(block: str, option: str) -> None:
    schema = GROUPS["att"][block]
    read = set()

    class Watched(schema):
        def __getattribute__(self, name: str) -> Any:
            read.add(name)
            return super().__getattribute__(name)

    given = {**block_options(block).plain(), **conditions(schema, option)}
    options = Watched(**given)
    assert option in options.plain()
    read.clear()
    schema.builder()(CHANNELS, options)
    assert option in read


@pytest.mark.parametrize("block", [name for name in CHOICES if name not in REQUIRED])
def test_options_by_name_and_as_an_object_build_the_same(block: str) -> None:
    schema, option = GROUPS["att"][block], OWN[block][0]
    given = {option: [*values(schema, option), default_of(fields(schema)[option])][-1]}
    outputs = []
    for arguments, named in (((schema(**given),), {}), ((), given)):
        torch.manual_seed(0)
        outputs.append(schema.builder()(CHANNELS, *arguments, **named)(images(2, (7, 5), torch.float32)))
    assert torch.equal(*outputs)
    with pytest.raises(TypeError, match="not both"):
        schema.builder()(CHANNELS, schema(), **given)


TRIPLETS = (Triplet, TripletCA, TripletLKA)
BAD = [
    *[(block, "pool", value) for block in TRIPLETS for value in ("", "avg+avg", "mean", "avg+", "lse", 0)],
    *[(block, "activation", value) for block in TRIPLETS for value in ("swish", "", None)],
    *[(block, "gate", value) for block in TRIPLETS for value in ("softmax", "hard_sigmoid", "none")],
    *[(block, "kernel_size", value) for block in TRIPLETS for value in (0, 4, -3, 3.0, "7", True)],
    *[(block, "fusion", value) for block in TRIPLETS for value in ("sum", "")],
    *[(block, "negative_slope", 0.2) for block in TRIPLETS],
    *[(block, "alpha", 2.0) for block in TRIPLETS],
    (TripletCA, "reduction", 0),
    (TripletLKA, "lka_kernel", 23),
    (CoordinateAttention, "reduction", 0),
    (CoordinateAttention, "min_channels", 0),
    (CoordinateAttention, "activation", "swish"),
    (CoordinateAttention, "gate", "softmax_map"),
    (CoordinateAttention, "axes", "wh"),
    (CoordinateAttention, "axes", "hw+hw"),
    (CoordinateAttention, "pools", "lp"),
    (LKA, "kernel_size", 23),
    (LKA, "kernel_size", True),
    (LKA, "activation", "tanh"),
    (LKA, "norm", "layer"),
    (LKA, "gate", "softmax_map"),
    (LKA, "join", "mean"),
    (VANAttention, "activation", "elu"),
    (BAM, "reduction", 0),
    (BAM, "dilation", 0),
    (BAM, "gate", "none"),
    (BAM, "join", "mean"),
    (CBAM, "reduction", 1.5),
    (CBAM, "pool", "median"),
    (CBAM, "kernel_size", 2),
    (CBAM, "gate", "none"),
    (SqueezeExcite, "reduction", -1),
    (SqueezeExcite, "activation", "swish"),
    (SqueezeExcite, "gate", "softmax_batch"),
    (VANAttention, "lka_activation", "tanh"),
    (VANAttention, "branches", "4"),
    (VANAttention, "unit", "dense"),
    (ECA, "kernel_size", 2),
    (ECA, "kernel_size", -1),
    (ECA, "gate", "relu"),
]


@pytest.mark.parametrize(("block", "option", "value"), BAD)
def test_bad_value_is_refused_by_name(block: Callable[..., nn.Module], option: str, value: object) -> None:
    with pytest.raises(ConfigError) as error:
        block(64, **{option: value})
    assert isinstance(error.value, ValueError)
    name, _, allowed = str(error.value).partition(": ")
    assert name == f"{option}={value}"
    assert allowed.startswith(("not one of ", "has to be ", "expected ", "nothing reads it here; it needs "))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("block", "options", "message"),
    [
        (Triplet, {"activation": "elu", "alpha": 0.0}, "alpha=0.0: has to be above 0"),
        (
            Triplet,
            {"activation": "relu", "alpha": 0.5},
            "alpha=0.5: nothing reads it here; it needs activation=elu|celu",
        ),
        (Triplet, {"activation": "elu", "negative_slope": 0.5}, "negative_slope=0.5: nothing reads it here"),
        (Triplet, {"spatial": False, "zero_gamma": False}, "zero_gamma=False: nothing reads it here"),
        (VANAttention, {"unit": "replk", "branches": "5+7"}, "branches=5+7: nothing reads it here; it needs unit=lka"),
        (VANAttention, {"unit": "replk", "kernel_size": 7}, "kernel_size=7: nothing reads it here; it needs unit=lka"),
        (CBAM, {"spatial": False, "zero_gamma": False}, "zero_gamma=False: nothing reads it here"),
        (CBAM, {"spatial": False, "kernel_size": 3}, "kernel_size=3: nothing reads it here; it needs spatial=True"),
        (CoordinateAttention, {"axes": "cw+ch", "reduction": 16}, "reduction=16: nothing reads it here; it needs axes"),
    ],
)
def test_option_without_effect_is_refused(
    block: Callable[..., nn.Module], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011
        block(64, **options)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("block", [TripletCA, TripletLKA])
@pytest.mark.parametrize("option", ["spatial", "zero_gamma"])
def test_options_of_the_missing_branch_do_not_exist(block: Callable[..., nn.Module], option: str) -> None:
    with pytest.raises(TypeError, match=option):
        block(64, **{option: True})


def test_sets_keep_their_order() -> None:
    assert Triplet(4, pool="max+avg").cw.pools == ("max", "avg")
    assert Triplet(4, pool="avg+max").cw.pools == ("avg", "max")
    assert list(CoordinateAttention(4, axes="ch+hw").planes) == ["ch", "hw"]
