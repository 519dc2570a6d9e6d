"""docs/adding-a-task.md is followed to the letter, in a copy of the package."""

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ENVIRONMENT

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "adding-a-task.md").read_text()
FILES = dict(re.findall(r"^`((?:src|conf)/\S+)`\n\n```\w+\n(.*?)```", PAGE, flags=re.MULTILINE | re.DOTALL))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("copy")
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if path.suffix == ".py" and not (path.parent / "__init__.py").exists():
            (path.parent / "__init__.py").write_text('"""A part of the study task."""\n')
    return root


def exp(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exp", *words],
        cwd=copy,
        env=ENVIRONMENT | {"PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_page_has_every_file() -> None:
    assert sorted(FILES) == [
        "conf/recipe/study/quick.yaml",
        "src/exp/tasks/study/data/patterns.py",
        "src/exp/tasks/study/models/tiny.py",
        "src/exp/tasks/study/module.py",
        "src/exp/tasks/study/options.py",
    ]


@pytest.mark.slow
def test_the_new_task_runs_with_nothing_else_touched(copy: Path) -> None:
    listed = exp(copy, "list")
    assert "task=study: Stripes or checks" in listed.stdout, listed.stderr
    sweep = exp(copy, "--multirun", "task=study", "att=none,se", "width=4,8", "trainer.threads=1", "sweep.jobs=2")
    assert sweep.returncode == 0, sweep.stdout + sweep.stderr
    results = [json.loads(path.read_text()) for path in (copy / "multirun" / "study").glob("*/result.json")]
    assert len(results) == 4
    assert max(result["test"]["top1"] for result in results) > 80, "stripes and checks can be told apart"
    again = exp(copy, "--multirun", "task=study", "att=none,se", "width=4,8")
    assert "0 cells run, 4 not run again" in again.stdout
    refused = exp(copy, "task=study", "data=walkers")
    assert refused.returncode == 2
    assert "data=walkers: is for walks, but task=study works on images" in refused.stderr


def test_what_the_page_writes_is_formatted(copy: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--config", str(ROOT / "pyproject.toml"), "src/exp/tasks/study"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_a_plug_in_is_installed_with_its_yaml(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="64")
    (project,) = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(), flags=re.DOTALL)
    (tmp_path / "pyproject.toml").write_text(project)
    files = ["__init__.py", "models/__init__.py", "conf/recipe/mine/quick.yaml", "conf/table/mine.yaml"]
    for name in files:
        path = tmp_path / "mypkg" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    build = "from setuptools import build_meta; print(build_meta.build_wheel('dist'))"
    done = subprocess.run([sys.executable, "-c", build], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"mypkg/{name}" for name in files} <= set(names)
    (points,) = (name for name in names if name.endswith("entry_points.txt"))
    assert zipfile.ZipFile(wheel).read(points).decode().split() == ["[exp.plugins]", "mypkg", "=", "mypkg"]
