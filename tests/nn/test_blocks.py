"""The battery over every block and its options, and the refusal of bad options."""

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from exp.nn.bam import BAM
from exp.nn.cbam import CBAM
from exp.nn.coordinate import CoordinateAttention
from exp.nn.eca import ECA
from exp.nn.lka import LKA
from exp.nn.squeeze_excite import SqueezeExcite
from exp.nn.step2 import Step2
from exp.nn.triplet import Triplet
from exp.nn.triplet_ca import TripletCA
from exp.nn.triplet_lka import TripletLKA
from exp.nn.van_attention import VANAttention

from .battery import BlockBattery, Case, check_compiled, check_onnx

# A softmax over positions or over the batch does not see what is added to all logits of a map.
SHIFTS = ("bn.bias", "conv.bias")


def case(block: Callable[..., nn.Module], /, **options: object) -> Case:
    return Case(
        block,
        tuple(options.items()),
        batch_independent=options.get("gate") != "softmax_batch",
        without_effect=SHIFTS if options.get("gate") in ("softmax_map", "softmax_batch") else (),
    )


CASES = [
    case(Triplet),
    case(Triplet, pool="avg+max+median", activation="relu", kernel_size=3, bias=True),
    case(Triplet, pool="l1+max", activation="sigmoid", gate="tanh", kernel_size=5),
    case(Triplet, pool="l2", activation="gelu", fusion="linear", zero_gamma=False),
    case(Triplet, pool="median", activation="leaky_relu", negative_slope=0.2, spatial=False),
    case(Triplet, activation="elu", alpha=0.5, gate="softmax_map", fusion="conv"),
    case(Triplet, activation="celu", alpha=0.7, kernel_size=1),
    case(Triplet, activation="tanh", gate="softmax_branch", bias=True),
    case(Triplet, gate="softmax_branch", spatial=False, fusion="linear"),
    case(Triplet, gate="softmax_map", bias=True),
    case(Triplet, gate="softmax_batch"),
    case(Triplet, fusion="conv", spatial=False),
    case(TripletCA),
    case(TripletCA, pool="max+l2", activation="celu", bias=True, reduction=4),
    case(TripletCA, gate="softmax_branch", fusion="conv", kernel_size=3),
    case(TripletCA, gate="softmax_batch"),
    case(TripletLKA),
    case(TripletLKA, gate="softmax_branch", lka_kernel=7),
    case(TripletLKA, fusion="linear", activation="relu", lka_kernel=28),
    case(CoordinateAttention),
    case(CoordinateAttention, pools="avg+max+l2", gate="hard_sigmoid", activation="silu", reduction=1),
    case(CoordinateAttention, axes="hw+cw+ch", bias=False, min_channels=4),
    case(CoordinateAttention, axes="cw", pools="median+avg", gate="tanh", activation="relu"),
    case(CoordinateAttention, axes="ch", pools="l1", activation="gelu"),
    *[case(LKA, kernel_size=k) for k in (7, 14, 21, 28)],
    case(LKA, kernel_size=7, branches="3+5", activation="gelu", norm="batch", gate="sigmoid"),
    case(LKA, kernel_size=14, form="dense", activation="silu", join="sum"),
    case(VANAttention, kernel_size=7),
    case(VANAttention, branches="5+7+9", lka_activation="relu", gate="tanh", skip=False),
    case(BAM, reduction=4),
    case(BAM, reduction=2, dilation=2, gate="hard_sigmoid", join="sum"),
    case(Step2),
    case(Step2, fusion="softmax_scaled", learnable_temperature=True, temperature_inverse="stable", branch="activated"),
    case(Step2, router_pool="attend", branch="plain", coord="0to1", learnable_alpha=True),
    case(Step2, router_pool="grid", router_inputs=2, kernels="3+5+7", gate="hard_sigmoid", activation="silu"),
    case(Step2, fusion="sum", coord="none", kernels="7", dilated=False, residual_alpha=0.5),
    case(CBAM),
    case(CBAM, pool="max+lp+lse", kernel_size=3, gate="tanh", bias=False, reduction=4),
    case(CBAM, spatial=False, gate="hard_sigmoid", reduction=2),
    case(SqueezeExcite),
    case(SqueezeExcite, reduction=2, activation="hard_swish", gate="hard_sigmoid", bias=False),
    case(ECA),
    case(ECA, kernel_size=7, gate="tanh"),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestBlocks(BlockBattery):
    pass


COMPILED = [CASES[0], CASES[5], CASES[7], case(TripletCA), case(CoordinateAttention, axes="hw+cw+ch"), case(Step2)]


@pytest.mark.parametrize("case", COMPILED, ids=str)
def test_compiled_as_one_graph(case: Case) -> None:
    check_compiled(case, "aot_eager")


@pytest.mark.slow
@pytest.mark.parametrize("case", [case(Triplet), case(TripletCA), case(CoordinateAttention), case(LKA)], ids=str)
def test_compiled_by_inductor(case: Case) -> None:
    check_compiled(case, "inductor")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_onnx(case: Case, tmp_path: Path) -> None:
    check_onnx(case, tmp_path)


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
    (LKA, "form", "sparse"),
    (LKA, "branches", "4"),
    (LKA, "activation", "elu"),
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
    (ECA, "kernel_size", 2),
    (ECA, "kernel_size", -1),
    (ECA, "gate", "relu"),
]


@pytest.mark.parametrize(("block", "option", "value"), BAD)
def test_bad_value_is_refused_by_name(block: Callable[..., nn.Module], option: str, value: object) -> None:
    with pytest.raises(ValueError, match=option) as error:
        block(64, **{option: value})
    assert getattr(block, "__name__", "") in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("block", "options", "named"),
    [
        (Triplet, {"activation": "elu", "alpha": 0.0}, "alpha"),
        (Triplet, {"activation": "relu", "alpha": 0.5}, "alpha"),
        (Triplet, {"activation": "elu", "negative_slope": 0.5}, "negative_slope"),
        (Triplet, {"spatial": False, "zero_gamma": False}, "zero_gamma"),
        (LKA, {"form": "dense", "branches": "5+7"}, "branches"),
        (CBAM, {"spatial": False, "zero_gamma": False}, "zero_gamma"),
        (CBAM, {"spatial": False, "kernel_size": 3}, "kernel_size"),
        (CoordinateAttention, {"axes": "cw+ch", "reduction": 16}, "reduction"),
    ],
)
def test_option_without_effect_is_refused(
    block: Callable[..., nn.Module], options: dict[str, object], named: str
) -> None:
    with pytest.raises(ValueError, match=named):
        block(64, **options)


@pytest.mark.parametrize("block", [TripletCA, TripletLKA])
@pytest.mark.parametrize("option", ["spatial", "zero_gamma"])
def test_options_of_the_missing_branch_do_not_exist(block: Callable[..., nn.Module], option: str) -> None:
    with pytest.raises(TypeError, match=option):
        block(64, **{option: True})
