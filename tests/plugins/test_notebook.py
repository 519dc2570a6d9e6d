"""The notebook of the examples runs in a real kernel."""

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbclient: pip install 'exp-tables[dev]'")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install 'exp-tables[dev]'")
pytest.importorskip("ipykernel", reason="needs ipykernel: pip install 'exp-tables[dev]'")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own packages
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("moons.py", "notebook.ipynb"):
        shutil.copy(EXAMPLES / name, tmp_path / name)
    notebook = nbformat.read(tmp_path / "notebook.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = ["".join(str(output) for output in cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    assert "6 cells run" in outputs[0]
    lines = [line for output in notebook.cells[1].outputs for line in output["data"]["text/plain"].splitlines() if line]
    events = Counter(line.split("  ")[0].strip() for line in lines)
    assert {name: events[name] for name in ("running", "done")} == {"running": 6, "done": 6}, lines
    assert len(lines) < 30, lines  # a line an event, so that the saved notebook stays readable
    assert "relu" in outputs[1]
    assert "StudyTask" in outputs[2]


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
