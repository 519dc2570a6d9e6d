"""Checks of single values: each returns None for what is right, and otherwise what a value has to be."""

import math

import pytest

from exp.options.checks import (
    above,
    at_least,
    duration,
    fraction,
    joined,
    keywords,
    odd,
    probability,
    program,
    seconds_of,
)
from exp.options.fields import Check


@pytest.mark.parametrize(
    ("check", "values"),
    [
        (at_least(2), (2, 2.0, 1e9)),
        (above(0), (1e-9, 3)),
        (odd, (1, 3, 101)),
        (fraction, (0, 0.0, 0.999)),
        (probability, (0, 0.5, 1)),
        (joined("avg", "max"), ("avg", "max", "max+avg", "avg+max")),
        (keywords, ({}, {"reduction": 8, "gate": "sigmoid"})),
    ],
)
def test_right_values(check: Check, values: tuple[object, ...]) -> None:
    for value in values:
        assert check(value) is None


@pytest.mark.parametrize(
    ("check", "values", "message"),
    [
        (at_least(2), (1, 1.99, -5, math.inf, math.nan), "at least 2"),
        (at_least(0.05), (0,), "at least 0.05"),
        (above(0), (0, -1.0, math.inf, math.nan), "above 0"),
        (odd, (0, 2, -3), "odd and positive"),
        (fraction, (1, -0.1, 1.5, math.nan), "at least 0 and below 1"),
        (probability, (-0.1, 1.1, math.nan), "between 0 and 1"),
        (joined("avg", "max"), ("", "avg+", "+max", "lp", "avg,max"), "avg, max joined by +"),
        (joined("avg", "max"), ("avg+avg", "max+avg+max"), "without repeats"),
        (keywords, (3, ["a"], {1: 2}, {"a b": 1}), "options by name"),
        (duration, ("", "2", "0h", "2 hours", "-1h", "h2", "2h junk", "1,5h"), "a duration with its unit"),
        (program, ("", " ", "mail 'me"), "a program"),
    ],
)
def test_wrong_values(check: Check, values: tuple[object, ...], message: str) -> None:
    for value in values:
        complaint = check(value)
        assert complaint is not None
        assert complaint.startswith(message)


def test_durations_in_seconds() -> None:
    texts = ("45s", "90min", "2h", "1.5h", "1d12h", "1h 30min")
    assert [seconds_of(text) for text in texts] == [45, 5400, 7200, 5400, 129600, 5400]


def test_nearest_name_of_a_set() -> None:
    assert joined("avg", "median")("avg+medan") == "avg, median joined by +; did you mean 'median'?"
