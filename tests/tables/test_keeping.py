import os
from pathlib import Path

import pytest

from exp.tables.keeping import Kept, files_below, state_of


def test_a_state_changes_with_files_and_words(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("a: 1")
    states = [state_of([path]), state_of([path], "word"), state_of([path, tmp_path / "missing"])]
    assert states[0] == state_of([path])
    os.utime(path, ns=(1, 1))
    states.append(state_of([path]))
    path.unlink()
    states.append(state_of([path]))
    assert len({*states}) == 5
    assert state_of([], "a", "b") != state_of([], "ab")


def test_files_below_are_found_by_their_ends(tmp_path: Path) -> None:
    for name in ("a.py", "options.py", "deep/options.py", "deep/my_options.py", "a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert {*files_below(tmp_path, "/options.py", ".txt")} == {
        f"{tmp_path}/{name}" for name in ("options.py", "deep/options.py", "a.txt")
    }
    assert [*files_below(tmp_path / "a.py", ".py")] == [str(tmp_path / "a.py")]


def test_what_is_kept_is_read_again_for_its_state_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path))
    assert Kept("here", "one").read() == {}
    Kept("here", "one").write({"a": float("inf")})
    assert Kept("here", "one").read() == {"a": float("inf")}
    assert Kept("here", "two").read() == {}
    (tmp_path / "here" / "one.json").write_text("{")
    assert Kept("here", "one").read() == {}
