"""Drawn faces: deterministic, in FER2013's shares, and readable by a simple rule where nothing disturbs them."""

from pathlib import Path

import numpy as np
import pytest

from exp.tasks.fer.data.expression import EXPRESSIONS, ExpressionSplit
from exp.tasks.fer.data.faces import SHARES, Faces, draw_faces
from exp.tasks.fer.options import FacesOptions


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))


def test_parts_have_the_sizes_and_shares_asked_for() -> None:
    parts = Faces(train=400, held=100, wrong=0).load()
    assert {name: part.images.shape for name, part in parts.items()} == {
        "train": (400, 1, 48, 48),
        "val": (100, 1, 48, 48),
        "test": (100, 1, 48, 48),
    }
    counts = np.bincount(parts["train"].labels, minlength=7)
    assert np.abs(counts / 400 - SHARES).max() < 0.02
    assert counts.argmin() == EXPRESSIONS.index("disgust")
    assert all(isinstance(part, ExpressionSplit) and not part.copies.any() for part in parts.values())


def test_the_same_options_draw_the_same_faces_with_and_without_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, cached = Faces(train=100, held=70).load(), Faces(train=100, held=70).load()
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "other"))
    anew = Faces(train=100, held=70).load()
    for name, part in first.items():
        for other in (cached, anew):
            assert np.array_equal(part.images, other[name].images)
            assert np.array_equal(part.labels, other[name].labels)
    assert not np.array_equal(first["val"].images, first["test"].images)


def test_the_fingerprint_follows_the_options() -> None:
    assert Faces().check() == Faces().check()
    assert len({Faces(noise=noise, wrong=wrong).check() for noise in (0.5, 1) for wrong in (0, 0.1)}) == 4


def test_wrong_labels_are_as_many_as_asked_for_at_most() -> None:
    right, wrong = Faces(train=800, held=70, wrong=0).load(), Faces(train=800, held=70, wrong=0.3).load()
    share = (right["train"].labels != wrong["train"].labels).mean()
    assert 0.15 < share < 0.3  # a label drawn anew may be the right one


def test_without_noise_an_expression_is_always_drawn_alike() -> None:
    expressions = np.repeat(np.arange(7), 3)
    images = draw_faces(expressions, 0.0, np.random.RandomState(0)).reshape(7, 3, 48, 48)
    assert (images == images[:, :1]).all()
    assert len({image.tobytes() for image in images[:, 0]}) == 7


def test_expressions_differ_more_than_chance_and_less_than_certainty() -> None:
    parts = Faces(train=1500, held=300, wrong=0).load()
    train = parts["train"].images[:, 0].reshape(1500, -1).astype(np.float32)
    held = parts["val"].images[:, 0].reshape(300, -1).astype(np.float32)
    train, held = ((part - part.mean(1, keepdims=True)) / part.std(1, keepdims=True) for part in (train, held))
    nearest = (held @ train.T).argmax(1)
    accuracy = (parts["train"].labels[nearest] == parts["val"].labels).mean()
    assert 0.15 < accuracy < 0.6  # pixels alone say little: people and light differ more than expressions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 69}, "train=69: has to be at least 70"),
        ({"held": 1}, "held=1: has to be at least 70"),
        ({"noise": -1}, "noise=-1.0: has to be at least 0"),
        ({"wrong": 1.5}, "wrong=1.5: has to be between 0 and 1"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faces(**options)


def test_the_reader_takes_its_options_object() -> None:
    parts = FacesOptions(train=80, held=70).reader().load()
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "val": 70, "test": 70}
