"""What cannot be written where the user asked for it is one line and exit code 2, whatever the verb."""

import json
from pathlib import Path

import pytest

from exp.__main__ import run
from exp.cells.files import write_json
from exp.tables.reading import load
from tests.tables.cells import QUICK, compared

WORDS = [*QUICK, "seed=0,1"]

PAPER = "| method | top1 |\n|---|---|\n| none | 90.0 |\n| ca | 91.0 |\n"

ASKED = {
    "table modules --format md --out FILE/x.md": "FILE/x.md: cannot be written (Not a directory); give another place",
    "table modules --format html --out no/x.html": "no/x.html: cannot be written (No such file or directory); give",
    "table modules --out here": "here: cannot be written (Is a directory); give another place with --out",
    "table modules --run --out no/x.md": "no: cannot be written (No such file or directory); give another place",
    "table modules --run cells.dir=FILE/x": "FILE is a file; give another folder with cells.dir=",
    "table modules --run cells.dir=/proc/nope": "/proc cannot be written to (No such file or directory); give another",
    "table new paper.md --out FILE/x.yaml": "FILE/x.yaml: there is no folder FILE",
    "table new paper.md --out /proc/x.yaml": "/proc/x.yaml: cannot be written (No such file or directory); give another",
    "report cells.dir=FILE": "FILE: cannot be written (it is a file); the report and its figures lie beside the cells; give",
    "report --site FILE/site": "FILE: cannot be written (it is a file); give another folder with --site",
    "report --site /proc/site": "/proc/site: cannot be written (No such file or directory); give another folder with",
    "pack modules --out no/c.zip": "no/c.zip: cannot be written (No such file or directory); give another place with",
    "pack modules --out FILE/c.zip": "FILE/c.zip: cannot be written (Not a directory); give another place with --out",
    "export modules --out FILE/x": "cannot be written (Not a directory); give another folder with --out",
    "export modules --out FILE": "cannot be written (Not a directory); give another folder with --out",
    "merge multirun --into FILE/x": "cannot be written (Not a directory); give another folder with --into",
    "dashboard modules cells.dir=FILE/x": "cannot be written (Not a directory); it lies beside the cells; give another",
}
"""Command lines that ask for a file where there can be none, and what is said."""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("")
    (tmp_path / "here").mkdir()
    (tmp_path / "paper.md").write_text(PAPER)
    compared(tmp_path / "multirun", "modules", WORDS, {name: [90.0, 91.0] for name in load("modules").rows})
    for path in Path("multirun").glob("*/*/result.json"):  # what a run adds and merging asks for
        write_json(path, json.loads(path.read_text()) | {"key": path.parent.name[-10:]})
    return tmp_path


@pytest.mark.parametrize("line", ASKED)
def test_what_cannot_be_written_is_one_line(line: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verb, *words = line.split()
    of_cells = verb in ("table", "pack", "export", "dashboard") and words[0] != "new"
    assert run([verb, *words, *(WORDS if of_cells or "--site" in words else [])]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1, error
    assert error[0].startswith("exp")
    assert ASKED[line] in error[0]
    assert (here / "FILE").read_text() == ""


@pytest.mark.parametrize("kind", ["task", "table"])
def test_a_new_thing_where_nothing_can_be_made(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir("/proc")
    assert run(["new", kind, "stripes"]) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1, error
    assert error[0].endswith("it is made in the working directory; go to a folder of yours")


def test_what_cannot_be_removed_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    write_json(next(here.glob("multirun/*/*")) / "status.json", {"state": "done"})
    monkeypatch.setattr("exp.commands.clean.shutil.rmtree", refuse)
    cell = next(here.glob("multirun/*/*/result.json")).parent
    assert run(["clean", cell.name, "--yes"]) == 2
    assert "cannot be removed (Permission denied); it may be somebody else's" in capsys.readouterr().err
