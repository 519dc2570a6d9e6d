"""The command line as a user meets it, in processes of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exp.__main__ import one_choice
from exp.list import lines

from .conftest import ENVIRONMENT, TINY, exp

WITHOUT_TORCH = """
import resource, sys
from exp.__main__ import run
sys.argv = ["exp", *sys.argv[1:]]
code = run(sys.argv[1:])
loaded = [name for name in ("torch", "lightning", "wandb", "sklearn", "scipy", "matplotlib") if name in sys.modules]
used = resource.getrusage(resource.RUSAGE_SELF)
print("LOADED", loaded, "CODE", code, "CPU", used.ru_utime + used.ru_stime, file=sys.stderr)
"""


def light(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "LOADED []" in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["att=ca", "--help"]], ids=" ".join)
def test_help_is_one_screen_without_torch(words: list[str], tmp_path: Path) -> None:
    done = light(*words, cwd=tmp_path)
    assert "CODE 0" in done.stderr
    assert "att=" in done.stdout
    assert len(done.stdout.splitlines()) < 40
    assert max(map(len, done.stdout.splitlines())) <= 120


def test_the_configuration_is_shown_without_torch(tmp_path: Path) -> None:
    done = light("--cfg", "job", "att=triplet", "kernel_size=5", cwd=tmp_path)
    assert "kernel_size: 5" in done.stdout
    assert done.stdout.startswith(f"# {tmp_path}/multirun/attention/resnet18-triplet-")
    assert "null" not in done.stdout.split("att:")[1].split("data:")[0], "every option has its value"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [["att=tripplet"], ["att=none", "kernel_size=3"], ["trainer.max_epochs=x"], ["--cfg", "job", "kernel_sise=3"]],
    ids=" ".join,
)
def test_an_error_is_one_line_and_exit_code_2_without_torch(words: list[str], tmp_path: Path) -> None:
    done = light(*words, cwd=tmp_path)
    errors = [line for line in done.stderr.splitlines() if not line.startswith("LOADED")]
    assert len(errors) == 1
    assert errors[0].startswith("exp: ")
    assert "CODE 2" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_finished_sweep_is_shown_without_torch(tmp_path: Path) -> None:
    first = exp("--multirun", *TINY, "trainer.max_epochs=1", "att=none", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    again = light("--multirun", *TINY, "trainer.max_epochs=1", "att=none", cwd=tmp_path)
    assert "0 cells run, 1 not run again" in again.stdout
    assert "CODE 0" in again.stderr
    cell = next((tmp_path / "multirun" / "attention").iterdir())
    plain = exp(*TINY, "trainer.max_epochs=1", "att=none", cwd=tmp_path)
    assert "is done; not run again" in plain.stdout
    hint = next(line for line in plain.stdout.splitlines() if line.startswith("Next: python -m exp "))
    tested = exp(*hint.removeprefix("Next: python -m exp ").split(), cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
    said = [line for line in plain.stdout.splitlines() if line.startswith("test")]
    assert said == [line for line in tested.stdout.splitlines() if line.startswith("test")], "the hint works as printed"
    shown = exp(str(cell), str(cell), cwd=tmp_path, module="exp.diff")
    assert shown.stdout.strip() == "no difference"
    other = exp(cell.name[-10:], "nothing", cwd=tmp_path, module="exp.diff")
    assert other.returncode == 2
    assert "0 cells of that name" in other.stderr


def test_completion_of_the_console_script(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("exp")
    if not program.exists():
        pytest.skip("the package is not installed, so there is no console script")
    done = subprocess.run(
        [program, "-sc", "query=bash"],
        env=ENVIRONMENT | {"COMP_LINE": "exp att=tri", "COMP_POINT": "11"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["att=triplet", "att=tripletca", "att=tripletlka"]


def test_list_names_choices_and_options() -> None:
    overview = "\n".join(lines())
    assert "att       none triplet" in overview
    triplet = "\n".join(lines("att"))
    assert "kernel_size=7 (int): Side of the gate's convolution" in triplet
    assert any(line.startswith("recipe=sound: ") for line in lines("recipe"))
    assert any("accelerator" in line for line in lines("trainer"))
    assert any(line.startswith("kernel_size=null") for line in lines("axes"))


def test_list_helps_with_a_wrong_group(tmp_path: Path) -> None:
    done = exp("at", cwd=tmp_path, module="exp.list")
    assert done.returncode == 2
    assert "did you mean 'att'" in done.stderr
    assert exp("att", "data", cwd=tmp_path, module="exp.list").returncode == 2


def test_cost_prints_json(tmp_path: Path) -> None:
    done = exp("model=resnet18", "att=triplet", "kernel_size=3", "data=cifar100", "recipe=sound", "--format", "json",
               cwd=tmp_path, module="exp.cost")  # fmt: skip
    assert done.stdout.strip() == '{"params": 11220612, "macs": 556107584, "gflops_published": 0.558}'
    wrong = exp("--format", "yaml", cwd=tmp_path, module="exp.cost")
    assert (wrong.returncode, wrong.stderr.strip()) == (2, "exp.cost: --format yaml: text or json")


def test_an_option_of_a_varied_part_is_left_for_each_cell() -> None:
    words = ["--multirun", "att=ca,se", "att.reduction=8", "att.gate=tanh,sigmoid", "optim.lr=1"]
    assert [one_choice(word, words) for word in words] == [
        "--multirun", "att=ca,se", "att.reduction=choice(8)", "att.gate=tanh,sigmoid", "optim.lr=1",
    ]  # fmt: skip
    assert one_choice("att.reduction=8", ["att=ca"]) == "att.reduction=8"
    words = ["--multirun", "hydra.sweeper.table='gait'", "task.margin=1", "data.steps=2", "trainer.max_epochs=1"]
    assert [one_choice(word, words) for word in words[2:]] == [
        "task.margin=choice(1)", "data.steps=choice(2)", "trainer.max_epochs=1",
    ]  # fmt: skip


def test_nothing_of_ours_is_left_in_the_environment() -> None:
    assert "EXP_PARENT" not in os.environ
