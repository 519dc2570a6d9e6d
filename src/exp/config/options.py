"""Schemas are dataclasses: this file reads one, checks values against it and says what an option means.

A field's docstring is the string below it. ``option(default, gate="sigmoid")`` declares a field that only counts while
another field of the same schema has the given value (or one of several).
"""

import ast
import dataclasses
import difflib
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Callable
from typing import Any

from exp.errors import ConfigError as ConfigError


class Includes:
    """Values joined by + of which ``part`` is one, as a condition of ``option``."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __contains__(self, value: str) -> bool:
        return self.part in value.split("+")


Check = Callable[[Any], str | None]
"""Says what is wrong with a value, None where nothing is."""


def option(default: Any, check: Check | None = None, *, identity: bool = True, **active_when: Any) -> Any:
    """A schema field.

    Args:
        default: The value used where nobody sets the field; a list is copied.
        check: Says what is wrong with a value of the right type.
        identity: Whether the value belongs to a cell's identity (paths, workers and device names do not).
        active_when: Other fields of the schema with the value (or tuple or range of values, or ``Includes``) under
            which this one is consumed.
    """
    wanted = {
        key: value if isinstance(value, (tuple, range, Includes)) else (value,) for key, value in active_when.items()
    }
    metadata = {"identity": identity, "when": wanted, "check": check}
    if isinstance(default, list):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def at_least(low: float) -> Check:
    """Checks a lower bound."""
    return lambda value: None if value >= low else f"at least {low:g}"


def odd(value: int) -> str | None:
    """Checks for a positive odd number."""
    return None if value > 0 and value % 2 else "odd and positive"


def fraction(value: float) -> str | None:
    """Checks for a number in [0, 1)."""
    return None if 0 <= value < 1 else "at least 0 and below 1"


def probability(value: float) -> str | None:
    """Checks for a number in [0, 1]."""
    return None if 0 <= value <= 1 else "between 0 and 1"


def joined(*known: str) -> Check:
    """Checks for an ordered set joined by +, such as ``avg+max``."""

    def check(value: str) -> str | None:
        parts = value.split("+")
        unknown = [part for part in parts if part not in known]
        if unknown:
            return f"{', '.join(known)} joined by +{nearest(unknown[0], known)}"
        return None if len(set(parts)) == len(parts) else "without repeats"

    return check


@functools.cache
def fields(schema: type) -> dict[str, dataclasses.Field]:
    """The fields of a schema by name, in its order."""
    return {f.name: f for f in dataclasses.fields(schema)}


@functools.cache
def hints(schema: type) -> dict[str, Any]:
    """The type of each field."""
    return typing.get_type_hints(schema)


@functools.cache
def docs(schema: type) -> dict[str, str]:
    """The docstring below each field, base classes included, on one line each."""
    found: dict[str, str] = {}
    for cls in reversed(schema.__mro__[:-1]):
        body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, doc in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant):
                assert isinstance(field.target, ast.Name)
                found[field.target.id] = " ".join(str(doc.value.value).split())
    return found


def default_of(field: dataclasses.Field) -> Any:
    """The value a field takes where nobody sets it."""
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def summary(schema: type) -> str:
    """The first line of a schema's docstring."""
    return (inspect.getdoc(schema) or "").split("\n")[0]


def choices(annotation: Any) -> tuple[Any, ...]:
    """The values a field may take, empty where its type alone decides."""
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)
    return tuple(c for part in _union(annotation) if part is not annotation for c in choices(part))


def nearest(word: Any, known: typing.Iterable[Any]) -> str:
    """``"; did you mean 'x'?"`` for the closest spelling among ``known``, or an empty string."""
    close = difflib.get_close_matches(str(word), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


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
        listed = ", ".join(map(str, allowed))
        raise ConfigError(f"{where}={value}: not one of {listed}{nearest(value, allowed)}")
    raise ConfigError(f"{where}={value}: expected {describe(annotation)}, got {type(value).__name__}")


def describe(annotation: Any) -> str:
    """An annotation as a person writes it: ``int``, ``float or none``, ``a|b|c``."""
    allowed = choices(annotation)
    if allowed and typing.get_origin(annotation) is typing.Literal:
        return "|".join(map(str, allowed))
    if annotation is type(None):
        return "none"
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(describe(part) for part in typing.get_args(annotation))
    if typing.get_origin(annotation) is list:
        return f"a list of {describe(typing.get_args(annotation)[0])}"
    return getattr(annotation, "__name__", str(annotation))


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
        if not isinstance(value, list):
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


def active(schema: type, field: dataclasses.Field, values: dict[str, Any]) -> bool:
    """Whether ``field`` is consumed given the other values (defaults where absent)."""
    known = fields(schema)
    return all(
        values.get(key, default_of(known[key])) in wanted for key, wanted in field.metadata.get("when", {}).items()
    )


def condition(name: str, wanted: Any) -> str:
    """A condition of ``option`` as a person writes it: ``activation=elu|celu``."""
    if isinstance(wanted, range):
        return f"{name}={wanted.start} or more"
    if isinstance(wanted, Includes):
        return f"{name} with {wanted.part}"
    return f"{name}={'|'.join(map(str, wanted))}"


def effective(schema: type, given: dict[str, Any]) -> dict[str, Any]:
    """``given`` completed by the schema's defaults, unconsumed options left out, in the schema's order."""
    values = {
        name: default_of(field) if given.get(name) is None else given[name] for name, field in fields(schema).items()
    }
    return {name: value for name, value in values.items() if active(schema, fields(schema)[name], values)}


def distinctive(schema: type, values: dict[str, Any], *, identity: bool = True) -> dict[str, Any]:
    """The options that differ from the schema's defaults, so that a field added later changes no finished cell."""
    return {
        name: values[name]
        for name, field in fields(schema).items()
        if name in values
        and values[name] != default_of(field)
        and (field.metadata.get("identity", True) or not identity)
    }
