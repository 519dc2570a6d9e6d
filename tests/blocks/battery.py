"""One battery of checks that every attention block must pass, and the blocks it goes over: all choices of ``att``."""

import copy
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from exp.layers.drop_path import DropPath
from exp.options.catalog import GROUPS
from exp.options.fields import distinctive
from exp.options.parts import BlockOptions
from exp.tasks.count import shapes_only

CHANNELS = 16
# Height x width: odd, not square, smaller and larger than the channel count.
SIZES = [(7, 5), (5, 9), (3, 20), (18, 17)]

# A softmax over positions or over the batch does not change when a number is added to all logits of a map.
SHIFTS = ("bn.bias", "conv.bias")


class Scale(nn.Module):
    """A block as a user writes it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.conv(x).sigmoid()


# What has to be given to those choices that cannot be built from their defaults.
REQUIRED: dict[str, dict[str, object]] = {"custom": {"target": "tests.blocks.battery:Scale"}}


def block_options(name: str, **given: object) -> BlockOptions:
    """Returns the options of the choice ``att=name``, completed by what it requires."""
    return GROUPS["att"][name](**REQUIRED.get(name, {}) | given)


CHOICES = [name for name, schema in GROUPS["att"].items() if issubclass(schema, BlockOptions)]
"""All attention blocks there are; a new one is tested as soon as it has options."""


@dataclass(frozen=True)
class Case:
    """A block with one set of options."""

    options: BlockOptions

    def __str__(self) -> str:
        given = distinctive(type(self.options), self.options.plain())
        return "-".join([self.options.name, *(f"{key}={value}" for key, value in given.items())])

    @property
    def batch_independent(self) -> bool:
        """Whether a sample's output ignores the other samples of its batch in evaluation mode."""
        return getattr(self.options, "gate", "") != "softmax_batch"

    @property
    def without_effect(self) -> tuple[str, ...]:
        """Ends of the names of parameters whose gradient is zero by construction."""
        return SHIFTS if getattr(self.options, "gate", "") in ("softmax_map", "softmax_batch") else ()

    def new(self) -> nn.Module:
        """Builds the block as a network does."""
        return self.options.builder()(CHANNELS, self.options)

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """Builds the block with every parameter and buffer moved off its starting value, from a fixed seed.

        It leaves nothing out at random, since the checks compare passes with one another.
        """
        torch.manual_seed(0)
        block = self.new().to(dtype)
        randomise(block)
        for module in block.modules():
            if isinstance(module, DropPath):
                module.rate = 0
        return block


def randomise(block: nn.Module) -> None:
    """Draws all parameters and BatchNorm buffers, so that nothing is hidden by a zero or a one."""
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(0, 0.3)
        for module in block.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)


def images(batch: int, size: tuple[int, int], dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, CHANNELS, *size, generator=generator, dtype=dtype)


class BlockBattery:
    """Mix in and parametrise over `case`."""

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> None:
        torch.set_num_threads(1)

    def test_shape_and_dtype_are_kept(self, case: Case) -> None:
        block = case.build(torch.float32)
        for size in SIZES:
            x = images(2, size, torch.float32)
            y = block(x)
            assert y.shape == x.shape
            assert y.dtype == x.dtype
            assert torch.isfinite(y).all()

    def test_gradcheck(self, case: Case) -> None:
        block = case.build().train()
        names = [name for name, _ in block.named_parameters()]
        parameters = [p.detach().clone().requires_grad_() for p in block.parameters()]

        def function(x: Tensor, *values: Tensor) -> Tensor:
            return torch.func.functional_call(block, dict(zip(names, values, strict=True)), (x,))

        x = images(2, (4, 3)).requires_grad_()
        assert torch.autograd.gradcheck(function, (x, *parameters), fast_mode=True)

    def test_one_sample_alone_equals_the_sample_in_its_batch(self, case: Case) -> None:
        block = case.build().eval()
        x = images(4, (7, 5))
        together, alone = block(x)[1:2], block(x[1:2])
        if case.batch_independent:
            torch.testing.assert_close(together, alone, rtol=1e-10, atol=1e-10)
        else:
            assert (together - alone).abs().max() > 1e-2

    def test_channels_last_agrees(self, case: Case) -> None:
        block = case.build().train()
        other = copy.deepcopy(block).to(memory_format=torch.channels_last)
        x = images(2, (7, 5)).requires_grad_()
        z = images(2, (7, 5)).to(memory_format=torch.channels_last).requires_grad_()
        y_x, y_z = block(x), other(z)
        torch.testing.assert_close(y_x, y_z, rtol=1e-10, atol=1e-10)
        y_x.square().sum().backward()
        y_z.square().sum().backward()
        torch.testing.assert_close(x.grad, z.grad, rtol=1e-9, atol=1e-9)

    def test_bfloat16_autocast_agrees(self, case: Case) -> None:
        block = case.build(torch.float32).eval()
        with torch.no_grad():
            for parameter in block.parameters():
                parameter.mul_(0.3)  # small logits: a saturated gate would hide or exaggerate the rounding
            x = images(2, (7, 5), torch.float32)
            exact = block(x)
            with torch.autocast("cpu", torch.bfloat16):
                rounded = block(x)
        assert (exact - rounded.float()).abs().max() <= 0.03 * exact.abs().max()

    def test_every_parameter_gets_a_gradient(self, case: Case) -> None:
        # Evaluation mode: before a BatchNorm on batch statistics a bias has no gradient by construction.
        block = case.build().eval()
        y = block(images(2, (7, 5)))
        (y * images(2, (7, 5)).cos()).sum().backward()
        for name, parameter in block.named_parameters():
            assert parameter.grad is not None, name
            if not name.endswith(case.without_effect or ("-",)):
                assert parameter.grad.abs().max() > 1e-12, name

    def test_deepcopy_and_state_dict_round_trip(self, case: Case) -> None:
        block = case.build().eval()
        x = images(2, (7, 5))
        file = io.BytesIO()
        torch.save(block.state_dict(), file)
        file.seek(0)
        fresh = case.new().double().eval()
        fresh.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(fresh(x), block(x))
        assert torch.equal(copy.deepcopy(block)(x), block(x))

    def test_meta_device(self, case: Case) -> None:
        with shapes_only():
            block = case.new()
            x = torch.empty(2, CHANNELS, 7, 5)  # two: a BatchNorm over one value in training is refused
        assert block(x).shape == x.shape


def check_compiled(case: Case, backend: str) -> None:
    """A block compiled as one graph gives the eager block's output and input gradient."""
    block = case.build(torch.float32).train()
    twin = copy.deepcopy(block)
    torch.compiler.reset()
    compiled = torch.compile(twin, backend=backend, dynamic=False, fullgraph=True)
    x = images(2, (7, 5), torch.float32).requires_grad_()
    z = x.detach().clone().requires_grad_()
    y = block(x)
    y.square().sum().backward()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, while it imports its compiler
        compiled_y = compiled(z)
        compiled_y.square().sum().backward()
    torch.testing.assert_close(compiled_y, y, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(z.grad, x.grad, rtol=1e-3, atol=1e-4)


def check_onnx(case: Case, folder: Path) -> None:
    """A block exported to ONNX gives torch's output in onnxruntime."""
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    block = case.build(torch.float32).eval()
    x = images(2, (7, 5), torch.float32)
    path = folder / "block.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's notice that this exporter is the older one
        torch.onnx.export(block, (x,), str(path), dynamo=False, input_names=["x"], output_names=["y"])
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": x.numpy()})
    torch.testing.assert_close(torch.from_numpy(y), block(x).detach(), rtol=1e-4, atol=1e-5)
