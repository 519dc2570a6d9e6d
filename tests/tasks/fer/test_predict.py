"""Predicting expressions of one's own photos, through the command line."""

import csv
import json
import warnings
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from exp.cells.cell import Cell
from exp.commands.front import run_verb
from exp.options.compose import resolved
from exp.run.job import run_cell
from exp.tasks.fer.data.expression import EXPRESSIONS
from exp.tasks.fer.data.faces import draw_faces
from exp.tasks.fer.predict import face_crop
from tests.tasks.fer.data.fer_files import faces
from tests.tasks.fer.test_module import TINY


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXP_CACHE", str(tmp_path_factory.mktemp("cache")))
        given = [word for word in TINY if "max_epochs" not in word]
        cells = tmp_path_factory.mktemp("cells")
        one = resolved([*given, "trainer.max_epochs=1", f"cells.dir={cells}"])
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            assert run_cell(one, command="test") == "done"
        yield Cell.of(one).path / "best.ckpt"


def say(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = run_verb("predict", ["task=fer", *map(str, words)])
    out = capsys.readouterr()
    return code, out.out, out.err


def test_seven_probabilities_of_a_photo_of_any_size_and_colour(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = draw_faces(np.array([3]), 0.0, np.random.RandomState(0))[0]
    large = cv2.resize(face, (96, 96), interpolation=cv2.INTER_NEAREST)
    assert cv2.imwrite(str(tmp_path / "grey.png"), face)
    assert cv2.imwrite(str(tmp_path / "colour.png"), cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
    assert cv2.imwrite(str(tmp_path / "wide.png"), np.pad(face, ((0, 0), (20, 20))))
    code, out, _ = say(capsys, f"ckpt={checkpoint}", "format=json", *sorted(tmp_path.glob("*.png")))
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [Path(row.pop("file")).name for row in rows] == ["colour.png", "grey.png", "wide.png"]
    assert list(rows[0]) == list(EXPRESSIONS)
    assert all(sum(row.values()) == pytest.approx(1, abs=1e-5) for row in rows)
    assert rows[0] == pytest.approx(rows[1], abs=1e-5)
    assert rows[1] == rows[2]  # the centre square is the face


def test_the_text_marks_the_most_probable(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), faces(1)[0][0])
    code, out, _ = say(capsys, f"ckpt={checkpoint}", tmp_path / "a.png")
    assert code == 0
    lines = out.splitlines()[1:]
    shares = [float(line.split()[1]) for line in lines]
    assert [line.split()[0] for line in lines] == list(EXPRESSIONS)
    assert [line.endswith("<") for line in lines].index(True) == shares.index(max(shares))
    assert sum(line.endswith("<") for line in lines) == 1


def test_a_submission_has_a_row_for_each_face(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = faces(9)
    rows = "\n".join(f'"{" ".join(map(str, image.ravel()))}"' for image in images)
    (tmp_path / "test.csv").write_text(f"pixels\n{rows}\n")
    code, out, _ = say(capsys, f"ckpt={checkpoint}", f"out={tmp_path}/s.csv", tmp_path / "test.csv")
    assert code == 0
    assert "9 rows" in out
    with open(tmp_path / "s.csv") as file:
        written = list(csv.DictReader(file))
    assert [row["id"] for row in written] == [str(n) for n in range(9)]
    assert {int(row["emotion"]) for row in written} <= set(range(7))
    for number, image in enumerate(images):
        assert cv2.imwrite(str(tmp_path / f"{number}.png"), image)
    _, out, _ = say(capsys, f"ckpt={checkpoint}", "format=json", *(tmp_path / f"{n}.png" for n in range(9)))
    for line, row in zip(out.splitlines(), written, strict=True):
        values = list(json.loads(line).values())[1:]
        assert values.index(max(values)) == int(row["emotion"])


def test_a_damaged_photo_is_named_and_the_others_are_done(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), faces(1)[0][0])
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:50])
    code, out, err = say(capsys, f"ckpt={checkpoint}", tmp_path / "b.png", tmp_path / "a.png")
    assert (code, out.count("%")) == (1, 7)
    assert "b.png: truncated PNG" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.png"], "ckpt: give the checkpoint of a fer cell"),
        (["ckpt=nowhere.ckpt", "a.png"], "ckpt=nowhere.ckpt: no such file"),
        (["ckpt=x", "fromat=json", "a.png"], "fromat: no such option; did you mean 'format'"),
        (["ckpt=x", "out=s.csv", "a.png"], "out: no such option"),
        (["ckpt=x", "format=xml", "a.png"], "format=xml: not one of text, json"),
        (["ckpt=x"], "give face crops"),
        (["ckpt=x", "a.csv", "b.png"], "give face crops"),
    ],
)
def test_wrong_words_are_one_line_errors(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = say(capsys, *words)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_a_checkpoint_needs_its_cell(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "best.ckpt").write_bytes(checkpoint.read_bytes())
    code, _, err = say(capsys, f"ckpt={tmp_path}/best.ckpt", "a.png")
    assert code == 2
    assert "no cell's config.json lies beside it; keep checkpoint and cell together" in err


def test_a_crop_is_the_centre_square(tmp_path: Path) -> None:
    image = np.zeros((60, 96), np.uint8)
    image[:, 18:78] = 200
    assert cv2.imwrite(str(tmp_path / "a.png"), image)
    assert (face_crop(tmp_path / "a.png") == 200).all()
