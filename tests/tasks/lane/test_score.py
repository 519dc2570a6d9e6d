"""The commands that score files of predictions."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from exp.commands.front import run_verb
from exp.tasks.lane.score import SCORES
from tests.tasks.lane.metrics.test_tusimple import ROWS, lane


def culane(*words: str) -> int:
    return run_verb("score", ["culane", *words])


def tusimple(*words: str) -> int:
    return run_verb("score", ["tusimple", *words])


def of(folders: Path) -> list[str]:
    return ["--pred", str(folders / "pred"), "--gt", str(folders / "gt")]


def test_culane_by_category(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*of(folders), "--splits", str(folders / "splits")]
    assert culane(*words, "--format", "json") == 0
    scores = json.loads(capsys.readouterr().out)
    normal, cross = scores["categories"]["normal"], scores["categories"]["cross"]
    assert {key: normal["iou"]["0.5"][key] for key in ("tp", "fp", "fn")} == {"tp": 2, "fp": 1, "fn": 1}
    assert {key: cross["iou"]["0.5"][key] for key in ("tp", "fp", "fn")} == {"tp": 0, "fp": 1, "fn": 0}
    assert scores["total"]["iou"]["0.5"]["f1"] == pytest.approx(200 * 2 / (4 + 2 + 1))
    assert scores["images"]["a/1.lines.txt"] == {"0.5": [1, 1, 1], "0.75": [1, 1, 1]}
    assert scores["warnings"] == []
    assert culane(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split()[:2] == ["total", "3"]
    assert [line.split()[0] for line in lines[1:]] == ["normal", "cross", "total"]


def test_the_size_of_images_and_lanes_is_an_option(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = []
    for width in ("30", "2"):
        assert culane(*of(folders), "--size", "1276x717", "--line-width", width, "--format", "json") == 0
        scores.append(json.loads(capsys.readouterr().out)["total"]["mf1"])
    assert scores[0] >= scores[1]
    assert culane(*of(folders), "--line-width", "0") == 2
    assert "--line-width 0: from 1 to 255" in capsys.readouterr().err


def test_culane_of_all_labels_where_no_list_is_given(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "pred/a/3.lines.txt").unlink()
    assert culane(*of(folders)) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[-1].split()[:2] == ["total", "3"]
    assert captured.err.startswith("warning: 1 of 3 images have no prediction")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: (at / "gt/a/1.lines.txt").unlink(), "1 of 2 labels are missing, the first is a/1.lines.txt"),
        (lambda at: (at / "pred/a/1.lines.txt").write_text("1 2 3\n"), "line 1: 3 numbers do not make x y pairs"),
        (lambda at: (at / "pred/a/1.lines.txt").write_text("1 2\nnan 3\n"), "line 2: a coordinate is nan"),
        (lambda at: (at / "pred/a/1.lines.txt").write_text("1 two\n"), "line 1: 'two' is no number"),
        (lambda at: (at / "pred/a/1.lines.txt").write_bytes(b"1\xff\xfe"), "not a text file"),
        (lambda at: (at / "list.txt").write_text("a/1.jpg\na/1.jpg\n"), "a/1.jpg is listed twice"),
    ],
)
def test_damaged_files_are_one_line(
    folders: Path, spoil: Callable[[Path], object], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = folders / "list.txt"
    names.write_text("a/1.jpg\na/2.jpg\n")
    spoil(folders)
    assert culane(*of(folders), "--list", str(names)) == 2
    error = capsys.readouterr().err
    assert error.startswith("exp score: ")
    assert message in error
    assert error.count("\n") == 1


def test_wrong_folders_are_one_line(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        (["--pred", "nowhere", "--gt", str(folders / "gt")], "--pred nowhere: no such folder"),
        (["--pred", str(folders / "pred"), "--gt", str(folders / "splits")], "no .lines.txt files there"),
    ):
        assert culane(*words) == 2
        assert message in capsys.readouterr().err
    (folders / "none").mkdir()
    assert culane(*of(folders), "--splits", str(folders / "none")) == 2
    assert "no lists there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "big"], "--size big: expected WIDTHxHEIGHT, such as 1640x590"),
        (["--size", "0x3"], "--size 0x3: both numbers have to be positive"),
        (["--iou", "0.5", "1"], "--iou 1: has to be at least 0 and below 1"),
        (["--format", "xml"], "--format: invalid choice: 'xml'"),
        (["--size"], "--size: expected one argument"),
        (["--width", "3"], "--width: no such flag"),
    ],
)
def test_wrong_options_are_one_line(
    folders: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert culane(*of(folders), *words) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"exp score: {message}")
    assert error.count("\n") == 1


def test_what_is_missing_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert culane() == 2
    assert capsys.readouterr().err == "exp score: needs --pred PRED and --gt GT; exp score culane --help says more\n"
    assert tusimple("one") == 2
    assert capsys.readouterr().err == "exp score: needs GT; exp score tusimple --help says more\n"


@pytest.mark.parametrize("name", SCORES)
def test_help_ends_with_code_0(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb("score", [name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: exp score {name} ")
    assert SCORES[name].meaning.partition(" of ")[0] in text


def test_tusimple(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, predicted = tmp_path / "gt.json", tmp_path / "pred.json"
    truth.write_text(json.dumps({"raw_file": "a", "lanes": [lane(300)], "h_samples": ROWS}) + "\n")
    predicted.write_text(json.dumps({"raw_file": "a", "lanes": [lane(300), lane(600)], "run_time": 10}) + "\n")
    assert tusimple(str(predicted), str(truth), "--format", "json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "accuracy": 1.0, "fp": 0.5, "fn": 0.0, "f1": pytest.approx(2 * 0.5 / 1.5),
    }  # fmt: skip
    assert tusimple(str(predicted), str(truth)) == 0
    assert capsys.readouterr().out == "accuracy 100.00  fp 50.00  fn 0.00  f1 66.67\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "line 1: damaged JSON"),
        (b"\n[1]\n", "line 2: not a JSON object"),
        (b"{\xff\xfe", "not a text file"),
        (b"", "predictions: no frames there"),
    ],
)
def test_damaged_tusimple_files_are_one_line(
    tmp_path: Path, content: bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, predicted = tmp_path / "gt.json", tmp_path / "pred.json"
    truth.write_text(json.dumps({"raw_file": "a", "lanes": [lane(300)], "h_samples": ROWS}) + "\n")
    predicted.write_bytes(content)
    assert tusimple(str(predicted), str(truth)) == 2
    error = capsys.readouterr().err
    assert error.startswith("exp score: ")
    assert message in error
    assert error.count("\n") == 1


def test_no_torch_is_needed() -> None:
    code = "import sys, exp.tasks.lane.score; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ('{"raw_file": "a", "lanes": [[300]], "run_time": "fast"}', 'run_time is "fast"'),
        ('{"raw_file": "a", "lanes": [[300]], "run_time": null}', "run_time is null"),
        ('{"raw_file": "a", "lanes": null, "run_time": 1}', "lanes are null"),
        ('{"raw_file": "a", "lanes": [5], "run_time": 1}', "lanes are [5]"),
        ("[5]", "not a JSON object"),
        ("{}", "lacks raw_file, lanes, run_time"),
    ],
)
def test_odd_predictions_are_one_line(
    tmp_path: Path, frame: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, predicted = tmp_path / "gt.json", tmp_path / "pred.json"
    truth.write_text(json.dumps({"raw_file": "a", "lanes": [lane(300)], "h_samples": ROWS}) + "\n")
    predicted.write_text(frame + "\n")
    assert tusimple(str(predicted), str(truth)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_labels_without_a_lane_are_nothing_to_score_against(
    tmp_path: Path, folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, predicted = tmp_path / "gt.json", tmp_path / "pred.json"
    truth.write_text(json.dumps({"raw_file": "a", "lanes": [[-2] * len(ROWS)], "h_samples": ROWS}) + "\n")
    predicted.write_text('{"raw_file": "a", "lanes": [], "run_time": 1}\n')
    assert tusimple(str(predicted), str(truth)) == 2
    assert "none of the 1 frames has a lane to score against" in capsys.readouterr().err
    for path in (folders / "gt").rglob("*.lines.txt"):
        path.write_text("")
    assert culane("--pred", str(folders / "pred"), "--gt", str(folders / "gt")) == 0
    assert "none of the 3 labels has a lane" in capsys.readouterr().err


def test_a_drivers_folder_may_be_a_link(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "gt" / "a").rename(folders / "elsewhere")
    (folders / "gt" / "a").symlink_to(folders / "elsewhere", target_is_directory=True)
    (folders / "elsewhere" / "round").symlink_to(folders / "gt", target_is_directory=True)
    assert culane("--pred", str(folders / "pred"), "--gt", str(folders / "gt")) == 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["total", "3"]
