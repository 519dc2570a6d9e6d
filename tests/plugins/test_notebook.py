"""The notebook of the examples runs in a real kernel."""

import importlib.util
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import exp, results

nbformat = pytest.importorskip("nbformat", reason="needs nbclient: pip install 'exp-tables[dev]'")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install 'exp-tables[dev]'")
pytest.importorskip("ipykernel", reason="needs ipykernel: pip install 'exp-tables[dev]'")

EXAMPLES = Path(__file__).parents[2] / "examples"


def executed(folder: Path, *words: str) -> list[Any]:
    """Runs the notebook of the examples, its sweep with further options; returns its cells of code."""
    for name in ("moons.py", "notebook.ipynb"):
        shutil.copy(EXAMPLES / name, folder / name)
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    options = '"trainer.max_epochs=3"'
    assert options in notebook.cells[1].source
    notebook.cells[1].source = notebook.cells[1].source.replace(options, ", ".join([options, *map(repr, words)]))
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sweep, frame, loaded, curve = executed(tmp_path)
    panes = [output["data"]["text/html"] for output in sweep.outputs if "6 done" in output["data"].get("text/html", "")]
    assert len(panes) == 1, sweep.outputs  # drawn over while it ran, so that the saved notebook stays readable
    lines = [line for output in sweep.outputs for line in output["data"]["text/plain"].splitlines() if line]
    assert any("6 cells run" in line for line in lines)
    assert len(lines) < 15, lines
    assert "relu" in str(frame.outputs)
    assert "StudyTask" in str(loaded.outputs)
    assert str(curve.outputs).count("(") == 3


LAUNCHERS = {
    "jobs": ("", ["sweep.jobs=2"]),
    "ranks": ("", ["trainer=ddp", "trainer.devices=2"]),
    "submitit": ("submitit", ["hydra/launcher=slurm_local"]),
    "ray": ("ray", ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_the_notebook_runs_elsewhere(launcher: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, words = LAUNCHERS[launcher]
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    sweep, frame, loaded, _ = executed(tmp_path, *words)
    assert "6 cells run" in str(sweep.outputs)
    assert "relu" in str(frame.outputs)
    assert "StudyTask" in str(loaded.outputs)
    runs = results(tmp_path / "multirun")
    plain = exp(
        "--multirun", "task=./moons.py", "act=relu,tanh", "seed=0,1,2", "trainer.max_epochs=3", "cells.dir=plain",
        cwd=tmp_path,
    )  # fmt: skip
    assert plain.returncode == 0, plain.stderr
    expected = results(tmp_path / "plain")
    assert len(runs) == len(expected) == 6
    if launcher == "ranks":  # sums over two ranks round otherwise
        assert {run["world_size"] for run in runs} == {2}
        assert [run["test"]["top1"] for run in runs] == pytest.approx([run["test"]["top1"] for run in expected], abs=2)
    else:
        assert [run["weights_sha256"] for run in runs] == [run["weights_sha256"] for run in expected]


INTERRUPTED = """
import exp
exp.run("task=./moons.py", "trainer.max_epochs=100000", "trainer.threads=1", "trainer.accelerator=cpu")
"""

AFTERWARDS = """
import signal
cells = exp.cells("multirun")
print([cell.status()["state"] for cell in cells], all((cell.path / "last.ckpt").is_file() for cell in cells))
print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
def test_interrupting_the_kernel_saves_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stop button: the cell is saved, the kernel lives on with the signal handler that it had."""
    from jupyter_client.manager import start_new_kernel

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    shutil.copy(EXAMPLES / "moons.py", tmp_path / "moons.py")
    manager, client = start_new_kernel(cwd=str(tmp_path))
    try:
        asked = client.execute(INTERRUPTED)
        until = time.monotonic() + 300
        while not list(tmp_path.glob("multirun/*/*/best.ckpt")):
            assert time.monotonic() < until
            time.sleep(0.2)
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=300)
        while reply["parent_header"]["msg_id"] != asked:  # a busy kernel answers more than once who it is
            reply = client.get_shell_msg(timeout=300)
        assert reply["content"]["ename"] == "KeyboardInterrupt"
        printed: list[str] = []
        client.execute_interactive(
            AFTERWARDS, timeout=120, output_hook=lambda message: printed.append(message["content"].get("text", ""))
        )
        assert "".join(printed).splitlines() == ["['waiting'] True", "True"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
