"""Triplet attention against its published, permuted form; its symmetries; its families' starting values."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exp.blocks.coordinate import CoordinateAttention, CoordinateGates
from exp.blocks.triplet import Triplet
from exp.blocks.triplet_ca import TripletCA
from exp.blocks.triplet_lka import TripletLKA
from exp.layers.init import init_residual
from tests.blocks.battery import CHANNELS, images, randomise

PERMUTATIONS = {"cw": (0, 2, 1, 3), "hc": (0, 3, 2, 1), "hw": (0, 1, 2, 3)}
STATISTICS = {
    "avg": lambda x: x.mean(1),
    "max": lambda x: x.amax(1),
    "median": lambda x: x.sort(1)[0][:, (x.shape[1] - 1) // 2],
    "l1": lambda x: x.abs().sum(1),
    "l2": lambda x: x.square().sum(1).sqrt(),
}
ACTIVATIONS = {
    "none": lambda z: z,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "gelu": F.gelu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.01),
    "elu": F.elu,
    "celu": F.celu,
}
GATES = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax_map": lambda z: z.flatten(1).softmax(1).reshape(z.shape) * z[0].numel(),
    "softmax_batch": lambda z: z.softmax(0),
}


class Permuted(nn.Module):
    """The block as published: x is permuted, pooled over axis 1, gated, permuted back; then the branches are fused."""

    def __init__(self, *, pool: str, activation: str, gate: str, kernel_size: int, bias: bool, fusion: str) -> None:
        super().__init__()
        self.pools, self.activation, self.gate, self.fusion = pool.split("+"), activation, gate, fusion
        self.conv, self.bn = nn.ModuleDict(), nn.ModuleDict()
        for plane in PERMUTATIONS:
            self.conv[plane] = nn.Conv2d(len(self.pools), 1, kernel_size, padding=kernel_size // 2, bias=bias)
            self.bn[plane] = nn.BatchNorm2d(1, momentum=0.01)
        self.mix = nn.Conv2d(3 * CHANNELS, CHANNELS, 1, groups=CHANNELS, bias=False)
        self.scale = nn.Parameter(torch.empty(3))

    def load(self, block: Triplet) -> None:
        for plane in PERMUTATIONS:
            unit = getattr(block, plane)
            self.conv[plane].load_state_dict(unit.conv.state_dict())
            self.bn[plane].load_state_dict(unit.bn.state_dict())
        with torch.no_grad():
            if self.fusion == "linear":
                self.scale.copy_(block.fusion.weight)
            if self.fusion == "conv":
                self.mix.weight.copy_(block.fusion.weight[:, :, 0, 0].T[:, :, None, None])

    def forward(self, x: Tensor) -> Tensor:
        branches = []
        for plane, order in PERMUTATIONS.items():
            y = x.permute(order)
            z = torch.stack([STATISTICS[name](y) for name in self.pools], 1)
            logit = ACTIVATIONS[self.activation](self.bn[plane](self.conv[plane](z)))
            branches.append((logit, y, order))
        if self.gate == "softmax_branch":
            logits = torch.stack([logit.expand(y.shape).permute(order) for logit, y, order in branches])
            outs = list(x * 3 * logits.softmax(0) * logits.sigmoid())
        else:
            outs = [(GATES[self.gate](logit) * y).permute(order) for logit, y, order in branches]
        if self.fusion == "mean":
            return (outs[0] + outs[1] + outs[2]) / 3
        if self.fusion == "linear":
            return sum(out * s for out, s in zip(outs, self.scale, strict=True))
        return self.mix(torch.stack(outs, 2).flatten(1, 2))


DEFAULTS = {
    "pool": "max+avg", "activation": "none", "gate": "sigmoid", "kernel_size": 7, "bias": False, "fusion": "mean"
}  # fmt: skip
VARIANTS = [
    *[{"kernel_size": k} for k in (1, 3, 5, 7)],
    *[{"pool": pool} for pool in ("avg+max+median", "l1+max", "l2+max", "median")],
    *[{"activation": name, "bias": True} for name in ACTIVATIONS],
    *[{"gate": name} for name in (*GATES, "softmax_branch")],
    *[{"fusion": name} for name in ("linear", "conv")],
    {"gate": "softmax_branch", "fusion": "conv", "kernel_size": 3},
]


@pytest.mark.parametrize("size", [(7, 5), (5, 9), (18, 20)], ids=str)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_equals_the_permuted_form_in_training(variant: dict[str, object], size: tuple[int, int]) -> None:
    options = DEFAULTS | variant
    torch.manual_seed(0)
    block = Triplet(CHANNELS, **options).double()
    randomise(block)
    published = Permuted(**options).double()
    published.load(block)
    x = images(3, size).requires_grad_()
    z = images(3, size).requires_grad_()
    y, expected = block(x), published(z)
    close = {"rtol": 1e-12, "atol": 1e-12}
    torch.testing.assert_close(y, expected, **close)
    (y * y.detach().cos()).sum().backward()
    (expected * expected.detach().cos()).sum().backward()
    # Sums over all positions: the rounding grows with the number of terms.
    close = {"rtol": 1e-10, "atol": 1e-11}
    torch.testing.assert_close(x.grad, z.grad, **close)
    for plane in PERMUTATIONS:
        unit = getattr(block, plane)
        for name, parameter in unit.conv.named_parameters():
            torch.testing.assert_close(parameter.grad, getattr(published.conv[plane], name).grad, **close)
        for name in ("weight", "bias"):
            torch.testing.assert_close(getattr(unit.bn, name).grad, getattr(published.bn[plane], name).grad, **close)
        for name, buffer in unit.bn.named_buffers():
            torch.testing.assert_close(buffer, getattr(published.bn[plane], name), **close)
    if options["fusion"] == "linear":
        torch.testing.assert_close(block.fusion.weight.grad, published.scale.grad, **close)
    if options["fusion"] == "conv":
        mixed = published.mix.weight.grad[:, :, 0, 0].T
        torch.testing.assert_close(block.fusion.weight.grad[:, :, 0, 0], mixed, **close)


def swap(block: Triplet, pairs: dict[str, tuple[str, bool]]) -> Triplet:
    """A copy whose plane `a` is plane `b` of the block, with transposed kernels where asked."""
    other = copy.deepcopy(block)
    for a, (b, transposed) in pairs.items():
        state = copy.deepcopy(getattr(block, b).state_dict())
        if transposed:
            state["conv.weight"] = state["conv.weight"].transpose(2, 3)
        getattr(other, a).load_state_dict(state)
    return other


@pytest.mark.parametrize("pool", ["max+avg", "l1+median+l2"])
@pytest.mark.parametrize(
    ("axes", "pairs"),
    [
        ((2, 3), {"cw": ("hc", True), "hc": ("cw", True), "hw": ("hw", True)}),
        ((1, 2), {"cw": ("hw", False), "hc": ("hc", True), "hw": ("cw", False)}),
        ((1, 3), {"cw": ("cw", True), "hc": ("hw", False), "hw": ("hc", False)}),
    ],
    ids=["H and W", "C and H", "C and W"],
)
def test_exchanging_axes_exchanges_gates(pool: str, axes: tuple[int, int], pairs: dict[str, tuple[str, bool]]) -> None:
    torch.manual_seed(0)
    block = Triplet(CHANNELS, pool=pool, activation="celu").double()
    randomise(block)
    x = images(2, (7, 5))
    exchanged = swap(block, pairs)(x.transpose(*axes)).transpose(*axes)
    torch.testing.assert_close(exchanged, block(x), rtol=1e-12, atol=1e-12)


def test_scaling_by_the_gates_keeps_every_official_start() -> None:
    x = images(2, (7, 5), torch.float32)
    block = Triplet(CHANNELS)
    assert torch.equal(block.hw(x), torch.full((2, 1, 7, 5), 0.5))
    assert [int((unit.bn.weight == 0).item()) for unit in (block.cw, block.hc, block.hw)] == [0, 0, 1]
    assert Triplet(CHANNELS, zero_gamma=False).hw.bn.weight.item() == 1


def test_generic_initialisation_is_followed_by_the_blocks_own() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, CHANNELS, 3),
        Triplet(CHANNELS, fusion="conv"),
        TripletCA(CHANNELS, fusion="linear"),
        TripletLKA(CHANNELS),
        nn.Linear(4, 4),
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.fill_(7)
    init_residual(net)
    assert net[1].hw.bn.weight.item() == 0
    assert net[1].cw.bn.weight.item() == 1
    assert torch.equal(net[1].fusion.weight, torch.full((3, CHANNELS, 1, 1), 1 / 3))
    assert torch.equal(net[2].fusion.weight, torch.full((3,), 1 / 3))
    assert net[2].ca.conv1.bias.abs().max() == 0
    # The fan-out rule forgets the groups: sqrt(2 / (16 * 25)), so LKA's map starts near 0.
    assert net[3].lka.conv0.weight.std().item() == pytest.approx(0.0707, rel=0.2)
    for block in net[1:3]:
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.fill_(7)
        block.init_weights()
    assert net[1].hw.bn.weight.item() == 0
    assert net[2].fusion.weight[0].item() == pytest.approx(1 / 3)


@pytest.mark.parametrize("fusion", ["linear", "conv"])
@pytest.mark.parametrize("block", [Triplet, TripletCA, TripletLKA])
def test_learned_fusion_starts_as_the_mean(block: type[Triplet], fusion: str) -> None:
    x = images(2, (7, 5), torch.float32)
    torch.manual_seed(0)
    learned = block(CHANNELS, fusion=fusion)
    torch.manual_seed(0)
    torch.testing.assert_close(learned(x), block(CHANNELS)(x))


def test_softmax_over_the_batch_is_the_identity_for_one_sample_and_a_fraction_for_four() -> None:
    torch.manual_seed(0)
    block = Triplet(CHANNELS, gate="softmax_batch").double()
    x = images(4, (7, 5))
    torch.testing.assert_close(block(x[:1]), x[:1])
    assert (block(x).norm() / x.norm()).item() == pytest.approx(1 / 4, rel=0.1)


def test_softmax_over_the_map_has_mean_one() -> None:
    block = Triplet(CHANNELS, gate="softmax_map").double()
    randomise(block)
    x = images(3, (7, 5))
    for unit in (block.cw, block.hc, block.hw):
        torch.testing.assert_close(unit(x).mean((1, 2, 3)), torch.ones(3, dtype=torch.float64))


def rotated_sum(block: TripletCA | TripletLKA, x: Tensor) -> Tensor:
    return block.cw(x) + block.hc(x)


def test_triplet_ca_is_two_gates_and_coordinate_attention() -> None:
    block = TripletCA(CHANNELS, pool="max+l2", activation="celu", bias=True).double().eval()
    randomise(block)
    x = images(2, (7, 5))
    assert isinstance(block.ca, CoordinateGates)
    along, across = block.ca(x)
    torch.testing.assert_close(block(x), x * (rotated_sum(block, x) + along * across) / 3)


def test_triplet_lka_is_two_gates_and_an_ungated_map() -> None:
    block = TripletLKA(CHANNELS).double().eval()
    randomise(block)
    x = images(2, (7, 5))
    torch.testing.assert_close(block(x), x * (rotated_sum(block, x) + block.lka.attention(x)) / 3)


def test_planes_of_the_coordinate_branch_are_averaged() -> None:
    """TripletCA's third branch on three planes is CoordinateAttention's gate on the same planes, same weights."""
    torch.manual_seed(0)
    block = TripletCA(CHANNELS, axes="hw+cw+ch", pools="avg+max", reduction=16).eval()
    alone = CoordinateAttention(CHANNELS, axes="hw+cw+ch", pools="avg+max", reduction=16).eval()
    for part, plane in zip((block.ca, *block.others), ("hw", "cw", "ch"), strict=True):
        alone.planes[plane].load_state_dict(part.state_dict())
    x = torch.rand(2, CHANNELS, 6, 5) + 0.5
    torch.testing.assert_close(block.third(x)[0] * x, alone(x))


def test_the_coordinate_branch_keeps_its_weights_names() -> None:
    assert not [name for name in TripletCA(CHANNELS).state_dict() if "others" in name]


@pytest.mark.parametrize("block", [TripletCA, TripletLKA])
def test_competing_third_branches(block: type[TripletCA] | type[TripletLKA]) -> None:
    net = block(CHANNELS, gate="softmax_branch").double().eval()
    randomise(net)
    x = images(2, (7, 5))
    if isinstance(net, TripletCA):
        along_h, along_w = net.ca.logits(x)
        logit, value = along_h + along_w, along_h.sigmoid() * along_w.sigmoid()
    else:
        logit = value = net.lka.attention(x)
    cw, hc = net.cw(x), net.hc(x)
    weights = torch.stack([cw.expand_as(x), hc.expand_as(x), logit.expand_as(x)]).softmax(0)
    expected = x * (weights[0] * cw.sigmoid() + weights[1] * hc.sigmoid() + weights[2] * value)
    torch.testing.assert_close(net(x), expected)


def test_gates_can_be_observed_by_hooks() -> None:
    block = Triplet(CHANNELS)
    seen: dict[str, tuple[int, ...]] = {}
    for name in PERMUTATIONS:
        getattr(block, name).register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: tuple(out.shape)}))
    block(images(2, (7, 5), torch.float32))
    assert seen == {"cw": (2, CHANNELS, 1, 5), "hc": (2, CHANNELS, 7, 1), "hw": (2, 1, 7, 5)}
