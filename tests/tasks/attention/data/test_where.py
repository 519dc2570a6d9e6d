"""Where: what is drawn, and that the position and nothing else gives the class."""

import numpy as np
import pytest

from exp.tasks.attention.data.where import Where


def test_parts_and_shapes() -> None:
    source = Where(size=16, grid=2, train=40, held=16)
    parts = source.load()
    assert {name: part.images.shape for name, part in parts.items()} == {
        "train": (40, 1, 16, 16),
        "val": (16, 1, 16, 16),
        "test": (16, 1, 16, 16),
    }
    assert np.bincount(parts["train"].labels).tolist() == [10] * 4
    assert source.class_names[2] == "row 1 column 0"
    assert not np.array_equal(parts["val"].images, parts["test"].images)


def test_drawn_alike_each_time_and_known_by_the_fingerprint() -> None:
    one, two = Where(), Where()
    assert np.array_equal(one.load()["train"].images, two.load()["train"].images)
    assert one.check() == two.check() != Where(noise=0.5).check()


def test_the_patch_is_where_the_label_says() -> None:
    source = Where(noise=0.0)
    part = source.load()["test"]
    energy = np.abs(part.images[:, 0].astype(float) - 128)
    cells = energy.reshape(-1, 4, 6, 4, 6).sum((2, 4)).reshape(-1, 16)
    assert (cells.argmax(1) == part.labels).mean() > 0.97


def test_without_position_the_classes_look_alike() -> None:
    """Sorted grey levels, a description that forgets where pixels are, are the same for all classes within chance."""
    part = Where(train=3200).load()["train"]
    levels = np.sort(part.images.reshape(len(part), -1).astype(float), 1)[:, ::32]
    means = np.stack([levels[part.labels == label].mean(0) for label in range(16)])
    scatter = levels.std(0) / np.sqrt(len(part) / 16)
    assert (np.abs(means - means.mean(0)) / scatter).mean() < 1.5  # 0.8 is chance; corners lose a little of the patch


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": 1}, "grid=1: has to be at least 2"),
        ({"size": 12}, "size=12: has to be at least 4 pixels a cell"),
        ({"train": 8}, "train=8: has to be at least 16"),
        ({"grid": 6, "held": 30}, "held=30: has to be at least one image a class, 36"),
        ({"noise": -1.0}, "noise=-1.0: has to be at least 0"),
    ],
)
def test_bad_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Where(**options)
