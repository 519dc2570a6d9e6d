"""From what was composed to what will run: short names routed, defaults filled in, every given option read."""

import functools
import hashlib
import json
import os
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exp.options import weights
from exp.options.catalog import GROUPS, SECTIONS, fitting, refuse_metrics, restored, revision, schema_of
from exp.options.config import Config
from exp.options.errors import ConfigError
from exp.options.fields import active, checked, default_of, distinctive, effective, fields, unread
from exp.options.parts import ModelOptions
from exp.options.recipe import fill
from exp.options.spelling import unknown

TOP_LEVEL = ("seed", "recipe", "ckpt", "when")
"""Options that belong to no part."""


@dataclass(frozen=True)
class Resolved:
    """A cell's choices, completed.

    Attributes:
        config: Options of every part, plus seed, recipe and checkpoint.
        identity: What tells this cell from another: the options that differ from the defaults.
        key: Ten hexadecimal digits of the identity's hash.
        slug: The choices as a readable name.
        overrides: What was given on the command line, as given.
        narrowed: How the recipe made the model smaller, such as ``resnet18 narrowed to width=16``; empty if it did not.
    """

    config: Config
    identity: dict[str, Any]
    key: str
    slug: str
    overrides: tuple[str, ...] = ()
    narrowed: str = ""

    @classmethod
    def restored(cls, plain: dict[str, Any]) -> "Resolved":
        """Returns the choices that `plain` made a dictionary of.

        Raises:
            ConfigError: They were written by another version and cannot be made any more.
        """
        overrides, narrowed = tuple(plain.get("overrides", ())), plain.get("narrowed", "")
        return cls(restored(plain["config"]), plain["identity"], plain["key"], plain["slug"], overrides, narrowed)

    def on_data(self, fingerprint: str) -> "Resolved":
        """Returns the same choices as a cell of their own for certain data, see ``Cell.on``."""
        identity = self.identity | {"data_content": fingerprint}
        return replace(self, identity=identity, key=_key(identity))

    def seeded(self, seed: int, overrides: Collection[str]) -> "Resolved":
        """Returns the same choices under another seed, as ``overrides`` that differ in it alone would resolve."""
        identity, config = self.identity | {"seed": seed}, replace(self.config, seed=seed)
        before, after = self._around_seed
        slug = f"{self.slug.removesuffix(str(self.seed))}{seed}"
        return Resolved(config, identity, _hash(f"{before}{seed}{after}"), slug, tuple(overrides), self.narrowed)

    @functools.cached_property
    def _around_seed(self) -> tuple[str, str]:
        """What ``_key`` hashes, before and behind the seed."""
        before, _, after = _text(self.identity | {"seed": "\0"}).partition(_text("\0"))
        return before, after

    def plain(self) -> dict[str, Any]:
        """Returns the choices as a dictionary that JSON can hold."""
        return {
            "key": self.key,
            "slug": self.slug,
            "overrides": list(self.overrides),
            "identity": self.identity,
            "config": self.config.plain(),
            "narrowed": self.narrowed,
        }

    @property
    def seed(self) -> int:
        """The cell's seed."""
        return self.config.seed

    @property
    def task(self) -> str:
        """The task's name."""
        return self.config.task.name


@dataclass
class Draft:
    """A configuration on its way from what was composed to a `Config`.

    Attributes:
        composed: What Hydra composed, as a plain dictionary; None means not set.
        schemas: The options class of each part and section.
        given: The options that are set, by part.
        explicit: Options named on the command line, as ``part.option``, and what was typed.
    """

    composed: dict[str, Any]
    schemas: dict[str, Any]
    given: dict[str, dict[str, Any]] = field(default_factory=dict)
    explicit: set[str] = field(default_factory=set)


def resolve(composed: dict[str, Any], overrides: Collection[str] = ()) -> Resolved:
    """Completes and checks a composed configuration.

    Args:
        composed: The configuration as Hydra composed it, as a plain dictionary; None means not set.
        overrides: The overrides it was composed with. An option named there has to be read by something.

    Raises:
        ConfigError: A value is of the wrong type, an option is dead or ambiguous, or choices exclude one another.
    """
    draft = _draft(composed, overrides)
    _refuse_unknown(draft)
    _refuse_unfitting(draft)
    _route(draft)
    _spread(draft)
    by_user = set(draft.given["model"])
    fill(composed.get("when") or {}, draft.given, draft.schemas)
    by_recipe = [name for name in draft.given["model"] if name not in by_user]
    config = _config(draft)
    _refuse_contradictions(config)
    resolved = _identified(config, tuple(overrides))
    return replace(resolved, narrowed=_narrowed(config, by_recipe))


def _draft(composed: dict[str, Any], overrides: Collection[str]) -> Draft:
    schemas: dict[str, Any] = {}
    for group in GROUPS:
        if not isinstance(composed.get(group), dict):
            raise ConfigError(f"{group}: every run has one; give {group}=NAME{_none(group)}")
        schemas[group] = schema_of(group, composed[group])
    schemas |= SECTIONS
    for part in (*SECTIONS, "when"):
        if not isinstance(composed.get(part) or {}, dict):
            raise ConfigError(f"{part}={composed[part]}: has options, not a value; give {part}.OPTION=VALUE")
    composed = {key: _at_home(value) for key, value in composed.items()}
    explicit = {override.lstrip("+~").partition("=")[0] for override in overrides}
    given = {
        part: {
            key: _at_home(value)
            for key, value in (composed.get(part) or {}).items()
            if value is not None and not (key == "name" and part in GROUPS)
        }
        for part in schemas
    }
    return Draft(composed, schemas, given, explicit)


def _at_home(value: Any) -> Any:
    """Returns a path below ``~`` in full, as it would be from a shell; everything else as it is."""
    return os.path.expanduser(value) if isinstance(value, str) and value.startswith("~") else value


def _none(group: str) -> str:
    return ", or att=none" if group == "att" else ""


def _refuse_unknown(draft: Draft) -> None:
    """Refuses keys that were appended with + and belong to nothing."""
    short = _short(revision())
    for key in draft.composed:
        if key not in short and key not in draft.schemas and key not in TOP_LEVEL:
            raise ConfigError(unknown(str(key), why="no such option, nothing would read it"))
    chosen = {group: draft.schemas[group].name for group in GROUPS}
    for part, schema in draft.schemas.items():
        for key in draft.composed.get(part) or {}:
            if key not in fields(schema) and not (key == "name" and part in GROUPS):
                raise ConfigError(unknown(f"{part}.{key}", chosen, why="no such option, nothing would read it"))


@functools.cache
def _short(_revision: int) -> frozenset[str]:
    """Returns the options' names without their parts'."""
    known = (*GROUPS.values(), SECTIONS)
    return frozenset(name for schemas in known for schema in schemas.values() for name in fields(schema))


def _refuse_unfitting(draft: Draft) -> None:
    """Refuses a model or data set of another kind than the task's."""
    task = draft.schemas["task"]
    for group in ("model", "data"):
        schema = draft.schemas[group]
        if schema.kind != task.kind:
            raise ConfigError(
                f"{group}={schema.name}: is for {schema.kind}, but task={task.name} works on {task.kind}; take"
                f" {', '.join(fitting(group, task.kind))}"
            )


def _route(draft: Draft) -> None:
    """Gives each option that was given by its short name to the one part that has it."""
    for name, value in draft.composed.items():
        if value is None or name in draft.schemas or name in TOP_LEVEL:
            continue
        owners = [part for part, schema in draft.schemas.items() if name in fields(schema)]
        preferred = draft.schemas["task"].prefers.get(name)
        if preferred in owners:
            owners = [preferred]
        if not owners:
            chosen = ", ".join(f"{group}={draft.schemas[group].name}" for group in GROUPS)
            raise ConfigError(f"{name}={value}: nothing in this run takes it ({chosen}); {_takers(name)}")
        if len(owners) > 1:
            spellings = " or ".join(f"{part}.{name}" for part in owners)
            raise ConfigError(f"{name}={value}: {' and '.join(owners)} both take it; say {spellings}")
        part = owners[0]
        long = f"{part}.{name}"
        if long in draft.explicit and draft.given[part].get(name) != value:
            raise ConfigError(f"{name}={value} and {long}={draft.given[part].get(name)}: the same option, given twice")
        checked(draft.schemas[part], name, value, name)
        draft.given[part][name] = value
        if name in draft.explicit:
            draft.explicit.add(long)


def _takers(name: str) -> str:
    takers = {
        group: [choice for choice, schema in known.items() if name in fields(schema)] for group, known in GROUPS.items()
    }
    lists = [f"{group}={','.join(choices)}" for group, choices in takers.items() if choices]
    return f"{' and '.join(lists)} would" if lists else "nothing does"


def _spread(draft: Draft) -> None:
    """Gives the value of an option that sets others to those that are not given, and takes it away.

    Raises:
        ConfigError: An option of a section is given by both of its names, with different values.
    """
    for part, schema in draft.schemas.items():
        for name, targets in getattr(schema, "sets", {}).items():
            value = draft.given[part].pop(name, None)
            if value is None:
                continue
            value = checked(schema, name, value, f"{part}.{name}")
            for target in (targets,) if isinstance(targets, str) else targets:
                owner, _, option = target.rpartition(".")
                given = draft.given[owner or part].setdefault(option, value)
                if owner and given != value and target in draft.explicit:
                    raise ConfigError(f"{part}.{name}={value} and {target}={given}: the same option, given twice")
                if f"{part}.{name}" in draft.explicit:
                    if owner:
                        draft.given[owner][option] = value
                    draft.explicit.add(f"{owner or part}.{option}")


def _config(draft: Draft) -> Config:
    parts: dict[str, Any] = {}
    if isinstance(init := draft.given["model"].get("init"), str):
        draft.given["model"]["init"] = weights.completed(init, "init")
    for part, schema in draft.schemas.items():
        given = draft.given[part]
        values = {name: checked(schema, name, value, f"{part}.{name}") for name, value in given.items()}
        for name, value in values.items():
            if f"{part}.{name}" in draft.explicit and not active(schema, fields(schema)[name], values):
                raise ConfigError(unread(schema, name, value, f"{part}."))
            if f"{part}.{name}" in draft.explicit and (why := draft.schemas["task"].unread(part, name)):
                raise ConfigError(f"{part}.{name}={value}: {why}")
        for name, option in fields(schema).items():
            if option.metadata.get("typed") and f"{part}.{name}" not in draft.explicit:
                raise ConfigError(
                    f"{part}={schema.name}: runs code of yours, so name it on the command line:"
                    f" {part}.{name}=package.module:Class"
                )
        parts[part] = schema(**effective(schema, values))
    composed = draft.composed
    seed, recipe, ckpt = _seed(composed.get("seed")), composed.get("recipe"), composed.get("ckpt")
    for name, value in (("recipe", recipe), ("ckpt", ckpt)):
        if not isinstance(value, str) and not (name == "ckpt" and value is None):
            raise ConfigError(f"{name}={value}: expected str, got {type(value).__name__}")
    if ckpt:
        ckpt = str(weights.checkpoint_of(Path(ckpt), f"ckpt={ckpt}"))
    config = Config(**parts, seed=seed, recipe=str(recipe), ckpt=ckpt)
    return replace(config, **{group: getattr(config, group).settled(config) for group in GROUPS})


def _seed(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise ConfigError(f"seed={value}: expected a whole number from 0 up to 2**32 - 1")
    return value


def _refuse_contradictions(config: Config) -> None:
    model = config.model
    if model.init == weights.TIMM:
        having = [name for name, schema in GROUPS["model"].items() if schema.timm]
        weights.refuse_timm(model.name, model.timm, having)
    if config.ckpt and model.init != weights.OWN:
        raise ConfigError(f"ckpt={config.ckpt} and init={model.init}: both say what the weights start from; give one")
    refuse_metrics(config.task)
    for part in (*GROUPS, *SECTIONS):
        complaint = getattr(config, part).conflict(config)
        if complaint:
            raise ConfigError(complaint)


def _identified(config: Config, overrides: tuple[str, ...]) -> Resolved:
    identity: dict[str, Any] = {"seed": config.seed}
    for part in (*GROUPS, *SECTIONS):
        options = getattr(config, part)
        differing = distinctive(type(options), options.plain())
        if part in GROUPS:
            identity[part] = {"name": options.name, **differing}
            if part == "model" and options.init != weights.OWN:
                identity[part]["init"] = weights.distinguishing(options.init)
        elif differing:
            identity[part] = differing
    if config.ckpt:
        identity["ckpt"] = weights.content(config.ckpt, "ckpt")
    return Resolved(config, identity, _key(identity), _slug(identity), overrides)


def _key(identity: dict[str, Any]) -> str:
    return _hash(_text(identity))


def _text(identity: Any) -> str:
    return json.dumps(identity, sort_keys=True, separators=(",", ":"))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _slug(identity: dict[str, Any]) -> str:
    """Returns the choices, then the options of model, attention and task that are not the default."""
    words = list(dict.fromkeys(identity[group]["name"] for group in ("model", "att", "data")))
    for group in ("task", "model", "att"):
        words += [
            f"{key}{value}"
            for key, value in identity[group].items()
            if key not in ("name", "stem") and isinstance(value, (str, int, float, bool))
        ]
    slug = "-".join(word for word in words if word != "none").replace("/", "_").replace(":", ".").replace(" ", "")
    return f"{slug[:96]}-s{identity['seed']}"


def _narrowed(config: Config, by_recipe: list[str]) -> str:
    """Returns how ``recipe=quick`` made the model smaller, empty where it did not."""
    if config.recipe != "quick":
        return ""
    values = config.model.plain()
    smaller = [name for name in by_recipe if name in values and _is_smaller(config.model, name, values[name])]
    changes = " ".join(f"{name}={values[name]}" for name in smaller)
    return f"{config.model.name} narrowed to {changes}" if changes else ""


def _is_smaller(model: ModelOptions, name: str, value: Any) -> bool:
    default = default_of(fields(type(model))[name])
    return all(type(number) in (int, float) for number in (value, default)) and value < default
