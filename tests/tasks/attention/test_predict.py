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


def test_photos_of_one_name_in_two_folders_have_a_picture_each(
    checkpoint: Path, photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other").mkdir()
    other = tmp_path / "other" / photo.name
    other.write_bytes(photo.read_bytes())
    assert predict(capsys, f"ckpt={checkpoint}", f"out={tmp_path}/maps", photo, other)[0] == 0
    names = sorted(path.relative_to(tmp_path / "maps").as_posix() for path in (tmp_path / "maps").rglob("*.png"))
    assert names == ["other/photo.attention.png", "photo.attention.png"]


def test_the_training_images_are_not_needed(
    tmp_path: Path, photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from exp.cells.cell import Cell
    from exp.options.compose import resolved
    from exp.tasks.build import build_task

    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    for part in ("train", "val"):
        for name in ("cat", "dog", "emu"):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            (tmp_path / "set" / part / name / "1.jpg").write_bytes(photo.read_bytes())
    cell = Cell.of(resolved(["data=imagefolder", f"data.root={tmp_path / 'set'}", "data.size=16", "width=4"]), tmp_path)
    task = build_task(cell.resolved.config)
    cell.path.mkdir(parents=True)
    cell.write_config()
    kept = {"state_dict": task.state_dict(), "best": None, "classes": task.source.class_names}
    torch.save(kept, cell.path / "best.ckpt")
    (tmp_path / "set").rename(tmp_path / "gone")
    code, out, err = predict(capsys, f"ckpt={cell.path / 'best.ckpt'}", "maps=false", photo)
    assert code == 0, err
    assert {line.split()[0] for line in out.splitlines()[1:]} == {"cat", "dog", "emu"}
