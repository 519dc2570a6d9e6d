"""An options class is a plain class with typed fields: this file reads one and checks values against it.

    class TripletOptions(BlockOptions):
        \"\"\"Triplet attention (Misra et al., WACV 2021).\"\"\"

        name = "triplet"
        kernel_size: int = option(7, odd)
        \"\"\"Side of the gate's convolution, odd.\"\"\"

Every subclass of ``Options`` becomes a frozen, keyword-only dataclass. The string below a field documents it.
``option(default, gate="sigmoid")`` declares a field that only counts while another field of the same class has the
given value (or one of several). An instance is valid: its values have their types and lie within their bounds, and no
option that nothing reads differs from its default.
"""

import ast
import dataclasses
import functools
import inspect
import itertools
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from typing_extensions import Self, dataclass_transform

from exp.options.errors import ConfigError, nearest

T = TypeVar("T")

Check = Callable[[Any], str | None]
"""Says what is wrong with a value, None where nothing is."""


def option(
    default: Any, check: Check | None = None, *, identity: bool = True, typed: bool = False, **active_when: Any
) -> Any:
    """A field of an options class.

    Args:
        default: The value used where nobody sets the field; a list is copied.
        check: Says what is wrong with a value of the right type.
        identity: Whether the value belongs to a cell's identity (paths, workers and device names do not).
        typed: Whether the value has to be given on the command line, since it names code that will run.
        active_when: Other fields of the class with the value (or a tuple or range of values, or ``Includes``) under
            which this one is read.
    """
    wanted = {
        key: value if isinstance(value, (tuple, range, Includes)) else (value,) for key, value in active_when.items()
    }
    metadata = {"identity": identity, "when": wanted, "check": check, "typed": typed}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Options:
    """Base of all options classes.

    Raises:
        ConfigError: A value is of the wrong type, not among the choices, out of bounds, or never read.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        # What is compared and shown is written once, below: making it anew for each of a hundred classes takes time.
        dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)(cls)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(
            getattr(self, name) == getattr(other, name) for name in fields(type(self))
        )

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in fields(type(self))))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in fields(type(self)))
        return f"{type(self).__qualname__}({shown})"

    def __post_init__(self) -> None:
        values = {name: getattr(self, name) for name in fields(type(self))}
        for name, field in fields(type(self)).items():
            default = default_of(field)
            if values[name] == default and type(values[name]) is type(default):
                continue
            value = checked(type(self), name, values[name], name)
            object.__setattr__(self, name, value)
            if value != default and not active(type(self), field, values):
                raise ConfigError(unread(type(self), name, value))

    @classmethod
    def of(cls, options: Self | None, given: Mapping[str, Any]) -> Self:
        """Returns ``options``, or options with the values given by name.

        With it a class can be built either way: ``Triplet(64, options)`` and ``Triplet(64, kernel_size=3)``.

        Raises:
            TypeError: Both are given, or a name is not an option.
            ConfigError: See the class.
        """
        if options is None:
            return cls(**given)
        if given:
            raise TypeError(f"give {cls.__name__} or options by name, not both: {', '.join(given)}")
        return options

    def replaced(self, **changes: Any) -> Self:
        """Returns a copy with other values for the named options."""
        return dataclasses.replace(self, **changes)  # type: ignore[type-var]

    def plain(self) -> dict[str, Any]:
        """Returns the options that are read, by name, in order."""
        return dict(self._plain)

    @functools.cached_property
    def _plain(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in fields(type(self))}
        return effective(type(self), values)


class Includes:
    """Values joined by + of which ``part`` is one, as a condition of ``option``."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __contains__(self, value: str) -> bool:
        return self.part in value.split("+")


def once(read: Callable[[type], T]) -> Callable[[type], T]:
    """Caches what is read of a class."""
    return functools.cache(read)


@once
def fields(schema: type) -> dict[str, dataclasses.Field]:
    """Returns the fields of an options class by name, in its order."""
    return {f.name: f for f in dataclasses.fields(schema)}


@once
def hints(schema: type) -> dict[str, Any]:
    """Returns the type of each field."""
    return typing.get_type_hints(schema)


@once
def docs(schema: type) -> dict[str, str]:
    """Returns the docstring below each field, base classes included, on one line each."""
    words: dict[str, str] = {}
    for cls in reversed(schema.__mro__[:-1]):
        if "words" in vars(cls):  # made from a signature, not written in a module
            words |= vars(cls)["words"]
            continue
        body = _classes(cls.__module__)[cls.__name__].body
        for field, doc in itertools.pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
                assert isinstance(field.target, ast.Name)
                words[field.target.id] = " ".join(str(doc.value.value).split())
    return words


@functools.cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def default_of(field: dataclasses.Field) -> Any:
    """Returns the value a field takes where nobody sets it."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def summary(schema: type) -> str:
    """Returns the first line of a class's docstring."""
    return (inspect.getdoc(schema) or "").split("\n")[0]


def choices(annotation: Any) -> tuple[Any, ...]:
    """Returns the values a field may take; empty where its type alone decides."""
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)
    return tuple(c for part in _union(annotation) if part is not annotation for c in choices(part))


def checked(schema: type, name: str, value: Any, where: str) -> Any:
    """Returns ``value`` as the field's type.

    Raises:
        ConfigError: The value is of another type, not among the choices or out of bounds.
    """
    value = coerce(value, hints(schema)[name], where)
    check = fields(schema)[name].metadata.get("check")
    complaint = check(value) if check and value is not None else None
    if complaint:
        raise ConfigError(f"{where}={value}: has to be {complaint}")
    return value


def coerce(value: Any, annotation: Any, where: str) -> Any:
    """Returns ``value`` as the annotated type.

    Raises:
        ConfigError: The value is of another type or not among the choices.
    """
    for part in _union(annotation):
        try:
            return _coerce(value, part)
        except (TypeError, ValueError):
            continue
    allowed = choices(annotation)
    if allowed:
        listed = ", ".join(map(_typed, allowed))
        raise ConfigError(f"{where}={value}: not one of {listed}{nearest(value, allowed)}")
    raise ConfigError(f"{where}={value}: expected {describe(annotation)}, got {type(value).__name__}")


def describe(annotation: Any) -> str:
    """Returns an annotation as a person writes it: ``int``, ``float or none``, ``a|b|c``."""
    allowed = choices(annotation)
    if allowed and typing.get_origin(annotation) is typing.Literal:
        return "|".join(map(_typed, allowed))
    if annotation is type(None):
        return "none"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(describe(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is list:
        return f"a list of {describe(typing.get_args(annotation)[0])}"
    return getattr(annotation, "__name__", str(annotation))


def _typed(value: Any) -> str:
    """Returns a value of a choice as it is typed: ``true``."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def explain(schema: type, name: str) -> str:
    """Returns an option with its default and type: ``kernel_size=7 (int)``."""
    default = default_of(fields(schema)[name])
    return f"{name}={'null' if default is None else default} ({describe(hints(schema)[name])})"


def active(schema: type, field: dataclasses.Field, values: Mapping[str, Any]) -> bool:
    """Returns whether ``field`` is read given the other values (defaults where absent)."""
    when = field.metadata.get("when")
    if not when:
        return True
    known = fields(schema)
    return all((values[key] if key in values else default_of(known[key])) in wanted for key, wanted in when.items())


def unread(schema: type, name: str, value: Any, prefix: str = "") -> str:
    """Returns the message for an option that nothing reads under the other values.

    Args:
        schema: The options class.
        name: The option.
        value: What it was set to.
        prefix: What comes before the names of options, such as ``att.``.
    """
    wanted = fields(schema)[name].metadata["when"]
    needs = " and ".join(f"{prefix}{condition(*pair)}" for pair in wanted.items())
    return f"{prefix}{name}={value}: nothing reads it here; it needs {needs}"


def condition(name: str, wanted: Any) -> str:
    """Returns a condition of ``option`` as a person writes it: ``activation=elu|celu``."""
    if isinstance(wanted, range):
        return f"{name}={wanted.start} or more"
    if isinstance(wanted, Includes):
        return f"{name} with {wanted.part}"
    return f"{name}={'|'.join(map(str, wanted))}"


def effective(schema: type, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``given`` completed by the defaults, options that nothing reads left out, in the class's order."""
    known = fields(schema)
    values = {name: default_of(field) if given.get(name) is None else given[name] for name, field in known.items()}
    return {name: value for name, value in values.items() if active(schema, known[name], values)}


def distinctive(schema: type, values: Mapping[str, Any], *, identity: bool = True) -> dict[str, Any]:
    """Returns the options that differ from their defaults, so that a field added later changes no finished cell."""
    return {
        name: values[name]
        for name, field in fields(schema).items()
        if name in values
        and values[name] != default_of(field)
        and (field.metadata.get("identity", True) or not identity)
    }


def _union(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _coerce(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        for allowed in typing.get_args(kind):
            if value == allowed and isinstance(value, bool) == isinstance(allowed, bool):
                return allowed
        raise ValueError
    if origin is list:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        return [_coerce(item, typing.get_args(kind)[0]) for item in value]
    if kind is type(None):
        if value is not None:
            raise TypeError
        return None
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is str and type(value) is int:  # a set of one number, kernels=7, is read as a number
        return str(value)
    if (isinstance(value, bool) and kind is not bool) or not isinstance(value, kind):
        raise TypeError
    return value
