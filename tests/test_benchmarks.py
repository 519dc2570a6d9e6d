"""The benchmarks: what the document shows is what was measured, and a row says what it compares."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A benchmark as a module; what it imports beside itself is found as when it is run."""
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_current(monkeypatch: pytest.MonkeyPatch) -> None:
    render = script("render", monkeypatch)
    text = render.DOCUMENT.read_text()
    assert render.rendered(text) == text, "python benchmarks/render.py brings it up to date"


def test_every_result_is_of_a_script_and_none_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = set(script("all", monkeypatch).SCRIPTS)
    results = sorted((FOLDER / "results").glob("*.json"))
    assert results
    for path in results:
        rows = json.loads(path.read_text())["rows"]
        assert set(rows) <= scripts
        assert all(row["equal"] for of_script in rows.values() for row in of_script)


def test_a_row_is_void_where_results_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = script("measure", monkeypatch)
    row = {"what": "a", "against": "b", "of": "CPU time", "limit": 0.5}
    assert measure.Row(**row, ratio=0.4).verdict == "yes"
    assert measure.Row(**row, ratio=0.6).verdict == "no"
    assert measure.Row(**row, ratio=0.1, equal=False).verdict == "void"
    x = torch.ones(1000, requires_grad=True)
    assert measure.kept(lambda: (x * x, x.exp())) == 8000
    assert measure.close([torch.ones(2)], [torch.ones(2) + 1e-7], 1e-6)
    assert not measure.close([torch.ones(2)], [torch.ones(2) + 1e-5], 1e-6)


@pytest.mark.slow
def test_rows_are_printed_one_an_object(tmp_path: Path) -> None:
    path = tmp_path / "two.py"
    path.write_text(
        "from measure import Row, main\n"
        "main(lambda: iter([Row('a', 'b', 'CPU time', 0.5, 1.0), Row('c', 'd', 'CPU time', 0.5, 1.0, False)]), __doc__)\n"
    )
    done = subprocess.run(
        [sys.executable, str(path), "--format", "json"],
        env={"PYTHONPATH": str(FOLDER), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [json.loads(line)["what"] for line in done.stdout.splitlines()] == ["a", "c"]
    assert done.returncode == 1, done.stderr
