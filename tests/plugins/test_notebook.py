"""The notebook of the examples runs in a real kernel."""

import shutil
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
    assert "relu" in outputs[1]
    assert "StudyTask" in outputs[2]
