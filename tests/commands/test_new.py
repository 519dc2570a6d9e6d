"""exp new: what it writes runs, is formatted, and passes its own test."""

import subprocess
import sys
from pathlib import Path

import pytest

from exp.commands import new
from tests.conftest import ENVIRONMENT, exp

PARTS = {"task": "stripes", "model": "tinynet", "block": "gatey", "data": "drawn", "metric": "mean_f1"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("new")
    for kind, name in PARTS.items():
        done = exp("new", kind, name, cwd=root)
        assert done.returncode == 0, done.stderr
    return root


@pytest.mark.slow
@pytest.mark.parametrize("kind", PARTS)
def test_what_its_readme_types_runs(kind: str, folder: Path) -> None:
    text = (folder / PARTS[kind] / "README.md").read_text()
    assert len(text.splitlines()) < 40  # a screen
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("exp ")]
    assert len(lines) >= 3
    for words in lines:
        shrunk = [] if words[0] in ("list", "cost", "check", "table") else ["trainer.max_epochs=1", "trainer.threads=1"]
        done = exp(*words, *shrunk, cwd=folder, timeout=900)
        assert done.returncode == 0, (words, done.stderr)


@pytest.mark.slow
def test_what_is_written_passes_its_tests(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_what_is_written_is_formatted(folder: Path) -> None:
    ruff = [sys.executable, "-m", "ruff"]
    for words in (["check", "--select", "E,F,I,UP,B,D1", "--ignore", "D107"], ["format", "--check"]):
        arguments = ["--isolated", "--line-length", "120", *(PARTS[kind] for kind in PARTS)]
        done = subprocess.run([*ruff, *words, *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_what_is_written_is_typed(folder: Path) -> None:
    mypy = [sys.executable, "-m", "mypy", "--disallow-untyped-defs", "--cache-dir", str(folder / ".mypy")]
    done = subprocess.run([*mypy, *PARTS.values(), "tests"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_all_of_it_runs_together(folder: Path) -> None:
    words = (
        "task=stripes",
        "model=tinynet",
        "data=drawn",
        "att=gatey",
        "metrics=mean_f1",
        "trainer.max_epochs=1",
        "trainer.threads=1",
    )
    done = exp(*words, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    listed = exp("table", cwd=folder).stdout
    assert "stripes_blocks" in listed


def test_nothing_is_overwritten(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_text() for path in folder.rglob("*.py")}
    done = exp("new", "task", "stripes", cwd=folder)
    assert (done.returncode, done.stderr.strip()) == (
        2,
        "exp new: task stripes: there is one of that name; take another",
    )
    assert {path: path.read_text() for path in folder.rglob("*.py")} == before
    (tmp_path / "pyproject.toml").write_text("[tool.exp]\nplugins = [\n]\n")
    done = exp("new", "block", "other", cwd=tmp_path)
    assert done.returncode == 2
    assert "nothing was written" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]
    assert exp("new", "block", "No-Name", cwd=tmp_path).returncode == 2


LIT = """
import lightning as L
import torch
from torch.utils.data import DataLoader, TensorDataset


class Lit(L.LightningModule):
    def __init__(self, width=3, rate=0.1, layers=None):
        super().__init__()
        self.net = torch.nn.Linear(width, 1)
        self.width, self.rate = width, rate

    def loaders(self):
        return DataLoader(TensorDataset(torch.arange(float(8 * self.width)).reshape(8, -1) / 24), batch_size=4)

    train_dataloader = val_dataloader = loaders

    def training_step(self, batch, batch_idx):
        return self.net(batch[0]).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", self.net(batch[0]).square().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.rate)
"""


@pytest.mark.parametrize(
    ("metric", "mode"),
    [("val_acc", "max"), ("valid/f1", "max"), ("val_top5", "max"), ("val_loss", "min"), ("val_acc_error", "min")],
)
def test_which_way_is_better_is_in_the_metrics_name(metric: str, mode: str) -> None:
    assert new._direction(metric) == mode


def test_which_way_is_better_is_asked_where_the_name_does_not_say(tmp_path: Path) -> None:
    (tmp_path / "lit.py").write_text(LIT)
    words = ("new", "task", "line", "--from-lightning", "lit:Lit", "--monitor", "val_x")
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.endswith("--monitor val_x: is less or more of it better? --mode min or --mode max says so\n")
    assert not (tmp_path / "line").exists()
    assert exp(*words, "--mode", "max", cwd=tmp_path).returncode == 0
    assert 'mode = "max"' in (tmp_path / "line" / "options.py").read_text()


@pytest.mark.slow
def test_a_task_from_a_lightning_module(tmp_path: Path) -> None:
    (tmp_path / "lit.py").write_text(LIT)
    done = exp("new", "task", "line", "--from-lightning", "lit:Lit", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "layers=None is no option, it keeps its default" in done.stderr
    options = (tmp_path / "line" / "options.py").read_text()
    assert len(options.splitlines()) <= 25
    assert '    """Lit, an unchanged LightningModule."""\n' in options, options
    done = exp("task=line", "rate=0.2", "trainer.max_epochs=1", "trainer.threads=1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 parameters" in done.stdout
    assert "test (of the validation part; the module tests nothing)" in done.stdout


def test_the_project_is_among_the_files_that_it_names(tmp_path: Path) -> None:
    for name in ("first", "second"):
        done = exp("new", "block", name, cwd=tmp_path)
        first, *files, last = done.stdout.splitlines()
        assert (first, last) == ("pyproject.toml", f"Next: exp att={name}")
        assert all((tmp_path / file).is_file() for file in files)
    done = exp("new", "table", "mine", cwd=tmp_path)
    assert done.stdout.splitlines() == ["mine.yaml", "Next: exp table mine --run"]
