"""exp cost of a user's own code: what is wrong with it is one line that names the line."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import exp

BLOCKS = """from torch import nn

class Raises(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x):
        return self.scale(x)

    def scale(self, x):
        return self.x * x

class Unbuilt(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.y = self.z

class Halves(Raises):
    def forward(self, x):
        return x[:, :1]
"""


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ("Raises", "Raises: forward: AttributeError: 'Raises' object has no attribute 'x' (mypkg/blocks.py:11)"),
        ("Unbuilt", "Unbuilt: AttributeError: 'Unbuilt' object has no attribute 'z' (mypkg/blocks.py:16)"),
        ("Halves", "Halves: turns (1, 4, 8, 8) into (1, 1, 8, 8); keep the shape"),
    ],
)
def test_a_block_that_fails(block: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "mypkg").mkdir()
    (tmp_path / "mypkg" / "blocks.py").write_text(BLOCKS)
    done = exp("cost", "model=resnet18", "width=4", "att=custom", f"att.target=mypkg.blocks:{block}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"exp cost: att.target=mypkg.blocks:{said}\n"


def test_a_file_that_fails(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "examples" / "moons.py").read_text()
    (tmp_path / "own.py").write_text(
        text.replace("    def forward(self, x):\n", "    def forward(self, x):\n        x.gone\n")
    )
    line = (tmp_path / "own.py").read_text().splitlines().index("        x.gone") + 1
    done = exp("cost", "task=./own.py", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith("exp cost: task=own: AttributeError: 'Tensor' object has no attribute 'gone'")
    assert done.stderr.endswith(f" (own.py:{line})\n")


def test_another_verb_names_the_line_too(tmp_path: Path) -> None:
    shutil.copy(Path(__file__).parents[2] / "examples" / "moons.py", tmp_path / "own.py")
    text = (tmp_path / "own.py").read_text()
    start = text.index("    parts = ")
    (tmp_path / "own.py").write_text(f"{text[:start]}    1 / 0\n{text[start:]}")
    line = text[:start].count("\n") + 1
    done = exp("check", "task=./own.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, f"exp check: ZeroDivisionError: division by zero (own.py:{line})\n")
