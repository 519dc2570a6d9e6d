"""att=custom: named on the command line, found without running it; its code makes a cell stale."""

from pathlib import Path

import pytest

from exp.cells.provenance import code_of
from exp.options.catalog import ConfigError
from exp.options.compose import resolved
from exp.options.folders import conf_dir

TARGET = "att.target=mine.blocks:Block"
SOURCE = "raise RuntimeError('must not be run to plan')\nclass Block: pass\n"


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "blocks.py"
    path.write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    return path


def test_identity_covers_target_and_options_and_the_code_makes_stale(package: Path) -> None:
    first = resolved(["att=custom", TARGET])
    assert first.config.att.target == "mine.blocks:Block"
    assert ":" not in first.slug
    other = resolved(["att=custom", TARGET, "att.options={reduction: 8}"])
    assert other.config.att.options == {"reduction": 8}
    assert other.key != first.key
    before = code_of(["mine.blocks"])
    package.write_text(f"# a comment\n{SOURCE}")
    assert resolved(["att=custom", TARGET]).key == first.key
    assert code_of(["mine.blocks"]) == before
    package.write_text(SOURCE.replace("pass", "size = 3"))
    assert resolved(["att=custom", TARGET]).key == first.key
    assert code_of(["mine.blocks"]) != before != {}


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("mine.blocks:Blok", "did you mean 'Block'"),
        ("mine.block:Block", "no mine/block.py"),
        ("mine.blocks.Block", "package.module:Class"),
        ("mine/blocks:Block", "package.module:Class"),
    ],
)
def test_what_cannot_be_found(target: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        resolved(["att=custom", f"att.target={target}"])


def test_code_that_does_not_parse(package: Path) -> None:
    package.write_text("class Block(\n")
    with pytest.raises(ConfigError, match=r"blocks\.py:1: not Python: "):
        resolved(["att=custom", TARGET])


def test_the_command_line_has_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="on the command line"):
        resolved(["att=custom"])
    (tmp_path / "conf" / "att").mkdir(parents=True)
    own = tmp_path / "conf" / "att" / "hidden.yaml"
    own.write_text("defaults: [/schema/att/custom@_here_]\ntarget: mine.blocks:Block\n")
    path = f"hydra.searchpath=[file://{tmp_path}/conf]"
    with pytest.raises(ConfigError, match="on the command line"):
        resolved([path, "att=hidden"])


@pytest.mark.parametrize("options", ["3", "[a]", "{1: 2}"])
def test_options_are_by_name(options: str) -> None:
    with pytest.raises(ConfigError, match="options by name"):
        resolved(["att=custom", TARGET, f"att.options={options}"])


def test_own_yaml_on_the_search_path(tmp_path: Path) -> None:
    (tmp_path / "conf" / "att").mkdir(parents=True)
    (tmp_path / "conf" / "att" / "small.yaml").write_text("defaults: [/schema/att/triplet@_here_]\nkernel_size: 3\n")
    cell = resolved([f"hydra.searchpath=[file://{tmp_path}/conf]", "att=small", "activation=gelu"])
    assert cell.config.att.kernel_size == 3
    assert cell.key == resolved(["att=triplet", "kernel_size=3", "activation=gelu"]).key
    assert not (conf_dir() / "att" / "small.yaml").exists()
