"""A user's own code behind a cell: what counts, what does not, and that a queued cell runs under no other."""

import importlib.util
import json
import shlex
import shutil
from pathlib import Path

import pytest

from exp.cells import own_code
from exp.options import plugins
from tests.conftest import TINY, exp, python, start
from tests.run.test_resume import wait_for

MOONS = Path(__file__).parents[2] / "examples" / "moons.py"

DIGEST = """
import shlex, sys
from exp.cells.own_code import digest
from exp.options.compose import resolved, with_files
for words in sys.argv[1:]:
    print(digest(resolved(with_files(shlex.split(words))).config))
"""


def digests(folder: Path, *words: str) -> list[str]:
    done = python(DIGEST, *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


def test_what_a_file_imports_counts(tmp_path: Path) -> None:
    text = MOONS.read_text()
    (tmp_path / "moons.py").write_text(f"from parts.more import helper\n{text}")
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "__init__.py").write_text("")
    (tmp_path / "parts" / "more.py").write_text("def helper():\n    from . import deep\n    return deep.X\n")
    (tmp_path / "parts" / "deep.py").write_text("X = 1\n")
    (tmp_path / "parts" / "beside.py").write_text("Y = 1\n")
    first, wider, ours = digests(tmp_path, "task=./moons.py", "task=./moons.py width=4", "task=attention")
    assert first.startswith("code-")
    assert wider == first
    assert ours == ""  # a task that ships with exp has none
    (tmp_path / "parts" / "beside.py").write_text("Y = 2\n")  # nothing imports it
    (tmp_path / "parts" / "deep.py").write_text("# a comment\nX = 1\n")
    assert digests(tmp_path, "task=./moons.py") == [first]
    (tmp_path / "parts" / "deep.py").write_text("X = 2\n")
    assert digests(tmp_path, "task=./moons.py") != [first]


def test_imports_are_read_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "b.py"
    path.write_text("import x.y\nfrom . import c\nfrom .d import e\nfrom ..f import g\nfrom h import i\n")
    there = ["x.y", "p.a", "p.a.c", "p.a.d", "p.a.d.e", "p.f", "p.f.g", "h", "h.i"]
    assert list(own_code._imports("p.a.b", path)) == there
    path.write_text("x = (")
    assert not list(own_code._imports("p.a.b", path))
    assert plugins.tree_hash(path) != plugins.tree_hash(MOONS)


LIT = """
import lightning as L


class Lit(L.LightningModule):
    def __init__(self, width=3):
        super().__init__()
"""


def test_an_adopted_modules_package_counts(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "__init__.py").write_text("")
    (tmp_path / "net" / "lit.py").write_text(LIT)
    assert exp("new", "task", "line", "--from-lightning", "net.lit:Lit", cwd=tmp_path).returncode == 0
    first = digests(tmp_path, "task=line")
    (tmp_path / "net" / "lit.py").write_text(LIT.replace("super()", "self.x = 1\n        super()"))
    assert digests(tmp_path, "task=line") != first


def test_callbacks_of_ones_own_count(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import lightning as L\n\n\nclass Listener(L.Callback):\n    x = 1\n")
    use = "callbacks.use={mine: {target: 'mine:Listener'}}"
    (first,) = digests(tmp_path, shlex.quote(use))
    assert first.startswith("code-")
    (tmp_path / "mine.py").write_text("import lightning as L\n\n\nclass Listener(L.Callback):\n    x = 2\n")
    assert digests(tmp_path, shlex.quote(use)) != [first]


def test_a_job_refuses_other_code(tmp_path: Path) -> None:
    shutil.copy(MOONS, tmp_path / "moons.py")
    words = ("task=./moons.py", "trainer.max_epochs=1", "trainer.threads=1")
    (now,) = digests(tmp_path, shlex.join(words))
    done = exp(*words, "origin.code=code-0123456789ab", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        "exp: task=moons: your code has changed since this cell was queued; the same command queues it anew\n"
    )
    assert not list(tmp_path.glob("multirun/*/*/result.json"))
    done = exp(*words, f"origin.code={now}", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "origin.code" not in done.stdout  # what it says to type next is for any code
    assert "origin.code" not in json.loads(next(tmp_path.glob("multirun/*/*/result.json")).read_text())["identity"]


WAITS = """

import os
import pathlib
import time

if "SUBMITIT_EXECUTOR" in os.environ:  # in the job alone
    pathlib.Path("{folder}/started").touch()
    while not pathlib.Path("{folder}/go").exists():
        time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="hydra-submitit-launcher is not installed: make test-plugins"
)
def test_code_that_is_edited_while_a_cell_is_queued(tmp_path: Path) -> None:
    assert exp("new", "metric", "mean_f1", cwd=tmp_path).returncode == 0
    options, metric = tmp_path / "mean_f1" / "options.py", tmp_path / "mean_f1" / "metric.py"
    options.write_text(options.read_text() + WAITS.replace("{folder}", str(tmp_path)))
    words = ("--multirun", "hydra/launcher=slurm_local", "metrics=mean_f1", "att=none", *TINY)
    process = start(*words, cwd=tmp_path)
    wait_for(lambda: (tmp_path / "started").exists(), process, seconds=180)
    text = metric.read_text()
    metric.write_text(text.replace("macro", "weighted"))
    (tmp_path / "go").touch()
    assert process.wait(180) == 1
    told = (tmp_path / "out.txt").read_text()
    assert "your code has changed since this cell was queued; the same command queues it anew" in told
    assert "Traceback" not in told
    again = exp(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stdout + again.stderr
    (path,) = tmp_path.glob("multirun/*/*/result.json")
    code = json.loads(path.read_text())["code"]
    assert code["mean_f1.metric"] == plugins.tree_hash(metric)
