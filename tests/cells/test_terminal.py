"""Commands that are printed can be pasted into the shell from which this one was typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT

TYPED = "from exp.cells.terminal import *; remember_typed(['att=ca', 'seed=0, 1']); print(typed_command())"


@pytest.mark.parametrize(
    ("program", "printed"), [(sys.executable, "python -m exp"), (".venv/bin/python", ".venv/bin/python -m exp")]
)
def test_an_environment_that_is_not_active_is_named(program: str, printed: str, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    told = subprocess.run(
        [program, "-c", TYPED], cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert told.stdout == f"{printed} att=ca 'seed=0, 1'\n"
