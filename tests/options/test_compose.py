from pathlib import Path

import pytest

from exp.blocks.options import CoordinateAttentionOptions
from exp.options.catalog import GROUPS, restored
from exp.options.compose import choices_of, composed, resolved, short_names
from exp.options.folders import conf_dir
from exp.options.parts import NoAttention
from exp.tasks.build import attention


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_can_be_built_and_listed(group: str) -> None:
    """Adding a choice takes its options class and what the class builds."""
    assert set(GROUPS[group]) <= set(choices_of(group))
    for name, schema in GROUPS[group].items():
        assert schema.name == name
        assert callable(schema.builder())


@pytest.mark.parametrize("group", GROUPS)
def test_no_stub_is_needed_for_a_choice(group: str) -> None:
    stubs = [path for path in (conf_dir() / group).glob("*.yaml") if len(path.read_text().splitlines()) < 2]
    assert stubs == []
    assert composed([f"{group}={name}" for name in [next(iter(GROUPS[group]))]])[group]["name"]


def test_every_option_has_a_short_name() -> None:
    assert {"hidden", "frames", "kernel_size", "max_epochs", "root", "lr"} <= set(short_names())
    assert not {"name", "task", "optim", "cells", "table"} & set(short_names())
    assert resolved(["task=gait", "model=convlstm", "hidden=24"]).config.model.hidden == 24


def test_a_configuration_survives_a_dictionary() -> None:
    for words in ([], ["att=ca"], ["task=gait", "model=convlstm"], ["task=lane"], ["task=fer", "recipe=sound"]):
        config = resolved(words).config
        assert restored(config.plain()) == config


@pytest.mark.parametrize("group", ["recipe", "att", "callbacks", "data", "logger", "trainer"])
def test_every_yaml_composes(group: str) -> None:
    files = sorted((conf_dir() / group).glob("*.yaml"))
    assert files
    for path in files:
        plain = composed([f"{group}={path.stem}"])
        assert plain[group] == path.stem if group == "recipe" else isinstance(plain[group], dict)


def test_every_recipe_of_every_task_resolves() -> None:
    recipes = sorted((conf_dir() / "recipe").glob("*/*.yaml"))
    assert len(recipes) == 14
    for path in recipes:
        assert resolved([f"task={path.parent.name}", f"recipe={path.stem}"]).task == path.parent.name


def test_attention_arguments() -> None:
    assert attention(NoAttention()) == {}
    built = attention(CoordinateAttentionOptions(placement="block_end", reduction=8))
    assert built["placement"] == "block_end"
    assert sum(p.numel() for p in built["att"](64).parameters()) == 64 * 8 + 8 + 16 + 2 * (8 * 64 + 64)


def test_no_class_path_in_yaml() -> None:
    assert not [path for path in Path(conf_dir()).rglob("*.yaml") if "_target_" in path.read_text()]
