from typing import Any

import numpy as np
import pytest
import torch

from exp.tasks.lane.data.batches import LaneBatch, LaneBatches
from exp.tasks.lane.data.codec import LaneCodec
from exp.tasks.lane.data.lines import LabelReport
from exp.tasks.lane.data.source import LaneSplit
from exp.tasks.lane.data.view import View
from exp.tasks.lane.options import LaneDataOptions

VIEW = View(64, 160, 0, 64, 160)


def codec(**options: Any) -> LaneCodec:
    return LaneCodec(VIEW, **({"nbins": 160, "steps": 16} | options))


def split(count: int = 7) -> LaneSplit:
    """Images that are black but for a white lane, a slanting one each."""
    images = np.zeros((count, 3, 64, 160), np.uint8)
    lanes = []
    for number in range(count):
        y = np.arange(63, 8, -1)
        x = 40 + 8 * number + (63 - y) * 0.5
        for row, column in zip(y, x, strict=True):
            images[number, :, row, int(column) - 2 : int(column) + 3] = 255
        lanes.append([np.stack([x + 0.5, y + 0.5], 1).astype(np.float32)])
    return LaneSplit(images, lanes, [str(n) for n in range(count)], [""] * count, LabelReport())


def batches(
    part: LaneSplit | None = None,
    *,
    coder: LaneCodec | None = None,
    training: bool = False,
    rank: int = 0,
    world_size: int = 1,
    **options: Any,
) -> LaneBatches:
    chosen = LaneDataOptions(**({"batch_size": 3, "mean": 0.0, "std": 1.0} | options))
    return LaneBatches(
        part or split(),
        coder or codec(),
        chosen,
        training=training,
        seed=0,
        device="cpu",
        rank=rank,
        world_size=world_size,
    )


def test_an_epoch_has_every_sample_once_with_its_lanes() -> None:
    part = split()
    drawn = list(batches(part))
    assert [row for batch in drawn for row in batch.rows.tolist()] == list(range(7))
    assert [batch.size for batch in drawn] == [2, 2, 3]
    coder = codec()
    for batch in drawn:
        for place, row in enumerate(batch.rows):
            coded = coder.encode(part.lanes[row])
            assert np.array_equal(batch.ids[place].numpy(), coded.ids)
            assert np.allclose(batch.x[place].numpy(), coded.x, equal_nan=True)
        assert torch.equal(batch.images, torch.from_numpy(part.images[batch.rows]).float() / 255)
        assert bool(batch.filled.all())


def test_repeat_lengthens_the_epoch() -> None:
    rows = [row for batch in batches(repeat=3, training=True) for row in batch.rows.tolist()]
    assert np.bincount(rows).tolist() == [3] * 7
    assert rows != sorted(rows)


def test_nothing_is_changed_or_repeated_outside_training() -> None:
    options: dict[str, Any] = {"flip": 1.0, "rotate": 5.0, "zoom": 0.1, "shift": 0.1, "brightness": 0.3, "repeat": 3}
    for one, other in zip(batches(**options), batches(), strict=True):
        assert same(one, other)


@pytest.mark.parametrize(
    "augment",
    [
        {"flip": 0.5},
        {"rotate": 8.0},
        {"zoom": 0.2, "shift": 0.1},
        {"flip": 0.5, "rotate": 5.0, "zoom": 0.1, "shift": 0.1, "brightness": 0.3},
    ],
)
def test_points_stay_on_the_paint(augment: dict[str, float]) -> None:
    loader = batches(repeat=4, batch_size=28, training=True, **augment)
    rows = loader.codec.rows
    (batch,) = loader
    checked = 0
    for image, x in zip(batch.images, batch.x, strict=True):
        assert not torch.isnan(x).all()  # no lane is lost
        for lane in x:
            for y, column in zip(rows, lane.tolist(), strict=True):
                if not np.isnan(column) and 6 < y < 58 and 3 < column < 157:
                    assert image[0, int(y), int(column) - 1 : int(column) + 2].max() > 0.3
                    checked += 1
    assert checked > 150
    assert loader.dropped == 0


def test_mirroring_changes_the_slot() -> None:
    plain, mirrored = (next(iter(batches(training=True, batch_size=7, flip=flip))) for flip in (0.0, 1.0))
    assert torch.equal(mirrored.images, plain.images.flip(-1))
    first = plain.rows.tolist().index(0)
    one, other = (batch.x[first].numpy() for batch in (plain, mirrored))
    assert np.isnan(one).all(1).tolist() == [True, False, True, True]  # left of the middle
    assert np.isnan(other).all(1).tolist() == [True, True, False, True]
    assert np.allclose(160 - other[2], one[1], equal_nan=True)
    by_file = batches(coder=codec(slots="file"), training=True, batch_size=7, flip=1.0)
    assert not np.isnan(next(iter(by_file)).x[first, 0].numpy()).all()


def test_shifted_images_say_where_they_are() -> None:
    part = split()
    part.images[:] = 255
    (batch,) = batches(part, training=True, shift=0.4, batch_size=7)
    assert 0.2 < batch.filled.float().mean() < 0.95
    middles = (batch.images[:, 0, 3::8, 3::8] + batch.images[:, 0, 4::8, 4::8]) / 2
    assert (middles[batch.filled] >= 0.5 - 1e-4).all()
    assert (middles[~batch.filled] <= 0.5 + 1e-4).all()


def test_lanes_that_leave_the_image_are_counted() -> None:
    loader = batches(coder=codec(max_lanes=1), training=True, shift=0.9, repeat=8)
    drawn = torch.cat([batch.x for batch in loader])
    assert loader.outside == int(torch.isnan(drawn).flatten(1).all(1).sum()) > 0
    assert loader.dropped == 0
    crowded = split()
    crowded.lanes[0].append(crowded.lanes[0][0] + np.float32([30, 0]))
    loader = batches(crowded, coder=codec(max_lanes=1))
    list(loader)
    assert (loader.dropped, loader.outside) == (1, 0)


def test_devices_share_the_same_batches() -> None:
    options: dict[str, Any] = {"training": True, "flip": 0.5, "zoom": 0.2, "batch_size": 4}
    whole = list(batches(split(8), **options))
    shares = [list(batches(split(8), rank=rank, world_size=2, **options)) for rank in range(2)]
    for one, *parts in zip(whole, *shares, strict=True):
        for name in ("images", "ids", "x"):
            joined = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(torch.nan_to_num(joined), torch.nan_to_num(getattr(one, name)))


def test_an_epoch_can_be_entered_anywhere() -> None:
    options: dict[str, Any] = {"training": True, "rotate": 5.0, "brightness": 0.2, "batch_size": 2}
    loader = batches(**options)
    loader.set_position(3)
    whole = list(loader)
    loader.set_position(3, 2)
    rest = list(loader)
    assert len(rest) == len(whole) - 2 == len(loader) - 2
    for one, other in zip(whole[2:], rest, strict=True):
        assert same(one, other)
    loader.set_position(4)
    assert not same(next(iter(loader)), whole[0])


def same(one: LaneBatch, other: LaneBatch) -> bool:
    return torch.equal(one.images, other.images) and torch.equal(one.ids, other.ids) and one.weight == other.weight
