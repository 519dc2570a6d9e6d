"""Where: what is drawn, that only the position tells, and that it does."""

import numpy as np
import pytest

from exp.data.where import Where


def test_parts_and_shapes() -> None:
    source = Where(size=16, grid=2, train=40, held=12)
    parts = source.load()
    assert {name: part.images.shape for name, part in parts.items()} == {
        "train": (40, 1, 16, 16),
        "val": (12, 1, 16, 16),
        "test": (12, 1, 16, 16),
    }
    assert np.bincount(parts["train"].labels).tolist() == [10] * 4
    assert source.class_names[2] == "row 1 column 0"
    assert not np.array_equal(parts["val"].images, parts["test"].images)


def test_drawn_alike_each_time_and_told_by_the_fingerprint() -> None:
    one, two = Where(), Where()
    assert np.array_equal(one.load()["train"].images, two.load()["train"].images)
    assert one.check() == two.check() != Where(noise=0.5).check()


def test_the_patch_stands_where_the_label_says() -> None:
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
    ("options", "named"),
    [({"grid": 1}, "grid"), ({"size": 12}, "size"), ({"train": 8}, "train"), ({"noise": -1.0}, "noise")],
)
def test_bad_options(options: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Where(**options)
