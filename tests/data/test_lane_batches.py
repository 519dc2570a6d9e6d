from typing import Any

import numpy as np
import pytest
import torch

from exp.data.lane_batches import LaneAugment, LaneBatch, LaneBatches
from exp.data.lane_codec import LaneCodec
from exp.data.lane_source import LaneSplit
from exp.data.lines import LabelReport
from exp.data.view import View
from exp.nn.lane_tokens import build

VIEW = View(64, 160, 0, 64, 160)


def codec(**options: Any) -> LaneCodec:
    chosen = {"steps": 16, "order": "bottom_up", "slots": "position", "max_lanes": 4} | options
    return LaneCodec(build("absolute", nbins=160, width=160), VIEW, **chosen)


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


def batches(part: LaneSplit | None = None, **options: Any) -> LaneBatches:
    coder = options.pop("codec", None) or codec()
    chosen: dict[str, Any] = {"batch_size": 3, "shuffle": False, "seed": 0, "device": "cpu", "mean": 0.0, "std": 1.0}
    return LaneBatches(part or split(), coder, **(chosen | options))


def test_an_epoch_has_every_sample_once_with_its_lanes() -> None:
    part = split()
    found = list(batches(part))
    assert [row for batch in found for row in batch.rows.tolist()] == list(range(7))
    assert [batch.size for batch in found] == [2, 2, 3]
    coder = codec()
    for batch in found:
        for place, row in enumerate(batch.rows):
            coded = coder.encode(part.lanes[row])
            assert np.array_equal(batch.ids[place].numpy(), coded.ids)
            assert np.allclose(batch.x[place].numpy(), coded.x, equal_nan=True)
        assert torch.equal(batch.images, torch.from_numpy(part.images[batch.rows]).float() / 255)
        assert bool(batch.filled.all())


def test_repeat_lengthens_the_epoch() -> None:
    rows = [row for batch in batches(repeat=3, shuffle=True) for row in batch.rows.tolist()]
    assert np.bincount(rows).tolist() == [3] * 7
    assert rows != sorted(rows)


@pytest.mark.parametrize(
    "augment",
    [
        LaneAugment(flip=0.5),
        LaneAugment(rotate=8.0),
        LaneAugment(zoom=0.2, shift=0.1),
        LaneAugment(flip=0.5, rotate=5.0, zoom=0.1, shift=0.1, brightness=0.3),
    ],
)
def test_points_stay_on_the_paint(augment: LaneAugment) -> None:
    loader = batches(augment=augment, repeat=4, batch_size=28, shuffle=True)
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
    plain, mirrored = (next(iter(batches(augment=LaneAugment(flip=flip)))) for flip in (0.0, 1.0))
    assert torch.equal(mirrored.images, plain.images.flip(-1))
    one, other = (batch.x[0].numpy() for batch in (plain, mirrored))
    assert np.isnan(one).all(1).tolist() == [True, False, True, True]  # left of the middle
    assert np.isnan(other).all(1).tolist() == [True, True, False, True]
    assert np.allclose(160 - other[2], one[1], equal_nan=True)
    by_file = batches(codec=codec(slots="file"), augment=LaneAugment(flip=1.0))
    assert not np.isnan(next(iter(by_file)).x[0, 0].numpy()).all()


def test_shifted_images_say_where_they_are() -> None:
    part = split()
    part.images[:] = 255
    (batch,) = batches(part, augment=LaneAugment(shift=0.4), batch_size=7)
    assert 0.2 < batch.filled.float().mean() < 0.95
    middles = (batch.images[:, 0, 3::8, 3::8] + batch.images[:, 0, 4::8, 4::8]) / 2
    assert (middles[batch.filled] >= 0.5 - 1e-4).all()
    assert (middles[~batch.filled] <= 0.5 + 1e-4).all()


def test_lanes_that_leave_the_image_are_counted() -> None:
    loader = batches(codec=codec(max_lanes=1), augment=LaneAugment(shift=0.9), repeat=8)
    found = torch.cat([batch.x for batch in loader])
    assert loader.outside == int(torch.isnan(found).flatten(1).all(1).sum()) > 0
    assert loader.dropped == 0
    crowded = split()
    crowded.lanes[0].append(crowded.lanes[0][0] + np.float32([30, 0]))
    loader = batches(crowded, codec=codec(max_lanes=1))
    list(loader)
    assert (loader.dropped, loader.outside) == (1, 0)


def test_devices_share_the_same_batches() -> None:
    options: dict[str, Any] = {"augment": LaneAugment(flip=0.5, zoom=0.2), "shuffle": True, "batch_size": 4}
    whole = list(batches(split(8), **options))
    shares = [list(batches(split(8), rank=rank, world_size=2, **options)) for rank in range(2)]
    for one, *parts in zip(whole, *shares, strict=True):
        for name in ("images", "ids", "x"):
            joined = torch.cat([getattr(part, name) for part in parts])
            assert torch.equal(torch.nan_to_num(joined), torch.nan_to_num(getattr(one, name)))


def test_an_epoch_can_be_entered_anywhere() -> None:
    options: dict[str, Any] = {"augment": LaneAugment(rotate=5.0, brightness=0.2), "shuffle": True, "batch_size": 2}
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
