"""The nets of notebook 002: exact sizes, options, places of attention."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_args

import pytest
import torch
from torch import nn

from exp.blocks.bam import BAM
from exp.blocks.cbam import CBAM
from exp.blocks.squeeze_excite import SqueezeExcite
from exp.blocks.triplet import Triplet
from exp.tasks.count import count, shapes_only
from exp.tasks.fer.models import CNN, VGG, DeepCNN, ResNetCBAM
from exp.tasks.fer.options import Activation, CNNOptions, DeepCNNOptions, ResNetCBAMOptions, VGGOptions

GREY: dict[str, Any] = {"num_classes": 7, "in_channels": 1}
PLAIN = GREY | {"image_size": (48, 48)}
NETS: dict[str, Callable[..., nn.Module]] = {
    "cnn": partial(CNN, **PLAIN),
    "deepcnn": partial(DeepCNN, **PLAIN),
    "resnet_cbam": partial(ResNetCBAM, **GREY),
    "vgg": partial(VGG, depth=11, **GREY),
}


@pytest.mark.parametrize(
    ("build", "params"),
    [
        (NETS["cnn"], 595_655),
        (NETS["deepcnn"], 1_636_551),
        (NETS["resnet_cbam"], 11_218_771),
        (partial(ResNetCBAM, att=CBAM, **GREY), 11_263_711),
        (partial(ResNetCBAM, cbam=False, **GREY), 11_173_831),
        (partial(VGG, **GREY), 20_032_327),
    ],
)
def test_parameters_are_exact(build: Callable[..., nn.Module], params: int) -> None:
    with shapes_only():
        assert count(build(), (1, 1, 48, 48)).params == params


def test_the_resnet_without_attention_is_resnet18() -> None:
    # torchvision's 11,689,512 less the colour stem, less 1000 classes, plus grey stem and 7 classes
    assert 11_689_512 - 2 * 64 * 49 - 513 * 1000 + 513 * 7 == 11_173_831


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("options", [{}, {"batch_norm": False}, {"activation": "gelu", "dropout": 0.0, "width": 8}])
def test_gradients_reach_every_parameter(name: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = NETS[name](**({"width": 8} | options))
    model(torch.randn(4, 1, 48, 48)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    norms = [module for module in model.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
    expected = options.get("batch_norm", name != "cnn")
    assert any(norm.num_features > 1 for norm in norms) == expected  # CBAM's own has one feature


@pytest.mark.parametrize("schema", [CNNOptions, DeepCNNOptions, ResNetCBAMOptions, VGGOptions])
def test_options_name_the_net_that_takes_them(schema: Any) -> None:
    options = schema(width=4, activation="tanh")
    torch.manual_seed(0)
    model = schema.builder()(options, **PLAIN)
    torch.manual_seed(0)
    same = NETS[schema.name](width=4, activation="tanh", **({"depth": 19} if schema is VGGOptions else {}))
    assert type(model) is type(same)
    assert str(model) == str(same)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), same.parameters(), strict=True))


@pytest.mark.parametrize("activation", get_args(Activation))
def test_the_activation_replaces_every_relu_of_the_trunk(activation: str) -> None:
    for name in NETS:
        options = {"cbam": False} if name == "resnet_cbam" else {}
        model = NETS[name](width=4, activation=activation, **options)
        found = {type(module).__name__.lower() for module in model.modules()}
        assert ("relu" in found) == (activation == "relu")
        assert activation.replace("_", "") in found


def test_cbam_stands_after_each_stage_and_att_replaces_it() -> None:
    plain = ResNetCBAM(width=8, **GREY)
    assert [type(stage[-1]) for stage in plain.stages] == [CBAM] * 4  # type: ignore[index]
    replaced = ResNetCBAM(width=8, att=Triplet, **GREY)
    assert not any(isinstance(module, CBAM) for module in replaced.modules())
    assert sum(isinstance(module, Triplet) for module in replaced.modules()) == 8
    with pytest.raises(ValueError, match="acts only without att"):
        ResNetCBAM(width=8, att=Triplet, cbam=False, **GREY)


def test_the_imagenet_stem_leaves_two_by_two_places_and_the_cifar_stem_six_by_six() -> None:
    images = torch.zeros(1, 1, 48, 48)
    assert ResNetCBAM(width=4, **GREY).forward_features(images).shape[2:] == (2, 2)
    assert ResNetCBAM(width=4, stem="cifar", **GREY).forward_features(images).shape[2:] == (6, 6)


@pytest.mark.parametrize("name", ["cnn", "deepcnn", "vgg"])
@pytest.mark.parametrize("att", [CBAM, SqueezeExcite, Triplet, BAM])
def test_attention_stands_before_each_pooling(name: str, att: Callable[[int], nn.Module]) -> None:
    places = {"cnn": [8, 16], "deepcnn": [8, 16, 32, 64], "vgg": [8, 16, 32, 64, 64]}[name]
    seen: list[int] = []

    def build(channels: int) -> nn.Module:
        seen.append(channels)
        return att(channels)

    model = NETS[name](width=8, att=build).eval()
    assert seen == places
    assert model(torch.randn(2, 1, 48, 48)).shape == (2, 7)
    with pytest.raises(ValueError, match="placement=stage_end: .* has no such place; leave it at branch_end"):
        NETS[name](att=build, placement="stage_end")


def test_attention_comes_after_the_activation_and_before_the_pooling() -> None:
    order: list[str] = []
    model = CNN(width=4, att=lambda channels: nn.Identity(), **PLAIN)
    block = model.features[0]
    for name in ("conv", "norm", "act", "att", "pool"):
        getattr(block, name).register_forward_hook(lambda *_, name=name: order.append(name))
    block(torch.zeros(1, 1, 48, 48))
    assert order == ["conv", "norm", "act", "att", "pool"]


def test_heads_residuals_and_dropout_are_where_they_are_said_to_be() -> None:
    drops = [module.p for module in DeepCNN(dropout=0.4, **PLAIN).modules() if isinstance(module, nn.Dropout)]
    assert drops == [0.4, 0.2]
    assert count(DeepCNN(head="gap", **PLAIN), (1, 1, 48, 48)).params == 388_800 + 257 * 7
    residual = DeepCNN(residual=True, **PLAIN)
    extra = sum(p.numel() for p in residual.parameters()) - 1_636_551
    assert extra == 1 * 32 + 32 * 64 + 64 * 128 + 128 * 256
    block = residual.features[0].eval()
    images = torch.randn(2, 1, 48, 48)
    with torch.no_grad():
        direct = block.act(block.norm(block.conv(images))) + block.shortcut(images)
        assert torch.equal(block(images), nn.functional.max_pool2d(direct, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "mean"}, "head=mean: not one of fc, gap"),
        ({"activation": "swish"}, "activation=swish: not one of relu"),
        ({"image_size": (8, 8)}, r"image_size=\(8, 8\): too small for 4 poolings by 2"),
        ({"image_size": None}, "DeepCNN needs image_size"),
        ({"width": 0}, "width=0: has to be at least 1"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DeepCNN(**(PLAIN | options))


def test_other_sizes_and_channels_are_served() -> None:
    model = DeepCNN(num_classes=10, in_channels=3, image_size=(32, 40)).eval()
    assert isinstance(model, DeepCNN)
    assert model(torch.zeros(2, 3, 32, 40)).shape == (2, 10)
