"""Classes and maps of one's own photos, through the command line."""

import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.commands.front import run_verb
from tests.conftest import TINY


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from exp.cells.cell import Cell
    from exp.options.compose import resolved
    from exp.run.job import run_cell

    cells = tmp_path_factory.mktemp("cells")
    given = [*TINY, "lr=0.01", "att=triplet", "data.size=16", f"cells.dir={cells}"]
    cell = Cell.of(resolved(given))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert run_cell(cell.resolved, command="test") == "done"
    return cell.path / "best.ckpt"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    image = np.random.RandomState(0).randint(0, 256, (40, 60, 3)).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "photo.jpg"), image)
    return tmp_path / "photo.jpg"


def predict(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = run_verb("predict", ["task=attention", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_five_classes_and_a_picture(
    checkpoint: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = predict(capsys, f"ckpt={checkpoint}", f"out={tmp_path}/maps", photo)
    assert code == 0
    assert out.count("%") == 5
    assert cv2.imread(str(tmp_path / "maps" / "photo.attention.png")) is not None


def test_json_without_maps(
    checkpoint: Path, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photo.parent)
    code, out, _ = predict(capsys, f"ckpt={checkpoint}", "format=json", "maps=false", photo)
    entry = json.loads(out)
    assert code == 0
    assert len(entry["classes"]) == 5
    assert list(entry["classes"].values()) == sorted(entry["classes"].values(), reverse=True)
    assert entry["maps"] is None
    assert sorted(path.name for path in photo.parent.iterdir()) == ["photo.jpg"]


def test_the_tests_own_images_are_classified_as_in_the_test(checkpoint: Path) -> None:
    from exp.tasks.attention.predict import classify
    from exp.tasks.checkpoint import load_task

    task: Any = load_task(str(checkpoint), "attention")
    split = task.splits["test"]
    guesses = [next(iter(classify(task, split.images[row], None))) for row in range(40)]
    result = json.loads((checkpoint.parent / "result.json").read_text())
    hits = 100 * np.mean([int(guess) == label for guess, label in zip(guesses, split.labels[:40], strict=True)])
    assert hits == pytest.approx(result["test"]["top1"], abs=20)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["photo.jpg"], "ckpt"),
        (["CKPT"], "give photos"),
        (["CKPT", "size=3", "photo.jpg"], "size: no such option"),
        (["CKPT", "format=xml", "photo.jpg"], "format=xml"),
        (["CKPT", "target=a:B", "photo.jpg"], "no block of yours"),
        (["CKPT", "missing.jpg"], "none of the photos"),
    ],
)
def test_one_line_of_complaint(
    checkpoint: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = predict(capsys, *(f"ckpt={checkpoint}" if word == "CKPT" else word for word in words))
    assert code == 2
    assert message in err.splitlines()[-1]
