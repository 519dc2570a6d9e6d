"""Hydra's own options as its users know them, under our sweeper and launcher."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from exp.commands.flags import Flags
from exp.options.compose import searching
from exp.options.errors import ConfigError
from exp.sweep.hydra import combinations
from tests.conftest import TINY, exp, results

MINE = """
defaults: [config, _self_]
trainer: {max_epochs: 1}
hydra:
  mode: MULTIRUN
  verbose: exp.test
  sweeper: {params: {seed: "range(2)"}}
  job: {env_set: {EXP_TEST_WORD: told}}
  callbacks: {notes: {_target_: own.Notes}}
"""

OWN = """
import logging, os
from hydra.experimental.callback import Callback
from torch import nn

class Block(nn.Identity):
    def __init__(self, channels):
        super().__init__()
        print("WORD", os.environ.get("EXP_TEST_WORD"))
        logging.getLogger("exp.test").debug("a message for those who ask")

class Notes(Callback):
    def write(self, line):
        with open("notes.txt", "a") as file:
            print(line, file=file)
    def on_multirun_start(self, config, **more):
        self.write("sweep starts")
    def on_job_start(self, config, *, task_function, **more):
        self.write(f"job starts {config.seed}")
    def on_job_end(self, config, job_return, **more):
        self.write(f"job ends {config.seed} {job_return.status.name}")
    def on_multirun_end(self, config, **more):
        self.write("sweep ends")
"""


@pytest.mark.slow
def test_params_environment_messages_and_callbacks_of_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "mine.yaml").write_text(MINE)
    (tmp_path / "own.py").write_text(OWN)
    tiny = [word for word in TINY if not word.startswith("trainer.max_epochs")]
    words = ["--config-dir", "conf", "-cn", "mine", "att=custom", "att.target=own:Block", *tiny]
    shown = exp("--cfg", "job", "-p", "seed", *words, cwd=tmp_path)
    assert [line for line in shown.stdout.splitlines() if line.isdigit()] == ["0", "1"], shown.stderr
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [run["seed"] for run in results(tmp_path / "multirun")] == [0, 1]
    for log in tmp_path.glob("multirun/*/*/log.txt"):
        assert "WORD told" in log.read_text()
        assert "[exp.test][DEBUG] a message for those who ask" in log.read_text()
    notes = (tmp_path / "notes.txt").read_text().splitlines()
    assert (notes[0], notes[-1]) == ("sweep starts", "sweep ends")
    jobs = ["job ends 0 COMPLETED", "job ends 1 COMPLETED", "job starts 0", "job starts 1"]
    assert sorted(notes[1:-1]) == jobs
    kept = OmegaConf.load(tmp_path / "multirun" / "multirun.yaml")
    assert kept.hydra.sweeper.params.seed == "range(2)"


@pytest.mark.parametrize(
    "word",
    ["hydra.run.dir=x", "hydra.sweep.dir=x", "hydra.sweep.subdir=x", "hydra.output_subdir=x", "hydra.job.chdir=true"],
)
def test_what_would_move_hydras_files_is_refused(word: str) -> None:
    for words in ([word], ["--multirun", f"+{word}"]):
        with pytest.raises(ConfigError, match=r"cells\.dir|leave it out"):
            Flags.read(words).refuse()
    Flags.read(["hydra.run.dir=.", "hydra.job.chdir=false", "hydra.sweep.dir=multirun"]).refuse()


def test_a_configuration_that_moves_hydras_files_leaves_nothing(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    moved = {
        "run: {dir: elsewhere}": "hydra.run.dir=elsewhere: cells lie below cells.dir; give that",
        "output_subdir: .hydra": "hydra.output_subdir=.hydra: a cell keeps its choices in config.json; leave it out",
    }
    for number, (line, says) in enumerate(moved.items()):
        (conf / f"mine{number}.yaml").write_text(f"defaults: [config, _self_]\nhydra:\n  {line}\n")
        ended = exp("--config-dir", "conf", "-cn", f"mine{number}", cwd=tmp_path)
        assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"exp: {says}\n")
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


FLAGS = {
    "--multirum": "--multirum: no such flag; did you mean '--multirun'?",
    "--multirum att=ca": "--multirum: no such flag; did you mean '--multirun'?",
    "--report": "--report: no such flag; that is a verb: exp report ...",
    "--cfg": "--cfg/-c: expected one argument",
    "--cfg jobb": "invalid choice: 'jobb'",
    "--run --multirun": "--run and --multirun: give one of them",
    "--experimental-rerun x.pickle": "a cell runs again by its own command with sweep.force=done",
    "--config-path x": "--config-path: exp's own configuration is needed; add yours with --config-dir",
    "--config-dir nowhere": "--config-dir nowhere: no such folder of configuration",
}


@pytest.mark.parametrize("words", FLAGS)
def test_a_slip_of_a_flag_is_one_line(words: str) -> None:
    with pytest.raises(ConfigError) as error:
        Flags.read(words.split()).refuse()
    assert FLAGS[words] in str(error.value)


def test_flags_may_come_between_words() -> None:
    flags = Flags.read(["att=ca", "--multirun", "seed=0,1", "-cn", "mine", "lr=1"])
    assert (flags.flags, flags.words) == (["--multirun", "-cn", "mine"], ["att=ca", "seed=0,1", "lr=1"])
    assert flags.multirun
    assert flags.name == "mine"


def test_a_sweep_lists_what_matches_and_what_a_configuration_says() -> None:
    from hydra.core.global_hydra import GlobalHydra

    with searching():
        loader = GlobalHydra.instance().config_loader()
        assert combinations(["att=glob(tri*)"], {}, None, loader) == [
            ["att=triplet"], ["att=tripletca"], ["att=tripletlka"],
        ]  # fmt: skip
        params = {"att": "ca,se", "optim.lr": 0.1, "model": "resnet18"}
        assert combinations(["att=eca"], params, None, loader) == [["att=eca", "optim.lr=0.1", "model=resnet18"]]
        assert len(combinations(["seed=range(3)"], params, None, loader)) == 6
        with pytest.raises(ConfigError, match=r"att=glob\(x\*\): no choice of att is like that"):
            combinations(["att=glob(x*)"], {}, None, loader)


def test_cells_of_a_file_are_values_as_given(tmp_path: Path) -> None:
    from exp.sweep.plan import explicit_cells

    cells = [{"model.layout": "(n c) s (h w)", "x": "a,b", "y": "a=b"}, {"att.options": {"a": {"b": [1, "c d"]}}}]
    OmegaConf.save(OmegaConf.create(cells), tmp_path / "cells.yaml")
    parser = OverridesParser.create()
    read = [
        {one.key_or_group: one.value() for one in parser.parse_overrides(words)}
        for words in explicit_cells(str(tmp_path / "cells.yaml"))
    ]
    assert read == cells
