"""One line says what went wrong, in a file of the user's with its place."""

from pathlib import Path

import pytest
import torch

from exp.options import errors
from exp.options.errors import CellFailed, ConfigError, DataError, brief, interrupt, is_foreign, place, shown


def test_a_file_that_is_not_python_is_named_with_its_line() -> None:
    with pytest.raises(SyntaxError) as raised:
        compile("x = 1\ny = (\n", "/home/me/model.py", "exec")
    assert brief(raised.value) == "/home/me/model.py:2: not Python: '(' was never closed"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("\n too wide \nat a.py"), "ValueError: too wide"),
        (KeyError("a"), "KeyError: 'a'"),
        (RuntimeError(), "RuntimeError"),
        (SyntaxError("odd"), "SyntaxError: odd"),
    ],
)
def test_the_first_line_is_enough(error: Exception, line: str) -> None:
    assert brief(error) == line


def test_what_cannot_be_printed_is_escaped() -> None:
    assert shown(ValueError("a\x1b[2Jb\nc")) == "a\\x1b[2Jb c"


def raised_by(path: Path, source: str) -> Exception:
    path.write_text(source)
    with pytest.raises(Exception) as raised:  # noqa: PT011
        exec(compile(source, str(path), "exec"), {"__name__": "own"})
    return raised.value


def test_a_users_own_line_is_behind_what_it_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deep = "import json\ndef read():\n    return json.loads('{')\nread()\n"
    error = raised_by(tmp_path / "own.py", deep)
    assert place(error) == "own.py:3"  # not Python's json, in which it was raised
    assert brief(error).startswith("JSONDecodeError: Expecting property name")
    assert brief(error).endswith(" (own.py:3)")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert place(error) == f"{tmp_path}/own.py:3"
    elsewhere.rmdir()
    assert place(error) == f"{tmp_path}/own.py:3"


def test_what_names_its_place_itself_has_no_other(tmp_path: Path) -> None:
    error = raised_by(
        tmp_path / "own.py", "from exp.options.errors import DataError\nraise DataError('set: missing')\n"
    )
    assert brief(error) == "DataError: set: missing"


@pytest.mark.parametrize("package", ["exp/options", "torch/_inductor"])
def test_no_installed_code_is_a_users_own(package: str) -> None:
    folder = Path(errors.__file__).parents[2] if package.startswith("exp") else Path(torch.__file__).parents[1]
    assert is_foreign(folder / package / "code.py")
    assert is_foreign(Path("<string>"))
    assert is_foreign(Path("/tmp/torchinductor_me/ab/code.py"))


@pytest.mark.parametrize(
    "error",
    [ConfigError("seed=x: no number"), DataError("cifar10: missing"), CellFailed("exp: ended"), interrupt("saved")],
)
def test_a_notebook_shows_one_line(error: BaseException) -> None:
    assert error._render_traceback_() == [f"{type(error).__name__}: {error}"]  # type: ignore[attr-defined]
