"""Composing with Hydra: where the YAML lies, what the root holds, and errors in one line."""

import functools
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exp.options.adopted import LightningOptions
from exp.options.catalog import GROUPS, SECTIONS, add_file, revision
from exp.options.complaints import one_line
from exp.options.errors import ConfigError, DataError
from exp.options.fields import fields
from exp.options.folders import conf_dir, conf_dirs
from exp.options.resolve import Resolved, resolve
from exp.options.sections import LOGGERS
from exp.options.spelling import unknown
from exp.options.study import STUDIES
from exp.options.words import CHOSEN, check, expanded, parsed
from exp.options.yaml_files import read_by_c

Compose = Callable[[list[str]], dict[str, Any]]
"""Composes overrides to a plain configuration."""

YAML_GROUPS = CHOSEN
"""Groups in the order in which they are shown."""

LAID = ("model", "att", "data")
"""Groups whose choices change nothing but their own node, where no YAML says more."""


def root() -> dict[str, Any]:
    """Returns the options at top level: the sections, and the short name of every option, none of them set."""
    nodes = {section: unset(schema) for section, schema in SECTIONS.items()}
    return {"seed": 0, "ckpt": None, "when": {}, **dict.fromkeys(short_names()), **nodes}


def short_names() -> list[str]:
    """Returns the options that may be given without their part's name."""
    known = {**GROUPS, "": {name: schema for name, schema in SECTIONS.items() if name != "origin"}}
    names = [name for schemas in known.values() for schema in schemas.values() for name in fields(schema)]
    return [name for name in dict.fromkeys(names) if name not in ("name", *GROUPS, *SECTIONS)]


def unset(schema: type) -> dict[str, Any]:
    """Returns the options of a class with none of them set, as they are in a composed configuration."""
    return dict.fromkeys(fields(schema))


def register() -> None:
    """Makes the options known to Hydra: the root, and every choice as ``GROUP/NAME`` and as a schema for YAML."""
    _register(revision())


@functools.cache
def _register(_revision: int) -> None:
    from hydra.core.config_store import ConfigStore

    from exp.options.store import store_plain

    read_by_c()
    store = ConfigStore.instance()
    # Hydra copies the whole store for every composition, a fifth of its time, and nodes once more when it loads them.
    store.__dict__["__deepcopy__"] = lambda _memo: store
    again: dict[str, Any] = {} if before_14() else {"replace": True}
    refusing = {"callbacks": {"places": {"_target_": "exp.options.hydra_callback.RefuseMoved"}}}
    store.store(group="schema", name="root", package="_global_", node={**root(), "hydra": refusing}, **again)
    for group, known in GROUPS.items():
        for name, schema in known.items():
            node = {"name": name, **unset(schema)}
            store_plain(f"schema/{group}", name, node)
            if not any((folder / group / f"{name}.yaml").exists() for folder in conf_dirs()):
                store_plain(group, name, node)
    for count in range(2, len(LOGGERS) + 1):
        for several in itertools.permutations(LOGGERS, count):
            store_plain("logger", "+".join(several), {"name": "+".join(several)})
    recipes = {name: declared.recipe for name, declared in STUDIES.items()}
    recipes |= {name: {} for name, schema in GROUPS["task"].items() if issubclass(schema, LightningOptions)}
    for name, numbers in recipes.items():
        if any((folder / "recipe" / name / "quick.yaml").exists() for folder in conf_dirs()):
            continue
        choices = [{"/model": name}, {"/att": "none"}, {"/data": name}, "_self_"]
        recipe = {"defaults": choices, **numbers}
        store.store(group=f"recipe/{name}", name="quick", package="_global_", node=recipe, **again)


def with_files(overrides: Sequence[str]) -> list[str]:
    """Returns overrides in which files that are a task, ``task=./study.py``, are known and called by their names.

    Raises:
        ConfigError: A file is missing or declares no task.
    """
    return [_named(word) if word.lstrip("+").startswith("task=") and ".py" in word else word for word in overrides]


def _named(word: str) -> str:
    key, _, value = word.partition("=")
    names = [part.strip().strip("'\"") for part in value.split(",")]
    return f"{key}={','.join(add_file(Path(name)) if name.endswith('.py') else name for name in names)}"


def before_14() -> bool:
    """Whether Hydra is older than 1.4, which warns of what 1.3 wants and the other way round."""
    import hydra

    return hydra.__version__ < "1.4"


def version_base() -> dict[str, Any]:
    """Arguments by which Hydra 1.3 is told its version."""
    return {"version_base": "1.3"} if before_14() else {}


def composed(overrides: list[str], name: str = "config", folders: Sequence[str] = ()) -> dict[str, Any]:
    """Returns the configuration as a plain dictionary, composed outside Hydra's own application.

    Args:
        overrides: What is overridden.
        name: The configuration to start from.
        folders: Further folders of configuration, absolute.

    Raises:
        ConfigError: An override names nothing or is not well-formed.
    """
    from hydra import compose
    from omegaconf import OmegaConf

    overrides = expanded(with_files(overrides))
    check(overrides)
    with in_our_words(overrides, name, folders), searching(folders):
        plain = OmegaConf.to_container(compose(name, overrides), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


@contextmanager
def searching(folders: Sequence[str] = ()) -> Iterator[None]:
    """Lets Hydra's compose API look for configuration in ours and in further folders.

    Args:
        folders: Further folders, absolute.
    """
    from hydra import initialize_config_dir

    register()
    with initialize_config_dir(str(conf_dir()), **version_base()):
        if folders:
            _search_too(folders)
        yield


@contextmanager
def in_our_words(overrides: Sequence[str], name: str = "config", folders: Sequence[str] = ()) -> Iterator[None]:
    """Turns whatever is raised while Hydra composes into one line.

    Args:
        overrides: What is overridden.
        name: The configuration to start from.
        folders: Further folders of configuration.

    Raises:
        ConfigError: Composing failed.
    """
    try:
        yield
    except (ConfigError, DataError):
        raise
    # On odd input Hydra and OmegaConf raise errors of their own, assertions, recursion and type errors alike.
    except Exception as error:
        raise ConfigError(in_one_line(error, overrides, name, folders)) from error


def in_one_line(
    error: BaseException, overrides: Sequence[str] = (), name: str = "config", folders: Sequence[str] = ()
) -> str:
    """Returns what Hydra or OmegaConf complains of in one line: what, where, and the nearest right spelling."""
    return one_line(error, choices_of, lambda: _chosen(overrides, name, folders))


def _chosen(overrides: Sequence[str], name: str, folders: Sequence[str]) -> Mapping[str, str]:
    """Returns what is chosen for each part where the groups alone compose, else nothing."""
    groups = [word for word in overrides if word.partition("=")[0] in GROUPS or word.startswith("recipe=")]
    if list(overrides) == groups:
        return {}
    try:
        plain = composed(groups, name, folders)
    except ConfigError:
        return {}
    return {group: str(plain[group].get("name")) for group in GROUPS if isinstance(plain.get(group), dict)}


def _search_too(folders: Sequence[str]) -> None:
    """Lets Hydra look into further folders as ``--config-dir`` does, for which its compose API has no argument."""
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.config_search_path import SearchPathQuery
    from hydra.core.global_hydra import GlobalHydra

    path = create_config_search_path(str(conf_dir()))
    for folder in folders:
        path.append(provider="command-line", path=f"file://{folder}", anchor=SearchPathQuery(provider="main"))
    GlobalHydra.instance().clear()
    Hydra.create_main_hydra2(task_name="exp", config_search_path=path)


@dataclass(frozen=True)
class Composition:
    """How overrides are composed.

    Attributes:
        name: The configuration to start from.
        folders: Further folders of configuration, absolute.
    """

    name: str = "config"
    folders: tuple[str, ...] = ()

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """Returns the configuration under these overrides as a plain dictionary.

        Raises:
            ConfigError: An override names nothing or is not well-formed.
        """
        return composed(overrides, self.name, self.folders)


class Overlay:
    """Composes once for each combination of groups and lays plain values over it; the result is the same.

    A choice of model, attention or data that is a class alone, without YAML, is laid over too, where no YAML sets any
    of its options: then a grid of such choices goes through Hydra once.

    Args:
        compose: Composes overrides to a plain configuration.
    """

    def __init__(self, compose: Compose) -> None:
        self._compose = functools.lru_cache(maxsize=None)(lambda overrides: compose(list(overrides)))
        self._folders = [*conf_dirs(), *map(Path, getattr(compose, "folders", ()))]

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """Returns the configuration under these overrides."""
        named = self.interpolated | _interpolated(overrides)
        parsed = {override: _parsed(override) for override in overrides}
        # What an interpolation names is composed, since more than its own place goes by it.
        parsed = {
            key: None if known and named_by(named, ".".join(known[0])) else known for key, known in parsed.items()
        }
        config = self._chosen(tuple(override for override in overrides if parsed[override] is None))
        for override, known in parsed.items():
            if known is None:
                continue
            path, value = known
            node: Any = config
            for key in path[:-1]:
                node = node.get(key) if isinstance(node, dict) else None
            if not isinstance(node, dict) or path[-1] not in node:
                if path[0] in SECTIONS:
                    self._compose((override,))  # raises, and once for a whole table: no choice brings the option
                return self._whole(overrides, ".".join(path), config)
            node[path[-1]] = value
        return config

    def _whole(self, overrides: list[str], key: str, config: dict[str, Any]) -> dict[str, Any]:
        """Composes everything, for the sake of an option that the choices made do not have."""
        try:
            return _copied(self._compose(tuple(overrides)))
        except ConfigError as error:
            chosen = {group: str(config[group].get("name")) for group in GROUPS if isinstance(config.get(group), dict)}
            if key.partition(".")[0] in chosen:
                raise ConfigError(unknown(key, chosen)) from error
            raise

    def _chosen(self, overrides: tuple[str, ...]) -> dict[str, Any]:
        given = [override.partition("=")[0] for override in overrides]
        laid: dict[str, dict[str, Any]] = {}
        # Another word, such as a mapping, may be of a part that is chosen here.
        for override in overrides if {*given} <= {*YAML_GROUPS} else ():
            group, _, name = override.partition("=")
            if group in LAID and given.count(group) == 1 and self._is_class_alone(group, name):
                laid[group] = {"name": name, **unset(GROUPS[group][name])}
        rest = tuple(override for override, group in zip(overrides, given, strict=True) if group not in laid)
        config = self._compose(rest)
        if not all(_untouched(config.get(group), group) for group in laid):
            return _copied(self._compose(overrides))
        return _copied(config) | laid

    def _is_class_alone(self, group: str, name: str) -> bool:
        in_yaml = any((folder / group / f"{name}.yaml").exists() for folder in self._folders)
        return name in GROUPS[group] and not in_yaml and not named_by(self.interpolated, group)

    @functools.cached_property
    def interpolated(self) -> set[str]:
        """Names in the interpolations of all YAML."""
        files = [path for folder in self._folders for path in folder.rglob("*.yaml")]
        return _interpolated(_DEFAULTS.sub("", path.read_text(errors="replace")) for path in files)


_DEFAULTS = re.compile(r"^defaults:.*\n?(?:(?:[ \t#-].*)?\n)*", re.MULTILINE)
"""A YAML's list of choices, whose interpolations name choices, which are composed anyway, and no values."""


def _interpolated(texts: Iterable[str]) -> set[str]:
    """Returns the names in interpolations, such as ``data.flip`` of ``${data.flip}``."""
    return {name for text in texts for part in re.findall(r"\$\{[^\n]*", text) for name in re.findall(r"[\w.]+", part)}


def named_by(names: Iterable[str], place: str) -> bool:
    """Whether names in interpolations are of a place, something in it or around it; a relative one may be anywhere."""
    parts = place.split(".")
    return any(
        f"{name}.".startswith(f"{place}.")
        or f"{place}.".startswith(f"{name}.")
        or (name.startswith(".") and name.rpartition(".")[2] in parts)
        for name in names
    )


def _copied(node: Any) -> Any:
    """Returns a plain configuration of its own, ten times as fast as ``copy.deepcopy``."""
    if isinstance(node, dict):
        return {key: _copied(value) for key, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, list) else node


def _untouched(node: Any, group: str) -> bool:
    """Whether a composed node is a choice with none of its options set."""
    name = node.get("name") if isinstance(node, dict) else None
    return name in GROUPS[group] and node == {"name": name, **unset(GROUPS[group][name])}


@functools.cache
def _parsed(override: str) -> tuple[tuple[str, ...], Any] | None:
    """Returns path and value of an override that sets a plain value; None for one that chooses a group or more."""
    from hydra.core.override_parser.types import OverrideType

    try:
        one = parsed(override)
    except ConfigError:
        return None  # composing says what is wrong with it
    value = one.value() if one.type == OverrideType.CHANGE and not one.is_sweep_override() else {}
    groupish = "/" in one.key_or_group or one.package is not None or one.key_or_group in (*YAML_GROUPS, "table")
    if groupish or isinstance(value, (dict, list)) or (isinstance(value, str) and "${" in value):
        return None
    return tuple(one.key_or_group.split(".")), value


STANDARD = Composition()
"""The configuration that ships with exp, without further folders."""


def resolved(overrides: list[str]) -> Resolved:
    """Returns the cell that the overrides describe.

    Raises:
        ConfigError: See ``composed`` and ``resolve``.
    """
    return resolve(_overlay()(overrides), overrides)


@functools.cache
def _overlay() -> Overlay:
    return Overlay(STANDARD)


def choices_of(group: str) -> list[str]:
    """Returns the choices of a group in the order of their declaration, then those that are YAML alone."""
    files = sorted({path.stem for folder in conf_dirs() for path in (folder / group).glob("*.yaml")})
    return [*GROUPS.get(group, {}), *(name for name in files if name not in GROUPS.get(group, {}))]
