from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf, _utils

from exp.options.folders import conf_dir
from exp.options.yaml_files import read_by_c

PLAIN = _utils.get_yaml_loader()
VALUES = (
    "{a: 1e-4, b: 1_0.5, c: 2020-01-01, d: .inf, e: on, f: '7', g: 0o7, h: null, i: 12:30:45, j: .nan, k: 1., l: ~}"
)


def read(loader: type, text: str) -> str:
    try:
        return repr(yaml.load(text, loader))
    except yaml.YAMLError as error:
        return f"{type(error).__name__}: {error}"


def test_the_parser_in_c_reads_what_the_other_reads() -> None:
    read_by_c()
    assert _utils.get_yaml_loader() is not PLAIN
    for path in conf_dir().rglob("*.yaml"):
        assert read(_utils.get_yaml_loader(), path.read_text()) == read(PLAIN, path.read_text()), path
    assert read(_utils.get_yaml_loader(), VALUES) == read(PLAIN, VALUES)


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "a: [", "a: b: c", "\ta: 1", "a: *b", "- a\nb: 1", "a: !!python/x 1", "\x01"]
)
def test_it_complains_in_the_same_words(text: str, tmp_path: Path) -> None:
    read_by_c()
    assert read(_utils.get_yaml_loader(), text) == read(PLAIN, text)
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(yaml.YAMLError) as seen:
        OmegaConf.load(path)
    with path.open() as file, pytest.raises(yaml.YAMLError) as wanted:
        yaml.load(file, PLAIN)
    assert str(seen.value) == str(wanted.value)
