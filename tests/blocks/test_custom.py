"""A user's own block: built from its name, refused in one line where that is impossible."""

import re
from pathlib import Path

import pytest
import torch

from exp.blocks.custom import Custom
from exp.blocks.options import CustomOptions
from exp.options.errors import ConfigError

BLOCKS = """
from torch import nn

class Scale(nn.Module):
    def __init__(self, channels, *, by=1.0):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 1)
        self.by = by

    def forward(self, x):
        return self.by * self.conv(x)

class Halve(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return x[:, :1]

class Twice(Halve):
    def forward(self, x):
        return x, x

def number(channels):
    return channels
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_blocks.py").write_text(BLOCKS)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_built_with_its_options() -> None:
    block = Custom(4, CustomOptions(target="own_blocks:Scale", options={"by": 3.0}))
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(block(x), 3 * block.block.conv(x))


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("own_blocks:Scales", None, "Scales"),
        ("no_such_module:Scale", None, "no_such_module"),
        ("own_blocks:Scale", {"times": 2}, "att.options: Scale takes no times"),
        ("own_blocks:Scale", {"bye": 2}, "att.options: Scale takes no bye; did you mean 'by'?"),
        ("own_blocks:Scale", {"channels": 2}, "att.options: Scale takes no channels"),
        ("own_blocks:number", None, "int, not a torch module"),
        (None, None, "target=None"),
    ],
)
def test_refused(target: str | None, options: dict[str, int] | None, message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as error:
        Custom(4, CustomOptions(target=target, options=options))
    assert "\n" not in str(error.value)


def test_a_changed_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"turns \(1, 4, 3, 3\) into \(1, 1, 3, 3\)"):
        Custom(4, CustomOptions(target="own_blocks:Halve"))(torch.zeros(1, 4, 3, 3))


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"own_blocks:Twice: returns a tuple; return a tensor of x's shape"):
        Custom(4, CustomOptions(target="own_blocks:Twice"))(torch.zeros(1, 4, 3, 3))
