"""The command line as a user meets it, in processes of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.commands import VERBS
from exp.commands.list import choice_lines, option_lines, overview, schema_of
from exp.commands.train import one_choice
from tests.conftest import ENVIRONMENT, TINY, exp

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


@pytest.mark.slow
def test_a_finished_sweep_is_shown_without_torch(tmp_path: Path) -> None:
    first = exp("--multirun", *TINY, "trainer.max_epochs=1", "att=none", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    again = light("--multirun", *TINY, "trainer.max_epochs=1", "att=none", cwd=tmp_path)
    assert "0 cells run, 1 not run again" in again.stdout
    assert "CODE 0" in again.stderr
    cell = next((tmp_path / "multirun" / "attention").iterdir())
    plain = exp(*(word for word in TINY if "epochs" not in word), "max_epochs=1", "att=none", cwd=tmp_path)
    assert "is done; not run again" in plain.stdout
    hint = next(line for line in plain.stdout.splitlines() if line.startswith("Next: exp "))
    tested = exp(*hint.removeprefix("Next: exp ").split(), cwd=tmp_path)
    assert tested.returncode == 0, tested.stderr
    said = [line for line in plain.stdout.splitlines() if line.startswith("test")]
    assert said == [line for line in tested.stdout.splitlines() if line.startswith("test")], "the hint works as printed"
    shown = exp("diff", str(cell), str(cell), cwd=tmp_path)
    assert shown.stdout.strip() == "no difference"
    other = exp("diff", cell.name[-10:], "nothing", cwd=tmp_path)
    assert other.returncode == 2
    assert "no cell below multirun/ has a name that ends so" in other.stderr


LINES = {
    "exp att=tri": "att=triplet att=tripletca att=tripletlka",
    "exp table modules data=dig": "data=digits",
    "exp tabel modules data=dig": "",
}


@pytest.mark.parametrize("line", LINES)
def test_completion_of_the_console_script(line: str, tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("exp")
    if not program.exists():
        pytest.skip("the package is not installed, so there is no console script")
    done = subprocess.run(
        [program, "-sc", "query=bash"],
        env=ENVIRONMENT | {"COMP_LINE": line, "COMP_POINT": str(len(line))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == (LINES[line].split(), "")


def test_list_names_choices_by_task_and_their_options(tmp_path: Path) -> None:
    lines = overview()
    assert any(line.startswith("att       none triplet") for line in lines)
    gait = next(place for place, line in enumerate(lines) if line.startswith("task=gait: "))
    assert lines[gait + 1].split() == ["model", "baseline", "convlstm", "partlstm", "attentionlstm", "baseattention",
                                       "reelresnet"]  # fmt: skip
    assert lines[gait + 2].split() == ["data", "walkers", "casia_b", "tempo"]
    att = choice_lines("att")
    assert len(att) == 14, "a line a choice"
    assert att[1].startswith("triplet       Triplet attention")
    triplet = option_lines(schema_of("att", "triplet"))
    assert any(line.startswith("kernel_size=7 (int): Side of the gate's convolution") for line in triplet)
    assert option_lines(schema_of("data", "tempo")) == option_lines(schema_of("data", "walkers"))
    assert any(line.startswith("sound ") for line in choice_lines("recipe"))
    assert any(line.startswith("accelerator=") for line in choice_lines("trainer"))
    done = exp("list", "att", "--format", "json", cwd=tmp_path)
    assert json.loads(done.stdout)["ca"].startswith("Coordinate attention")
    done = exp("list", "att", "ca", "--format", "json", cwd=tmp_path)
    assert {"name": "reduction", "default": 32, "type": "int"}.items() <= json.loads(done.stdout)[2].items()


def test_list_helps_with_a_wrong_word(tmp_path: Path) -> None:
    done = exp("list", "at", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'att'" in done.stderr
    assert "did you mean 'triplet'" in exp("list", "att", "tripplet", cwd=tmp_path).stderr
    assert exp("list", "att", "ca", "se", cwd=tmp_path).returncode == 2


EVERY_HELP = """
import sys
from exp.__main__ import run
for verb in sys.argv[1:]:
    print("VERB", verb, flush=True)
    assert run([verb, "--help"]) == 0, verb
    assert "torch" not in sys.modules, verb
"""


def test_every_verb_explains_itself_without_torch(tmp_path: Path) -> None:
    words = [verb for verb in VERBS if verb != "score"]  # which names the scores, whose modules need scipy
    done = subprocess.run(
        [sys.executable, "-c", EVERY_HELP, *words],
        cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = dict(part.split("\n", 1) for part in done.stdout.split("VERB ")[1:])
    assert list(told) == words
    assert all(f"exp {verb}" in text for verb, text in told.items() if verb != "help")
    assert "exp score" in exp("score", "--help", cwd=tmp_path).stdout


def test_a_wrong_verb_is_one_line(tmp_path: Path) -> None:
    done = light("tabel", "gait", cwd=tmp_path)
    assert "CODE 2" in done.stderr
    assert "exp: tabel: no such verb; there are list, " in done.stderr
    assert "did you mean 'table'?" in done.stderr


@pytest.mark.slow
def test_verbs_that_compose_know_further_configuration(tmp_path: Path) -> None:
    (tmp_path / "own" / "att").mkdir(parents=True)
    (tmp_path / "own" / "att" / "wide.yaml").write_text("defaults: [/schema/att/triplet@_here_]\nkernel_size: 9\n")
    (tmp_path / "own" / "mine.yaml").write_text("defaults: [config, _self_]\ntrainer: {max_epochs: 3}\n")
    for where in (["--config-dir", "own"], [f"hydra.searchpath=[file://{tmp_path}/own]"]):
        shown = exp("--cfg", "job", "att=wide", *where, cwd=tmp_path)
        assert "kernel_size: 9" in shown.stdout, shown.stderr
        assert exp("cost", "att=wide", *where, cwd=tmp_path).returncode == 0
        assert exp("table", "kernel", "att=wide", "recipe=quick", *where, cwd=tmp_path).returncode == 0
    named = exp("--cfg", "job", "--config-dir", "own", "-cn", "mine", cwd=tmp_path)
    assert "max_epochs: 3" in named.stdout, named.stderr
    assert "no such folder of configuration" in exp("cost", "--config-dir", "nowhere", cwd=tmp_path).stderr


def test_a_gpu_that_is_not_there_leaves_no_cell(tmp_path: Path) -> None:
    for words in ([], ["--multirun", "att=none,ca"]):
        done = exp(*words, "trainer.accelerator=gpu", cwd=tmp_path, CUDA_VISIBLE_DEVICES="")
        assert done.returncode == 2
        assert "trainer.accelerator=gpu: 0 GPUs are visible here" in done.stderr
        assert not list(tmp_path.iterdir())


PUBLISHED_COSTS = {
    "model=resnet18 att=triplet kernel_size=5 data=imagenet": (11_690_760, 1_817_357_044),
    "task=gait model=baseline data=casia_b": (7_305_408, None),
}


@pytest.mark.parametrize("words", PUBLISHED_COSTS)
def test_a_name_means_the_whole_network(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["cost", *words.split(), "--format", "json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    params, macs = PUBLISHED_COSTS[words]
    assert counts["params"] == params
    assert macs is None or counts["macs"] == macs


def test_cost_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    words = "model=resnet18 att=triplet kernel_size=3 data=cifar100 recipe=sound --format json"
    assert run(["cost", *words.split()]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts.pop("jobs") >= 1
    weights, kept = 16 * 11220612, counts.pop("step_bytes") - counts["state_bytes"]
    assert 128 * 2e6 < kept < 128 * 8e6
    assert counts == {
        "params": 11220612,
        "macs": 556107584,
        "gflops_published": 0.558,
        "samples": 128,
        "state_bytes": weights - 4 * 11220612,
        "operations": 6 * 128 * 556107584,
    }
    assert run(["cost", "--format", "yaml"]) == 2
    assert "--format: invalid choice: 'yaml' (choose from" in capsys.readouterr().err


def test_an_option_of_a_varied_part_is_left_for_each_cell() -> None:
    words = ["--multirun", "att=ca,se", "att.reduction=8", "att.gate=tanh,sigmoid", "optim.lr=1"]
    assert [one_choice(word, words, True) for word in words] == [
        "--multirun", "att=ca,se", "att.reduction=choice(8)", "att.gate=tanh,sigmoid", "optim.lr=1",
    ]  # fmt: skip
    assert one_choice("att.reduction=8", ["att=ca"], False) == "att.reduction=8"
    words = ["--multirun", "hydra.sweeper.table='gait'", "task.margin=1", "data.steps=2", "trainer.max_epochs=1"]
    assert [one_choice(word, words, True) for word in words[2:]] == [
        "task.margin=choice(1)", "data.steps=choice(2)", "trainer.max_epochs=1",
    ]  # fmt: skip


def test_nothing_of_ours_is_left_in_the_environment() -> None:
    assert "EXP_PARENT" not in os.environ
