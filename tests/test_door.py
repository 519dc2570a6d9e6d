"""exp from Python: the examples of its docstrings. What trains cells is in ``tests/plugins``."""

import doctest
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import exp.door
from exp.options.errors import CellFailed
from exp.sweep.lines import new_console
from exp.sweep.plan import Plan
from tests.conftest import python

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_the_examples_of_the_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = doctest.testmod(exp.door, optionflags=doctest.ELLIPSIS)
    assert done.failed == 0
    assert done.attempted >= 10
    assert not list(tmp_path.iterdir())  # nothing has run


def test_what_describes_several_cells_is_for_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for ask in (exp.run, exp.cell):
        with pytest.raises(ValueError, match="seed=0,1: describes 2 cells"):
            ask("seed=0,1")
    assert not list(tmp_path.iterdir())


def test_a_cell_that_never_ran_has_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="waiting, so it has no weights yet"):
        exp.cell("att=ca").load()


def test_weights_of_a_cell_whose_code_has_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cell = exp.cell("att=none", "width=4")
    cell.path.mkdir(parents=True)
    cell.write_config()
    torch.save({"state_dict": {"model.gone": torch.zeros(1)}}, cell.path / "best.ckpt")
    cell.write_result({"code": {"exp.layers.resnet": "0"}, "config": {}})
    with pytest.raises(ValueError, match="since exp.layers.resnet changed after it ran; sweep.force=stale"):
        cell.load()
    assert exp.door.CellList([cell]).frame()["state"].tolist() == ["stale"]
    cell.write_result({"code": {}, "config": {}})
    with pytest.raises(ValueError, match="another model's weights"):
        cell.load()


def test_a_loaded_one_file_task_is_called_like_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exp.tasks.build import build_task

    shutil.copy(EXAMPLES / "moons.py", tmp_path / "called.py")
    monkeypatch.chdir(tmp_path)
    cell = exp.cell("task=./called.py")
    cell.path.mkdir(parents=True)
    cell.write_config()
    torch.save({"state_dict": build_task(cell.resolved.config).lightning.state_dict()}, cell.path / "best.ckpt")
    model: Any = exp.cell("task=./called.py").load()
    x = torch.randn(5, 2)
    assert torch.equal(model(x), model.model(x))


def test_a_plan_has_cells_like_any_and_shows_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = exp.plan("att=none,se", "seed=0,1")
    assert all(type(one.cell) is exp.Cell and one.cell.metrics == [] for one in plan)
    assert repr(plan[0]) == f"<Planned {plan[0].cell.path.name}: missing>"
    assert plan[0].cell.key == exp.cell("att=none", "seed=0").key
    html = plan._repr_html_()
    assert html.count("<tr>") == 5
    assert "<td>se s1</td><td>missing</td>" in html
    monkeypatch.setattr(exp.door, "ROWS", 3)
    assert plan._repr_html_().endswith("<p>and 1 more</p>")


@pytest.mark.parametrize(("prompt", "code", "printed"), [(False, 0, 1), (True, 0, 0), (True, 1, 1)])
def test_a_table_that_ran_is_shown_once(
    prompt: bool,
    code: int,
    printed: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def swept(cells: Any, compose: Any, screen: Any, **given: Any) -> int:
        screen.end(Plan([], []), new_console())
        return code

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exp.door, "run_sweep", swept)
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    table = exp.table("modules", "recipe=quick")
    if code:  # then it returns nothing that would show itself
        with pytest.raises(CellFailed):
            table.run()
    else:
        assert table.run() is table
    assert capsys.readouterr().out.count(table.comparison.plan.table.title) == printed


SHELL = """
import io, sys
from contextlib import redirect_stdout
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell()
for line in sys.argv[1:]:
    shown = io.StringIO()
    with redirect_stdout(shown):
        shell.run_cell(line)
    print(*shown.getvalue().splitlines(), sep="\\n")
    print("--")
"""

RAISED = {
    'import exp; exp.run("task=lane", "arch=lstm")': "ConfigError: arch: no such option; here it is model=NAME",
    "from exp.sweep.typed import ended; ended(1, 'exp')": "CellFailed: exp: a cell has not ended well; see above",
    "ended(130, 'exp')": "KeyboardInterrupt: what ran is saved, and the same call goes on from there",
}


def test_a_notebook_shows_errors_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    done = python(SHELL, *RAISED, cwd=tmp_path, IPYTHONDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("--\n")[:-1] == [f"{line}\n" for line in RAISED.values()]


def test_plain_python_shows_how_an_error_came_about(tmp_path: Path) -> None:
    done = python("import exp\nexp.run('task=lane', 'arch=lstm')", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback")
    assert done.stderr.splitlines()[-1].endswith("ConfigError: arch: no such option; here it is model=NAME")
