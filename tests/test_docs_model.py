"""docs/adding-a-model.md is followed to the letter: its files are written, its commands typed."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import exp, python

PAGE = (Path(__file__).parents[1] / "docs" / "adding-a-model.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`(\S+)`\n\n```\w+\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))
COMMANDS = [line.partition("#")[0].split() for line in PAGE.splitlines() if line.startswith("exp ")]
SHORT = ["trainer.max_epochs=1", "trainer.threads=1", "batch_size=256"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mixer")
    for name, text in FILES.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)
    (root / "mixer" / "__init__.py").write_text("")
    return root


def test_what_is_typed_before_it_trains(folder: Path) -> None:
    assert set(FILES) == {"mixer/options.py", "mixer/model.py", "pyproject.toml"}
    for words in COMMANDS:
        if words[1] in ("list", "cost"):
            done = exp(*words[1:], cwd=folder)
            assert done.returncode == 0, done.stderr
    wrong = exp(*shlex.split(re.findall(r"`exp (model=mixer depth=0)`", PAGE)[0]), cwd=folder)
    assert (wrong.returncode, wrong.stderr) == (2, "exp: depth=0: has to be at least 1\n")


@pytest.mark.slow
def test_what_is_typed_then(folder: Path, tmp_path: Path) -> None:
    assert exp(*COMMANDS[0][1:], cwd=tmp_path).returncode == 0  # exp new
    trained = exp(*COMMANDS[1][1:], *SHORT, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    for words in COMMANDS[2:]:
        if words[1] not in ("list", "cost"):
            short = SHORT[1:] if "trainer.max_epochs=2" in words else SHORT
            done = exp(*words[1:], *([] if words[1] == "check" else short), cwd=folder, timeout=900)
            assert done.returncode == 0, done.stdout + done.stderr
    code = re.findall(r"```python\n(from exp\.tasks\.count.*?)```", PAGE, re.DOTALL)[0]
    counted = python(code + "print(counts.params)", cwd=folder)
    assert int(counted.stdout) > 1000, counted.stderr
