import inspect
from pathlib import Path

import pytest

from exp import registry
from exp.config import GROUPS
from exp.config.compose import choices_of, composed, conf_dir, resolved
from exp.config.options import fields
from exp.models.build import attention

TABLES = {"task": registry.TASKS, "model": registry.MODELS, "att": registry.BLOCKS, "data": registry.SOURCES}


@pytest.mark.parametrize("group", GROUPS)
def test_schema_registry_and_yaml_name_the_same_choices(group: str) -> None:
    """Adding a choice takes a class, a registry line, a schema and a YAML file; one of them missing fails here."""
    assert set(GROUPS[group]) == set(TABLES[group])
    assert set(GROUPS[group]) <= set(choices_of(group))
    for name in TABLES[group]:
        assert callable(registry.load(TABLES[group], name))


@pytest.mark.parametrize("group", ["task", "recipe", "model", "att", "data", "trainer"])
def test_every_yaml_composes(group: str) -> None:
    for name in choices_of(group):
        plain = composed([f"{group}={name}"])
        assert plain[group] if group != "recipe" else plain["recipe"] == name


def test_every_recipe_of_every_task_resolves() -> None:
    for path in sorted((conf_dir() / "task_recipe").glob("*.yaml")):
        task, _, recipe = path.stem.rpartition("_")
        assert resolved([f"task={task}", f"recipe={recipe}"]).task == task


@pytest.mark.parametrize("name", [name for name in GROUPS["att"] if name != "none"])
def test_a_blocks_options_are_its_schemas(name: str) -> None:
    taken = inspect.signature(registry.load(registry.BLOCKS, name)).parameters
    options = {option: parameter.default for option, parameter in taken.items() if option != "channels"}
    assert set(options) == set(fields(GROUPS["att"][name])) - {"placement", "record"}
    assert options == {option: fields(GROUPS["att"][name])[option].default for option in options}


def test_attention_arguments() -> None:
    assert attention({"name": "none"}) == {}
    built = attention({"name": "ca", "placement": "block_end", "reduction": 8})
    assert built["placement"] == "block_end"
    assert sum(p.numel() for p in built["att"](64).parameters()) == 64 * 8 + 8 + 16 + 2 * (8 * 64 + 64)


def test_no_class_path_in_yaml() -> None:
    assert not [path for path in Path(conf_dir()).rglob("*.yaml") if "_target_" in path.read_text()]
