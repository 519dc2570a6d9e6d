"""The gait nets: parameter counts to the last digit, shapes, order, lengths, attention in the backbone."""

from typing import Any

import pytest
import torch
from torch import nn

from exp.blocks.coordinate import CoordinateAttention
from exp.blocks.triplet import Triplet
from exp.tasks.count import count, shapes_only
from exp.tasks.gait.models.attention import BaseAttention
from exp.tasks.gait.models.backbone import FrameResNet
from exp.tasks.gait.models.net import GaitNet
from exp.tasks.gait.models.reel import ReelResnet
from exp.tasks.gait.models.temporal import LAYOUTS
from exp.tasks.gait.options import (
    AttentionLstmOptions,
    BackboneOptions,
    BaseAttentionOptions,
    BaselineOptions,
    ConvLstmOptions,
    PartLstmOptions,
    ReelResnetOptions,
)

SMALL = {"width": 4}
PARTS = SMALL | {"bins": 8, "embedding": 16}
WALKS: dict[str, Any] = {"image_size": (32, 32), "num_classes": 5}
NETS: dict[str, BackboneOptions] = {
    "baseline": BaselineOptions(**PARTS),
    "convlstm": ConvLstmOptions(**PARTS, hidden=8),
    "partlstm": PartLstmOptions(**PARTS, hidden=8),
    "attentionlstm": AttentionLstmOptions(**PARTS, hidden=8),
    "baseattention": BaseAttentionOptions(**PARTS, dim=16, depth=2, heads=2, mlp=16),
    "reelresnet": ReelResnetOptions(**SMALL),
}
# Measured on the source's files: 7,305,408; 6.193M, 6.194M, 9.079M, 11.327M, 4.947M.
# ReelResnet's file has a 3-channel stem of 9,408 parameters that nothing uses, and which is not kept here.
COUNTS: dict[str, tuple[BackboneOptions, int]] = {
    "baseline": (BaselineOptions(), 7_305_408),
    "convlstm": (ConvLstmOptions(), 6_193_344),
    "partlstm": (PartLstmOptions(), 6_193_856),
    "attentionlstm": (AttentionLstmOptions(), 9_078_592),
    "baseattention": (BaseAttentionOptions(positions="learned"), 11_327_424),
    "reelresnet": (ReelResnetOptions(parts="time", outputs=75), 4_947_403 - 9_408),
}


def build(options: BackboneOptions, **given: Any) -> Any:
    """A net of ``WALKS``, or of what is given in its place."""
    return options.builder()(options, **WALKS | given)


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", COUNTS)
def test_parameters_are_the_sources(name: str) -> None:
    options, expected = COUNTS[name]
    with shapes_only():
        assert parameters(build(options, image_size=(64, 64), num_classes=74)) == expected


def test_the_baseline_is_that_of_the_report() -> None:
    with shapes_only():
        model = GaitNet(image_size=(64, 44), num_classes=74)
    assert parameters(model) == 7_305_408
    assert parameters(model.backbone) == 4_896_960
    assert model.backbone.map_size(64, 44) == (16, 11)
    assert model.backbone.map_size(64, 64) == (16, 16)
    assert model.head.fc is not None
    assert parameters(model.head.fc) == 2_097_152
    assert parameters(model.head.neck) == 311_296
    assert count(model, (1, 1, 64, 44)).macs == pytest.approx(1.18e9, rel=0.01)


@pytest.mark.parametrize(
    ("strides", "stem", "size"),
    [((1, 1, 1, 1), "3x3", (64, 64)), ((1, 2, 2, 1), "3x3", (16, 16)), ((1, 2, 2, 2), "7x7", (2, 2))],
)
def test_strides_of_the_questions(strides: tuple[int, ...], stem: Any, size: tuple[int, int]) -> None:
    net = FrameResNet(width=2, strides=strides, stem=stem)
    assert net.map_size(64, 64) == size
    assert net(torch.rand(2, 1, 64, 64)).shape == (2, 16, *size)


@pytest.mark.parametrize("name", NETS)
def test_shapes_and_gradients(name: str) -> None:
    model = build(NETS[name])
    out = model(torch.rand(3, 4, 32, 32))
    parts = 1 if name == "reelresnet" else 8
    assert out.embedding.shape == (3, 32 if name == "reelresnet" else 16, parts)
    assert out.logits.shape == (3, 5, parts)
    (out.embedding.square().sum() + out.logits.square().sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("name", NETS)
def test_whole_walks_in_one_batch_are_each_as_alone(name: str) -> None:
    torch.manual_seed(0)
    model = build(NETS[name]).eval()
    lengths = [7, 3, 5]
    frames = torch.rand(15, 32, 32)
    together = model(frames, lengths)
    alone = [model(walk[None]) for walk in frames.split(lengths)]
    for place in range(2):
        torch.testing.assert_close(together[place], torch.cat([one[place] for one in alone]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NETS)
def test_order_matters_to_those_that_say_so(name: str) -> None:
    torch.manual_seed(0)
    model = build(NETS[name]).eval()
    frames = torch.rand(2, 6, 32, 32)
    same = torch.allclose(model(frames).embedding, model(frames.flip(1)).embedding, atol=1e-5)
    assert same != model.needs_order
    assert model.needs_order == (name not in ("baseline", "reelresnet"))


def test_published_variants_keep_the_sources_limits() -> None:
    learned = BaseAttention(**WALKS, **PARTS, dim=16, depth=1, heads=2, mlp=16, positions="learned", frames=4).eval()
    learned(torch.rand(2, 4, 32, 32))
    with pytest.raises(ValueError, match="positions=learned"):
        learned(torch.rand(2, 5, 32, 32))
    with pytest.raises(ValueError, match="multiple of patch=4"):
        BaseAttention(image_size=(64, 44), num_classes=5, width=4, positions="learned")
    reel = ReelResnet(**WALKS, **SMALL, parts="time", outputs=6).eval()
    assert reel.needs_order
    assert reel(torch.rand(2, 4, 32, 32)).embedding.shape == (2, 32, 4)
    assert reel(torch.rand(2, 4, 32, 32)).logits.shape == (2, 6, 4)
    with pytest.raises(ValueError, match="walks of different lengths cannot be compared"):
        reel(torch.rand(9, 32, 32), [4, 5])
    with pytest.raises(ValueError, match="outputs=4 are too few"):
        ReelResnet(**WALKS, **SMALL, outputs=4)


@pytest.mark.parametrize("name", ["baseattention", "reelresnet"])
def test_mended_variants_take_any_size_and_length(name: str) -> None:
    model = build(NETS[name], image_size=(44, 30)).eval()
    sizes = {tuple(model(torch.rand(1, s, 44, 30)).embedding.shape) for s in (1, 5, 9)}
    assert len(sizes) == 1


@pytest.mark.parametrize("temporal_pool", ["max", "mean", "max+lstm", "mean+lstm", "lstm"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_pool_on_every_layout(temporal_pool: str, layout: str) -> None:
    # What no LSTM reads stays at its default.
    lstm = {"hidden": 8, "layout": layout} if "lstm" in temporal_pool else {}
    options: Any = PARTS | {"temporal_pool": temporal_pool} | lstm
    model = build(ConvLstmOptions(**options))
    assert model(torch.rand(2, 3, 32, 32)).embedding.shape == (2, 16, 8)
    assert model.needs_order == ("lstm" in temporal_pool)


@pytest.mark.parametrize("placement", ["branch_end", "block_end", "stage_end"])
@pytest.mark.parametrize("att", [Triplet, CoordinateAttention])
def test_attention_is_put_into_the_backbone(att: type[nn.Module], placement: str) -> None:
    model = GaitNet(**WALKS, **PARTS, att=att, placement=placement)
    assert sum(isinstance(module, att) for module in model.modules()) == 4
    assert model(torch.rand(2, 3, 32, 32)).embedding.shape == (2, 16, 8)


def test_rows_are_eight_strips_of_a_learned_map() -> None:
    model = build(PartLstmOptions(**PARTS, backbone="rows", hidden=8)).eval()
    assert model.backbone.map_size(64, 44) == (8, 1)
    frames = torch.rand(2, 3, 64, 44)
    assert model(frames).embedding.shape == (2, 16, 8)
    # Only the means of an eighth of the frame count.
    coarse = nn.functional.adaptive_avg_pool2d(frames, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    torch.testing.assert_close(model(coarse).embedding, model(frames).embedding, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="no residual branch"):
        GaitNet(**WALKS, **PARTS, backbone="rows", att=Triplet)


def test_bad_choices_are_refused() -> None:
    for options, message in (
        ({"bins": 17}, "bins=17 but the maps have 8 rows"),
        ({"strides": [1, 2, 2]}, r"^strides=\[1, 2, 2\]: has to be four numbers of at least 1$"),
        ({"temporal_pool": "median"}, "^temporal_pool=median: not one of max, mean;"),
        ({"stem": "5x5"}, "^stem=5x5: not one of 3x3, 7x7$"),
        ({"width": 0}, "^width=0: has to be at least 1$"),
        ({"part_pool": "median"}, r"^part_pool=median: not one of mean\+max, avg, max"),
        ({"placement": "front"}, "placement=front: not one of branch_end, "),
    ):
        with pytest.raises(ValueError, match=message):
            GaitNet(**WALKS | PARTS | options)
    with pytest.raises(ValueError, match="^fusion=product: not one of concat, add, gate, attention"):
        ConvLstmOptions(fusion="product")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"4 frames but walks of \[2, 3\]"):
        GaitNet(**WALKS, **PARTS)(torch.rand(4, 32, 32), [2, 3])


def test_options_and_their_names_are_one_net() -> None:
    nets = []
    for given in ({"options": BaselineOptions(**PARTS, part_pool="avg")}, PARTS | {"part_pool": "avg"}):
        torch.manual_seed(0)
        nets.append(GaitNet(**WALKS, **given).state_dict())  # type: ignore[arg-type]
    assert list(nets[0]) == list(nets[1])
    assert all(torch.equal(nets[0][name], nets[1][name]) for name in nets[0])
    with pytest.raises(TypeError, match="not both"):
        GaitNet(BaselineOptions(), **WALKS, width=4)


def test_what_makes_partlstm_is_no_option() -> None:
    model = build(PartLstmOptions(**PARTS, hidden=8))
    assert model.parts_first
    assert model.fuse_norm is not None
    for name in ("layout", "fusion_norm"):
        with pytest.raises(TypeError, match=name):
            PartLstmOptions(**{name: "(n p) s c"})  # type: ignore[arg-type]
    other = build(ConvLstmOptions(**PARTS, hidden=8, layout="(n p) s c"))
    assert other.parts_first
    assert other.fuse_norm is None


def test_the_lstms_memory_is_bounded_by_default() -> None:
    model = build(ConvLstmOptions(**PARTS, hidden=8))
    assert model.lstm.options.lstm_gib == 4
