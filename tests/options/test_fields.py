"""Options classes: what a subclass becomes, which instances are possible, and what is read of a class."""

import dataclasses
from typing import Any, ClassVar, Literal

import pytest

from exp.options.catalog import GROUPS, SECTIONS
from exp.options.checks import above, joined, odd
from exp.options.errors import ConfigError
from exp.options.fields import (
    Includes,
    Options,
    active,
    checked,
    choices,
    condition,
    default_of,
    describe,
    distinctive,
    docs,
    effective,
    explain,
    fields,
    hints,
    option,
    summary,
    unread,
)

SCHEMAS = [schema for known in GROUPS.values() for schema in known.values()] + [*SECTIONS.values()]


class SampleOptions(Options):
    """A sample.

    More text.
    """

    title: ClassVar[str] = "sample"
    kind: Literal["a", "b"] = "a"
    """Kind."""
    slope: float = option(0.5, above(0), kind="b")
    """Slope
    of b."""
    size: int | None = option(None, odd)
    """Size."""
    many: list[float] = option([1.0])
    """Numbers."""
    pools: str = option("x", joined("x", "y"))
    """Pools."""
    width: int = option(3, pools=Includes("y"))
    """Width of y."""
    layers: int = 1
    """Layers."""
    dropout: float = option(0.0, layers=range(2, 100))
    """Dropout between layers."""
    workers: int = option(1, identity=False)
    """Processes."""
    anything: Any = None
    """Passed on."""


class WiderOptions(SampleOptions):
    """A sample with another default, another constant and one more option."""

    title = "wider"
    slope: float = option(0.25, above(0), kind="b")
    extra: bool = False
    """Extra."""


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_every_option_is_explained(schema: type) -> None:
    assert summary(schema)
    assert not [name for name in fields(schema) if not docs(schema).get(name)]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_every_choice_is_valid_by_default(schema: type[Options]) -> None:
    options = schema()
    for name, field in fields(schema).items():
        default = default_of(field)
        assert getattr(options, name) == default
        assert checked(schema, name, default, name) == default
        assert set(field.metadata.get("when", {})) <= set(fields(schema))
    assert distinctive(schema, options.plain(), identity=False) == {}


def test_defaults_and_given_values() -> None:
    assert SampleOptions().size is None
    options = SampleOptions(kind="b", slope=0.1, many=[2.0])
    assert (options.kind, options.slope, options.many, options.pools) == ("b", 0.1, [2.0], "x")
    with pytest.raises(TypeError, match="positional"):
        SampleOptions("b")


def test_equal_by_value() -> None:
    assert SampleOptions(size=3) == SampleOptions(size=3)
    assert SampleOptions(size=3) != SampleOptions()
    assert SampleOptions() != WiderOptions()


def test_an_instance_is_frozen() -> None:
    options = SampleOptions()
    with pytest.raises(dataclasses.FrozenInstanceError):
        options.size = 3


def test_a_list_is_not_shared() -> None:
    SampleOptions().many.append(2.0)
    assert SampleOptions().many == [1.0]


def test_a_subclass_adds_options_and_replaces_defaults() -> None:
    assert WiderOptions(kind="b").slope == 0.25
    assert list(fields(WiderOptions)) == [*fields(SampleOptions), "extra"]
    assert docs(WiderOptions)["slope"] == "Slope of b."


def test_a_constant_of_the_class_is_no_option() -> None:
    assert "title" not in fields(SampleOptions)
    assert WiderOptions().title == "wider"
    with pytest.raises(TypeError, match="title"):
        SampleOptions(title="other")


def test_of_takes_options_or_values_by_name() -> None:
    options = SampleOptions(size=3)
    assert SampleOptions.of(options, {}) is options
    assert SampleOptions.of(None, {"size": 3}) == options
    assert SampleOptions.of(None, {}) == SampleOptions()
    with pytest.raises(TypeError, match="not both: size"):
        SampleOptions.of(options, {"size": 3})
    with pytest.raises(TypeError, match="sizes"):
        SampleOptions.of(None, {"sizes": 3})
    with pytest.raises(ConfigError, match="size=4"):
        SampleOptions.of(None, {"size": 4})


def test_replaced_is_another_valid_instance() -> None:
    options = SampleOptions(size=3)
    assert options.replaced(pools="x+y", width=5) == SampleOptions(size=3, pools="x+y", width=5)
    assert options.size == 3
    assert type(WiderOptions().replaced(extra=True)) is WiderOptions
    with pytest.raises(ConfigError, match="size=4: has to be odd and positive"):
        options.replaced(size=4)
    with pytest.raises(ConfigError, match="nothing reads it here"):
        SampleOptions(kind="b", slope=0.1).replaced(kind="a")


def test_plain_has_the_options_that_are_read_in_order() -> None:
    everyone = {"kind": "a", "size": None, "many": [1.0], "pools": "x", "layers": 1, "workers": 1, "anything": None}
    assert SampleOptions().plain() == everyone
    assert list(SampleOptions().plain()) == list(everyone)
    assert list(SampleOptions(kind="b", pools="x+y", layers=2).plain()) == list(fields(SampleOptions))
    assert SampleOptions(**SampleOptions(kind="b", slope=0.1).plain()) == SampleOptions(kind="b", slope=0.1)


RIGHT = [
    ("kind", "b", "b"),
    ("slope", 1, 1.0),
    ("size", None, None),
    ("size", 5, 5),
    ("many", [1, 2], [1.0, 2.0]),
    ("many", (1, 2), [1.0, 2.0]),
    ("pools", "y+x", "y+x"),
    ("anything", {"a": 1}, {"a": 1}),
]
WRONG = [
    ("kind", "c", "kind=c: not one of a, b"),
    ("kind", None, "kind=None: not one of a, b"),
    ("slope", "x", "slope=x: expected float, got str"),
    ("slope", True, "slope=True: expected float, got bool"),
    ("slope", 0.0, "slope=0.0: has to be above 0"),
    ("size", 1.5, "size=1.5: expected int or none, got float"),
    ("size", True, "size=True: expected int or none, got bool"),
    ("size", 4, "size=4: has to be odd and positive"),
    ("many", ["x"], "many=['x']: expected a list of float, got list"),
    ("many", 1.0, "many=1.0: expected a list of float, got float"),
    ("pools", "x+z", "pools=x+z: has to be x, y joined by +"),
    ("pools", "x+x", "pools=x+x: has to be without repeats"),
    ("layers", True, "layers=True: expected int, got bool"),
]


@pytest.mark.parametrize(("name", "value", "expected"), RIGHT)
def test_values_of_the_right_type_pass(name: str, value: object, expected: object) -> None:
    given = {"kind": "b", name: value}
    for got in (checked(SampleOptions, name, value, name), getattr(SampleOptions(**given), name)):
        assert got == expected
        assert type(got) is type(expected)


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_other_values_are_refused_by_name(name: str, value: object, message: str) -> None:
    given = {"kind": "b", name: value}
    for refused in (lambda: checked(SampleOptions, name, value, name), lambda: SampleOptions(**given)):
        with pytest.raises(ConfigError) as error:
            refused()
        assert isinstance(error.value, ValueError)
        assert str(error.value).startswith(message)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"slope": 0.1}, "slope=0.1: nothing reads it here; it needs kind=b"),
        ({"width": 4}, "width=4: nothing reads it here; it needs pools with y"),
        ({"dropout": 0.5}, "dropout=0.5: nothing reads it here; it needs layers=2 or more"),
    ],
)
def test_an_option_that_nothing_reads_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        SampleOptions(**given)
    assert str(error.value) == message


def test_an_unread_option_may_have_its_default() -> None:
    assert SampleOptions(slope=0.5, width=3, dropout=0.0) == SampleOptions()


def test_the_message_takes_a_prefix() -> None:
    message = "att.slope=0.1: nothing reads it here; it needs att.kind=b"
    assert unread(SampleOptions, "slope", 0.1, "att.") == message


def test_docs_and_summary() -> None:
    assert summary(SampleOptions) == "A sample."
    assert docs(SampleOptions)["slope"] == "Slope of b."


def test_nearest_spelling() -> None:
    with pytest.raises(ConfigError, match="did you mean 'sigmoid'"):
        checked(GROUPS["att"]["triplet"], "gate", "sigmod", "gate")
    with pytest.raises(ConfigError, match="did you mean 'avg'"):
        checked(GROUPS["att"]["triplet"], "pool", "avgs", "pool")


def test_unconsumed_options_are_left_out() -> None:
    assert set(effective(SampleOptions, {})) == set(fields(SampleOptions)) - {"slope", "width", "dropout"}
    assert effective(SampleOptions, {"kind": "b", "pools": "x+y"})["slope"] == 0.5
    assert effective(SampleOptions, {"pools": "x+y"})["width"] == 3
    assert effective(SampleOptions, {"layers": 2})["dropout"] == 0.0


def test_active() -> None:
    slope = fields(SampleOptions)["slope"]
    assert active(SampleOptions, slope, {"kind": "b"})
    assert not active(SampleOptions, slope, {})


def test_distinctive_is_what_differs_from_the_default() -> None:
    assert distinctive(SampleOptions, effective(SampleOptions, {"kind": "a", "many": [1.0]})) == {}
    assert distinctive(SampleOptions, effective(SampleOptions, {"kind": "b", "slope": 0.1})) == {
        "kind": "b",
        "slope": 0.1,
    }


def test_what_is_no_part_of_the_identity_is_not_distinctive() -> None:
    assert distinctive(SampleOptions, SampleOptions(workers=4).plain()) == {}
    assert distinctive(SampleOptions, SampleOptions(workers=4).plain(), identity=False) == {"workers": 4}


def test_describe() -> None:
    assert describe(hints(SampleOptions)["kind"]) == "a|b"
    assert describe(hints(SampleOptions)["size"]) == "int or none"
    assert describe(hints(SampleOptions)["many"]) == "a list of float"
    assert explain(SampleOptions, "kind") == "kind=a (a|b)"
    assert explain(SampleOptions, "size") == "size=null (int or none)"


def test_choices() -> None:
    assert choices(hints(SampleOptions)["kind"]) == ("a", "b")
    assert choices(Literal["x"] | None) == ("x",)
    assert choices(int) == ()


def test_condition() -> None:
    assert condition("kind", ("a", "b")) == "kind=a|b"
    assert condition("layers", range(2, 100)) == "layers=2 or more"
    assert condition("pools", Includes("y")) == "pools with y"
