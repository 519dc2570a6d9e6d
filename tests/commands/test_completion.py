"""What tab offers after a verb, and what it leaves to Hydra."""

import os
from pathlib import Path

import pytest

from exp.commands.completion import LINE, complete

ALONE = {
    "exp table --run --form": "--format",
    "exp table --format h": "html",
    "exp new ta": "task table",
    "exp list recipe qu": "quick",
    "exp list act": "",
    "exp score cu": "culane",
}
"""Lines, and what is offered by us alone."""

WITH_HYDRA = {
    "exp data cifar1": ("cifar10 cifar100", "exp cifar1"),
    "exp repo": ("report", "exp repo"),
    "python -m exp ta": ("table", "python -m exp ta"),
    "exp att=ca se": ("", "exp att=ca se"),
    "exp table modu": ("modules", "exp modu"),
    "exp table mi": ("mine", "exp mi"),
    "exp table modules data=c seed=1 mod": ("", "exp data=c seed=1 mod"),
    "exp export modules --out x data=ci": ("", "exp data=ci"),
    "exp tabel modu": ("", "exp tabel modu"),
}
"""Lines, what is offered by us, and the line that Hydra then completes."""


@pytest.mark.parametrize("line", [*ALONE, *WITH_HYDRA])
def test_what_is_offered(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text("title: Mine\nrows: {}\ncolumns: {}\n")
    monkeypatch.setenv(LINE, line)
    asked = []
    assert complete(["-sc", "query=bash"], lambda words: asked.append(os.environ[LINE]) or 0) == 0
    offered, then = WITH_HYDRA.get(line, (ALONE.get(line), None))
    assert capsys.readouterr().out.split() == str(offered).split()
    assert asked == ([then] if then else [])
