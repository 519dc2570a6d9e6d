"""Copies: exact ones, nearly equal ones."""

import numpy as np
import pytest

from exp.tasks.fer.data import duplicates
from tests.tasks.fer.data.fer_files import faces


def test_exact_copies_are_found_and_nothing_else() -> None:
    earlier, _ = faces(20)
    later, _ = faces(10, seed=1)
    later[3], later[7] = earlier[19], earlier[0]
    later[4] = earlier[5]
    later[4, 0, 0] ^= 1
    assert np.flatnonzero(duplicates.exact(earlier, later)).tolist() == [3, 7]


def test_near_copies_are_found_through_brightness_mirroring_and_grain() -> None:
    earlier, _ = faces(30)
    later, _ = faces(12, seed=1)
    random = np.random.RandomState(2)
    later[0] = np.clip(earlier[4] * 0.6 + 40, 0, 255)
    later[5] = earlier[9][:, ::-1]
    later[11] = np.clip(earlier[29] + random.randint(-9, 10, (48, 48)), 0, 255)
    assert np.flatnonzero(duplicates.near(earlier, later)).tolist() == [0, 5, 11]


def test_flat_images_are_like_nothing() -> None:
    earlier = np.full((2, 48, 48), 90, np.uint8)
    assert not duplicates.near(earlier, earlier).any()
    assert duplicates.exact(earlier, earlier).all()


def test_empty_sets_have_no_copies() -> None:
    images, _ = faces(3)
    assert duplicates.near(images[:0], images).tolist() == [False] * 3
    assert duplicates.near(images, images[:0]).tolist() == []


def test_sides_have_to_be_multiples_of_twelve() -> None:
    images = np.zeros((2, 47, 48), np.uint8)
    with pytest.raises(ValueError, match="multiples of 12"):
        duplicates.near(images, images)
