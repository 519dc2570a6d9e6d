"""A cell of each format that ``result.json`` has had; none is ever changed, since people have such cells."""

import json
import shutil
from pathlib import Path

import pytest

from exp.cells.cell import FORMAT, Cell
from exp.commands.front import run_verb
from exp.options.compose import resolved
from exp.options.errors import ConfigError

FORMATS = Path(__file__).with_name("formats")


def kept(number: int) -> Path:
    return next((FORMATS / str(number)).glob("*/*"))


def test_there_is_a_cell_of_every_format() -> None:
    assert sorted(int(path.name) for path in FORMATS.iterdir()) == list(range(1, FORMAT + 1))
    for number in range(2, FORMAT + 1):
        assert json.loads((kept(number) / "result.json").read_text())["format"] == number


@pytest.mark.parametrize("number", range(1, FORMAT + 1))
def test_a_cell_of_each_format_is_read(number: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = shutil.copytree(FORMATS / str(number), tmp_path / "multirun")
    path = next(root.glob("*/*"))
    cell = Cell.at(path)
    result = cell.result()
    assert result is not None
    assert cell.status()["state"] == "done"
    assert cell.resolved.key == result["key"] == cell.key
    today = resolved(list(cell.resolved.overrides))
    assert today.key == cell.key, "the same choices are the same cell"
    assert today.identity == result["identity"]
    assert Cell.on(today, result["data_fingerprint"], root).path == path
    assert all(name.startswith("exp.") for name in Cell.of(today, root).stale(result["data_fingerprint"]))
    assert isinstance(result["weights_sha256"], str)
    assert run_verb("clean", ["--dir", str(root)]) == 0
    assert "done " in capsys.readouterr().out
    assert run_verb("diff", [str(path), str(path)]) == 0


def test_a_newer_format_is_refused_in_one_line(tmp_path: Path) -> None:
    path = Path(shutil.copytree(kept(FORMAT), tmp_path / "multirun" / "attention" / kept(FORMAT).name))
    result = json.loads((path / "result.json").read_text())
    (path / "result.json").write_text(json.dumps(result | {"format": FORMAT + 1}))
    with pytest.raises(ConfigError, match=rf"result.json: has format {FORMAT + 1}, this version reads up to {FORMAT}"):
        Cell.at(path)


def test_a_damaged_result_is_none(tmp_path: Path) -> None:
    path = Path(shutil.copytree(kept(FORMAT), tmp_path / "multirun" / "attention" / kept(FORMAT).name))
    (path / "result.json").write_text((path / "result.json").read_text()[:500])
    assert Cell.at(path).status()["state"] == "waiting"


@pytest.mark.parametrize(
    "path", sorted((FORMATS.parents[2] / "results").glob("*/*-s[0-9]*.json")), ids=lambda path: path.stem
)
def test_results_that_come_with_the_project_are_read(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "fer" / path.stem
    folder.mkdir(parents=True)
    shutil.copy(path, folder / "result.json")
    cell = Cell.at(folder)
    assert cell.resolved.config.seed == cell.resolved.seed
    assert (cell.result() or {})["test"]
