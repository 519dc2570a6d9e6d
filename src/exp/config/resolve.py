"""From what was composed to what will run: short axes routed, defaults filled in, every given option consumed."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from exp import registry
from exp.config import GROUPS, SECTIONS, ConfigError
from exp.config.custom import custom_source
from exp.config.options import (
    active,
    checked,
    condition,
    default_of,
    describe,
    distinctive,
    effective,
    fields,
    hints,
    nearest,
)
from exp.config.run import Axes

TOP_LEVEL = ("seed", "recipe", "ckpt", "when")
"""Options that belong to no part."""

CIFAR_STEM_BELOW = 96
"""Images smaller than this get the CIFAR stem where the stem is left to us."""


@dataclass(frozen=True)
class Resolved:
    """A cell's choices, completed.

    Attributes:
        config: Effective options of every part, plus seed, recipe and checkpoint; a plain dictionary.
        identity: What tells this cell from another: the options that differ from the defaults.
        key: Ten hexadecimal digits of the identity's hash.
        slug: The choices as a readable name.
        overrides: What was given on the command line, as given.
    """

    config: dict[str, Any]
    identity: dict[str, Any]
    key: str
    slug: str
    overrides: tuple[str, ...] = ()

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return self.config["seed"]

    @property
    def task(self) -> str:
        """The task's name."""
        return self.config["task"]["name"]


def resolve(composed: dict[str, Any], overrides: Collection[str] = ()) -> Resolved:
    """Completes and checks a composed configuration.

    Args:
        composed: The configuration as Hydra composed it, as a plain dictionary; None means not set.
        overrides: The overrides it was composed with. An option named there has to be consumed by something.

    Raises:
        ConfigError: A value is of the wrong type, an option is dead or ambiguous, or choices exclude one another.
    """
    explicit = {override.lstrip("+~").partition("=")[0] for override in overrides}
    schemas = _schemas(composed)
    _refuse_unknown(composed, schemas)
    given = {part: _given(part, composed.get(part)) for part in schemas}
    _route(composed, given, schemas, explicit)
    _spread(given, schemas, explicit)
    _fill(composed.get("when") or {}, given, schemas)
    config: dict[str, Any] = {}
    for part, schema in schemas.items():
        values = {name: checked(schema, name, value, f"{part}.{name}") for name, value in given[part].items()}
        _refuse_dead(part, schema, values, explicit)
        named = {"name": composed[part]["name"]} if part in GROUPS else {}
        config[part] = named | effective(schema, values)
    config |= {"seed": _seed(composed["seed"]), "recipe": composed["recipe"], "ckpt": composed.get("ckpt")}
    _complete(config)
    _refuse_impossible(config)
    if config.get("att", {}).get("name") == "custom" and "att.target" not in explicit:
        raise ConfigError(
            "att=custom: runs code of yours, so name it on the command line: att.target=package.module:Class"
        )
    for schema in schemas.values():
        complaint = schema.complaint(config) if hasattr(schema, "complaint") else None
        if complaint:
            raise ConfigError(complaint)
    return _identified(config, schemas, tuple(overrides))


def _schemas(composed: dict[str, Any]) -> dict[str, type]:
    chosen = {}
    for group, known in GROUPS.items():
        node = composed.get(group)
        if node is None:
            continue
        if node.get("name") not in known:
            raise ConfigError(f"{group}.name={node.get('name')}: unknown{nearest(node.get('name'), known)}")
        chosen[group] = known[node["name"]]
    return chosen | SECTIONS


def _refuse_unknown(composed: dict[str, Any], schemas: dict[str, type]) -> None:
    """Keys that were appended with + and belong to nothing."""
    top = {*schemas, *fields(Axes), *TOP_LEVEL}
    for key in composed:
        if key not in top:
            raise ConfigError(f"{key}: no such option, nothing would consume it{nearest(key, top)}")
    for part, schema in schemas.items():
        for key in composed.get(part) or {}:
            if key != "name" and key not in fields(schema):
                raise ConfigError(
                    f"{part}.{key}: no such option, nothing would consume it{nearest(key, fields(schema))}"
                )


def _given(part: str, node: dict[str, Any] | None) -> dict[str, Any]:
    """The options of a part that are set; a group's choice is none of them."""
    return {
        key: value
        for key, value in (node or {}).items()
        if value is not None and not (key == "name" and part in GROUPS)
    }


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"seed={value}: expected a whole number from 0 up")
    return value


def _route(
    composed: dict[str, Any], given: dict[str, dict[str, Any]], schemas: dict[str, type], explicit: set[str]
) -> None:
    """Gives each short axis to the one part that declares it."""
    for axis in fields(Axes):
        value = composed.get(axis)
        if value is None:
            continue
        owners = [part for part, schema in schemas.items() if axis in fields(schema)]
        preferred = getattr(schemas["task"], "owner", {}).get(axis)
        if preferred in owners:
            owners = [preferred]
        if not owners:
            raise ConfigError(f"{axis}={value}: nothing in this run takes it ({_chosen(composed)}); {_takers(axis)}")
        if len(owners) > 1:
            spellings = " or ".join(f"{part}.{axis}" for part in owners)
            raise ConfigError(f"{axis}={value}: {' and '.join(owners)} both take it; say {spellings}")
        part = owners[0]
        if f"{part}.{axis}" in explicit and given[part].get(axis) != value:
            raise ConfigError(f"{axis}={value} and {part}.{axis}={given[part].get(axis)}: the same option, given twice")
        checked(schemas[part], axis, value, axis)
        given[part][axis] = value
        if axis in explicit:
            explicit.add(f"{part}.{axis}")


def _spread(given: dict[str, dict[str, Any]], schemas: dict[str, type], explicit: set[str]) -> None:
    """Gives the value of an option that sets several others to those that are not given, and takes it away."""
    for part, schema in schemas.items():
        for name, targets in getattr(schema, "sets", {}).items():
            value = given[part].pop(name, None)
            if value is None:
                continue
            checked(schema, name, value, f"{part}.{name}")
            for target in targets:
                given[part].setdefault(target, value)
                if f"{part}.{name}" in explicit:
                    explicit.add(f"{part}.{target}")


def _chosen(composed: dict[str, Any]) -> str:
    return ", ".join(f"{group}={composed[group]['name']}" for group in GROUPS if composed.get(group))


def _takers(axis: str) -> str:
    takers = {
        group: [name for name, schema in known.items() if axis in fields(schema)] for group, known in GROUPS.items()
    }
    said = [f"{group}={','.join(names)}" for group, names in takers.items() if names]
    return f"{' and '.join(said)} would" if said else "nothing does"


def _fill(when: dict[str, Any], given: dict[str, dict[str, Any]], schemas: dict[str, type]) -> None:
    """Applies the recipe's options for a chosen part; what was given before stands, and what stands first.

    Among them may be options of other parts, ``when: {model: {convlstm: {data: {batch_subjects: 4}}}}``; these come
    before what the recipe says of the other part itself, and those its choice does not have are left out. Instead of a
    part's choice an option's value may decide, ``when: {data.preset: {tempo: {model: {readout: max}}}}``.
    """
    own: list[tuple[str, dict[str, Any]]] = []
    for decides, by_name in when.items():
        part, _, decider = decides.partition(".")
        if part not in GROUPS and part not in SECTIONS:
            raise ConfigError(f"when.{part}: no such part{nearest(part, [*GROUPS, *SECTIONS])}")
        known = _fields_of(part)
        if decider and decider not in known:
            raise ConfigError(f"when.{decides}: no such option{nearest(decider, known)}")
        for name, values in by_name.items():
            where = f"when.{decides}.{name}"
            if not decider:
                schema = GROUPS[part].get(name) if part in GROUPS else SECTIONS[part]
                if schema is None:
                    raise ConfigError(f"{where}: no such choice{nearest(name, GROUPS[part])}")
                known = fields(schema)
            others = {key: more for key, more in values.items() if key in schemas and isinstance(more, dict)}
            plain = {key: value for key, value in values.items() if key not in others}
            for key in plain:
                if key not in known:
                    raise ConfigError(f"{where}.{key}: no such option{nearest(key, known)}")
            for other, more in others.items():
                for key in more:
                    if key not in _fields_of(other):
                        raise ConfigError(f"{where}.{other}.{key}: no such option{nearest(key, _fields_of(other))}")
            if _decided(part, decider, given, schemas) == name:
                own.append((part, plain))
                for other, more in others.items():
                    given[other] = _having(schemas[other], more) | given[other]
    for part, plain in own:
        given[part] = _having(schemas[part], plain) | given[part]


def _fields_of(part: str) -> dict[str, Any]:
    """The options of a part, whatever is chosen for it."""
    if part in SECTIONS:
        return fields(SECTIONS[part])
    return {name: field for schema in GROUPS[part].values() for name, field in fields(schema).items()}


def _decided(part: str, option: str, given: dict[str, dict[str, Any]], schemas: dict[str, type]) -> Any:
    """A part's choice, or the value of one of its options; None where there is no such thing in this run."""
    if not option:
        return getattr(schemas.get(part), "name", None) if part in GROUPS else given[part].get("name")
    if part not in schemas or option not in fields(schemas[part]):
        return None
    return given[part].get(option, default_of(fields(schemas[part])[option]))


def _having(schema: type, options: dict[str, Any]) -> dict[str, Any]:
    """Those of the options that a schema has."""
    return {name: value for name, value in options.items() if name in fields(schema)}


def _refuse_dead(part: str, schema: type, values: dict[str, Any], explicit: set[str]) -> None:
    for name in values:
        field = fields(schema)[name]
        if f"{part}.{name}" in explicit and not active(schema, field, values):
            needs = " and ".join(f"{part}.{condition(*wanted)}" for wanted in field.metadata["when"].items())
            raise ConfigError(f"{part}.{name}={values[name]}: nothing consumes it here; it needs {needs}")


def _complete(config: dict[str, Any]) -> None:
    """Settles what is left to us and depends on another part."""
    model = config.get("model", {})
    if model.get("stem") == "auto":
        _, height, width = registry.source(config["data"]).shape
        model["stem"] = "cifar" if min(height, width) < CIFAR_STEM_BELOW else "imagenet"


def _refuse_impossible(config: dict[str, Any]) -> None:
    flawed = config["recipe"] == "published"
    if config.get("att", {}).get("gate") == "softmax_batch" and not flawed:
        raise ConfigError(
            "gate=softmax_batch: one sample's output would depend on its batch mates; it needs recipe=published"
            " (gate=softmax_map or softmax_branch are the meaningful forms)"
        )
    if config["task"].get("select") == "test" and not flawed:
        raise ConfigError("task.select=test: choosing the epoch on the test part needs recipe=published")
    trainer = config["trainer"]
    share = trainer["devices"] * trainer["accumulate"]
    batch = config["data"].get("batch_size", share)
    if batch < share:
        raise ConfigError(
            f"data.batch_size={batch}: smaller than trainer.devices x trainer.accumulate = {share}; raise the one or"
            " lower the other"
        )
    if trainer["precision"] == "16-mixed" and trainer["accelerator"] == "cpu":
        raise ConfigError("trainer.precision=16-mixed: needs a GPU; on a CPU take bf16-mixed")
    if trainer["max_epochs"] == 0 and not config["ckpt"]:
        raise ConfigError("trainer.max_epochs=0: tests a checkpoint; say which with ckpt=PATH")


def _identified(config: dict[str, Any], schemas: dict[str, type], overrides: tuple[str, ...]) -> Resolved:
    identity: dict[str, Any] = {"seed": config["seed"]}
    for part, schema in schemas.items():
        options = distinctive(schema, config[part])
        if part in GROUPS:
            identity[part] = {"name": config[part]["name"], **options}
        elif options:
            identity[part] = options
    if config["ckpt"]:
        identity["ckpt"] = _file_hash(config["ckpt"])
    if identity.get("att", {}).get("name") == "custom":
        identity["att"]["source"] = custom_source(config["att"]["target"])
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return Resolved(config, identity, digest[:10], _slug(identity), overrides)


def _file_hash(path: str) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"ckpt={path}: {str(error.strerror).lower()}; give the path of a .ckpt file") from error


def _slug(identity: dict[str, Any]) -> str:
    """The choices, then the options of model, attention and task that are not the default."""
    words = [identity[group]["name"] for group in ("model", "att", "data") if group in identity]
    for group in ("task", "model", "att"):
        words += [
            f"{key}{value}"
            for key, value in identity.get(group, {}).items()
            if key not in ("name", "stem", "source") and isinstance(value, (str, int, float, bool))
        ]
    slug = "-".join(word for word in words if word != "none").replace("/", "_").replace(":", ".").replace(" ", "")
    return f"{slug[:96]}-s{identity['seed']}"


def unset(schema: type) -> dict[str, Any]:
    """A schema's options with none of them set, as they stand in a composed configuration."""
    return dict.fromkeys(fields(schema))


def explain(schema: type, name: str) -> str:
    """``kernel_size=7 (int)``: an option with its default and type."""
    default = default_of(fields(schema)[name])
    return f"{name}={'null' if default is None else default} ({describe(hints(schema)[name])})"
