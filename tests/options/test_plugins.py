"""Plug-ins: found where a user names them, nowhere else; what is wrong with one is one line that names the file."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from exp.options import plugins
from tests.conftest import exp

OPTIONS = '''from exp.data.options import ImageOptions


class DotsOptions(ImageOptions):
    """Drawn dots."""

    name = "dots"
    builds = "{package}.data:Dots"
'''


def package(folder: Path, name: str = "dotpkg", options: str = OPTIONS) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "__init__.py").write_text("")
    (path / "options.py").write_text(options.replace("{package}", name))
    return path


def project(folder: Path, *names: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.exp]\nplugins = {list(names)}\n")


def listed(folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return exp("list", "data", cwd=folder, **env)


def test_each_way_to_name_one(tmp_path: Path) -> None:
    path = package(tmp_path / "src")
    assert "dots" not in listed(tmp_path).stdout  # lying there is not enough
    project(tmp_path, "dotpkg")
    assert "Drawn dots." in listed(tmp_path).stdout
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert "Drawn dots." in listed(elsewhere, EXP_PLUGINS=str(path)).stdout
    info = tmp_path / "site" / "dots-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: dots\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[exp.plugins]\ndots = dotpkg\n")
    path.rename(tmp_path / "site" / "dotpkg")
    assert "Drawn dots." in listed(elsewhere, PYTHONPATH=str(tmp_path / "site")).stdout


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("import nowhere\n", "options.py:1: ModuleNotFoundError: No module named 'nowhere'"),
        ("x = (\n", "options.py:1: not Python"),
        (OPTIONS.replace('"dots"', '"cifar10"'), "data=cifar10: declared twice, as exp."),
        (
            OPTIONS.replace('    builds = "{package}.data:Dots"\n', ""),
            "has no builds, which every choice of data needs",
        ),
        (OPTIONS + "\n    size: int = 'x'\n    _: int = wrong\n", "NameError"),
    ],
)
def test_a_broken_one_is_one_line(options: str, said: str, tmp_path: Path) -> None:
    package(tmp_path, options=options)
    project(tmp_path, "dotpkg")
    done = listed(tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_one_that_is_not_there(tmp_path: Path) -> None:
    project(tmp_path, "absent")
    done = listed(tmp_path)
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1)
    assert "plug-in absent (pyproject.toml): no such package" in done.stderr
    (tmp_path / "pyproject.toml").write_text("[tool.exp]\nplugins = 'dotpkg'\n")
    assert "has to be a list of names" in listed(tmp_path).stderr


def test_hash_of_code_knows_no_comments(tmp_path: Path) -> None:
    path = tmp_path / "code.py"

    def hashed(text: str) -> str:
        path.write_text(text)
        os.utime(path, ns=(len(seen), len(seen)))
        seen.append(plugins.tree_hash(path))
        return seen[-1]

    seen: list[str] = []
    first = hashed('"""One."""\ndef f(x):\n    """Doubles."""\n    return 2 * x\n')
    assert hashed('"""Other."""\n# a comment\ndef f(x):\n    return (2 * x)  # twice\n') == first
    assert hashed("def f(x):\n    return 3 * x\n") != first


def test_a_task_whose_recipes_were_not_installed(tmp_path: Path) -> None:
    assert exp("new", "task", "stripes", cwd=tmp_path).returncode == 0
    shutil.rmtree(tmp_path / "stripes" / "conf")
    done = exp("cost", "task=stripes", "recipe=quick", cwd=tmp_path)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert f"there are none in {tmp_path}/stripes/conf/recipe/stripes; an installed package has" in done.stderr
    assert "package data" in done.stderr
    done = exp("cost", "task=lane", "recipe=van", cwd=tmp_path)
    assert "not a recipe of task=lane; it has published, quick" in done.stderr
