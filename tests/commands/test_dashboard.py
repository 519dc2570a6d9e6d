import json
import warnings
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.commands import dashboard
from exp.tables.plan import Planner
from tests.tables.cells import QUICK


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_server_it_writes_its_specification_and_says_how_to_send(tmp_path: Path) -> None:
    plan = Planner(tmp_path).plan("activation", [*QUICK, "seed=0"])
    folder = plan.cells[0].cell.path / "wandb" / "offline-run-1-x"
    folder.mkdir(parents=True)
    said = dashboard.dashboard(plan, "exp", "")
    assert "specification is in" in said[0]
    assert said[1] == f"To send offline runs: wandb sync {folder}"
    spec = json.loads((tmp_path / "dashboard-activation.json").read_text())
    assert spec["group"] == "activation"
    assert spec["runs"] == sorted(one.cell.resolved.key for one in plan.cells)
    assert spec["sections"][0]["panels"][0]["groupby"] == ["att.activation"]
    assert "65.72" in spec["sections"][-1]["panels"][0]["text"]


@pytest.mark.extras
def test_the_specification_makes_a_workspace(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, of a library it builds on
        pytest.importorskip("wandb_workspaces.reports.v2")
    plan = Planner(tmp_path).plan("modules", [*QUICK, "seed=0"])
    made = dashboard.workspace(dashboard.specification(plan, "exp", "me"))
    assert [section.name for section in made.sections] == ["Against step", "Final", "Cost", "Pictures", "Published"]
    assert [panel.title for panel in made.sections[1].panels] == ["top1", "top5"]


@pytest.mark.parametrize(
    ("words", "code", "printed"),
    [
        ([], 2, "needs TABLE; exp dashboard --help says more"),
        (["modules", "gait"], 2, "gait"),
        (["--help"], 0, "usage: exp dashboard"),
    ],
)
def test_usage(capsys: pytest.CaptureFixture[str], words: list[str], code: int, printed: str) -> None:
    assert run(["dashboard", *words]) == code
    assert printed in "".join(capsys.readouterr())
