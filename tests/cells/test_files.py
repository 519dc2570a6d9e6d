"""Files that are written whole or not at all, and what is said where they cannot be written."""

import errno
from pathlib import Path

import pytest

from exp.cells.files import refuse_unwritable, replace_whole, writing
from exp.options.errors import ConfigError
from tests.conftest import TINY, exp


def test_what_cannot_be_written_is_named_as_it_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name, why in (("file", "Not a directory"), ("none", "No such file or directory")):
        path = tmp_path / name / "x.json"
        with pytest.raises(ConfigError) as error, writing("give another"), replace_whole(path) as fresh:
            fresh.write_text("{}")
        assert str(error.value) == f"{path}: cannot be written ({why}); give another"


@pytest.mark.parametrize("error", [OSError("no file"), OSError(errno.ENOSPC, "No space", "x"), ValueError("x")])
def test_what_is_no_matter_of_the_place_is_left_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, writing("give another"):
        raise error
    assert raised.value is error


def test_a_folder_of_cells_in_which_nothing_can_be_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cells\.dir=/proc/nope: /proc cannot be written to"):
        refuse_unwritable(Path("/proc/nope"))
    (tmp_path / "attention").write_text("")
    with pytest.raises(ConfigError, match="attention is a file; give another folder"):
        refuse_unwritable(tmp_path, tmp_path / "attention" / "cell")
    refuse_unwritable(tmp_path, tmp_path / "gait" / "cell")
    assert [path.name for path in tmp_path.iterdir()] == ["attention"], "looking leaves nothing"


@pytest.mark.parametrize("words", [[], ["--multirun", "att=none,se"]], ids=["cell", "sweep"])
def test_nothing_starts_where_no_cell_can_lie(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "multirun").mkdir()
    (tmp_path / "multirun" / "attention").write_text("")
    for folder, why in (("/proc/nope", "/proc cannot be written to"), ("multirun", "attention is a file")):
        done = exp(*words, *TINY, f"cells.dir={folder}", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert why in done.stderr.splitlines()[-1]
        assert done.stderr.splitlines()[-1].endswith("give another folder with cells.dir=")
