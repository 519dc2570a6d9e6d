from dataclasses import dataclass
from typing import Literal

import pytest

from exp.config import GROUPS, SECTIONS, ConfigError
from exp.config.options import (
    Includes,
    checked,
    describe,
    distinctive,
    docs,
    effective,
    fields,
    hints,
    joined,
    option,
    summary,
)
from exp.config.run import Axes

SCHEMAS = [schema for known in GROUPS.values() for schema in known.values()] + [*SECTIONS.values(), Axes]


@dataclass(kw_only=True)
class Sample:
    """A sample.

    More text.
    """

    kind: Literal["a", "b"] = "a"
    """Kind."""
    slope: float = option(0.5, kind="b")
    """Slope
    of b."""
    size: int | None = None
    """Size."""
    many: list[float] = option([1.0])
    """Numbers."""
    pools: str = option("x", joined("x", "y"))
    """Pools."""
    width: int = option(3, pools=Includes("y"))
    """Width of y."""


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_every_option_is_explained(schema: type) -> None:
    assert summary(schema)
    assert not [name for name in fields(schema) if not docs(schema).get(name)]


def test_docs_and_summary() -> None:
    assert summary(Sample) == "A sample."
    assert docs(Sample)["slope"] == "Slope of b."


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("kind", "b", "b"), ("slope", 1, 1.0), ("size", None, None), ("size", 4, 4), ("many", [1, 2], [1.0, 2.0])],
)
def test_values_of_the_right_type_pass(name: str, value: object, expected: object) -> None:
    got = checked(Sample, name, value, name)
    assert got == expected
    assert type(got) is type(expected)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("kind", "c", "kind=c: not one of a, b"),
        ("slope", "x", "slope=x: expected float, got str"),
        ("slope", True, "slope=True: expected float, got bool"),
        ("size", 1.5, "size=1.5: expected int or none, got float"),
        ("many", ["x"], "many=['x']: expected a list of float, got list"),
        ("pools", "x+z", "pools=x+z: has to be x, y joined by +"),
        ("pools", "x+x", "pools=x+x: has to be without repeats"),
    ],
)
def test_other_values_are_refused_by_name(name: str, value: object, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        checked(Sample, name, value, name)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_nearest_spelling() -> None:
    with pytest.raises(ConfigError, match="did you mean 'sigmoid'"):
        checked(GROUPS["att"]["triplet"], "gate", "sigmod", "gate")


def test_unconsumed_options_are_left_out() -> None:
    assert effective(Sample, {}) == {"kind": "a", "size": None, "many": [1.0], "pools": "x"}
    assert effective(Sample, {"kind": "b", "pools": "x+y"})["slope"] == 0.5
    assert effective(Sample, {"pools": "x+y"})["width"] == 3


def test_distinctive_is_what_differs_from_the_default() -> None:
    assert distinctive(Sample, effective(Sample, {"kind": "a", "many": [1.0]})) == {}
    assert distinctive(Sample, effective(Sample, {"kind": "b", "slope": 0.1})) == {"kind": "b", "slope": 0.1}


def test_describe() -> None:
    assert describe(hints(Sample)["kind"]) == "a|b"
    assert describe(hints(Sample)["size"]) == "int or none"
