"""P x K batches and whole walks: the same on one device or many, entered anywhere, every walk once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exp.data.source import DataError
from exp.options.fields import fields
from exp.tasks.gait.data.clip_batches import PersonBatches, WalkBatches
from exp.tasks.gait.data.clips import Clips, ClipWriter, opened, stored
from exp.tasks.gait.data.frame_sampler import FrameSampler
from exp.tasks.gait.options import ClipOptions


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    """Five people with four walks, the last with two; each pixel tells clip and frame."""
    folder = tmp_path_factory.mktemp("clips")
    with ClipWriter(folder, (8, 6)) as writer:
        number = 0
        for person in range(5):
            for walk in range(4 if person < 4 else 2):
                frames = np.empty((5 + number % 4, 8, 6), np.uint8)
                frames[:] = number * 10 + np.arange(len(frames))[:, None, None]
                writer.add(f"{person:03d}", f"nm-{walk + 1:02d}", "090", frames)
                number += 1
    return opened(folder)


def batches(clips: Clips, **given: Any) -> PersonBatches:
    options = {"batch_subjects": 3, "batch_clips": 4, "steps": 5}
    options |= {name: given.pop(name) for name in list(given) if name in fields(ClipOptions)}
    return PersonBatches(
        clips, ClipOptions(**options), **{"sampler": FrameSampler(3), "seed": 7, "device": "cpu"} | given
    )


def test_a_batch_has_p_people_with_k_walks_each(clips: Clips) -> None:
    for batch in batches(clips):
        people, counts = batch.labels.unique(return_counts=True)
        assert len(people) == 3
        assert counts.tolist() == [4, 4, 4]
        assert batch.frames.shape == (12, 3, 8, 6)
        assert batch.frames.max() <= 1
        assert batch.size == 12
        assert batch.weight == 1
        # Each clip's frames are its own, one after the other.
        pixels = (batch.frames[:, :, 0, 0] * 255).round().long()
        assert torch.equal(pixels // 10, batch.rows[:, None].expand(-1, 3))
        assert (pixels.diff(dim=1) == 1).all()
        names = clips.ids[batch.rows.numpy()]
        assert np.array_equal(np.array(clips.people)[batch.labels.numpy()], names)


def test_walks_are_drawn_without_replacement_where_there_are_enough(clips: Clips) -> None:
    whole = batches(clips, batch_subjects=5, steps=20)
    for step in range(20):
        chosen = whole.chosen(0, step)
        for rows in chosen:
            assert len(set(rows.tolist())) == (2 if clips.ids[rows[0]] == "004" else 4) or clips.ids[rows[0]] == "004"


def test_an_epoch_can_be_entered_anywhere(clips: Clips) -> None:
    options = {"rotate": 10.0, "rotate_probability": 0.5, "erase": 0.5, "accumulate": 2}
    loader = batches(clips, **options)
    loader.set_position(3)
    whole = list(loader)
    again = batches(clips, **options)
    again.set_position(3, 4)
    rest = list(again)
    assert len(whole) == len(loader) == 10
    assert [batch.index for batch in rest] == list(range(4, 10))
    for before, after in zip(whole[4:], rest, strict=True):
        assert torch.equal(before.frames, after.frames)
        assert torch.equal(before.labels, after.labels)
    again.set_position(4)
    assert not torch.equal(next(iter(again)).rows, whole[0].rows)
    with pytest.raises(ValueError, match="micro-batch 11"):
        loader.set_position(0, 11)


@pytest.mark.parametrize("world", [2, 3, 5])
def test_ranks_share_one_batch(clips: Clips, world: int) -> None:
    options = {"rotate": 10.0, "rotate_probability": 0.5, "erase": 0.5}
    alone = list(batches(clips, **options))
    ranks = [list(batches(clips, rank=rank, world_size=world, **options)) for rank in range(world)]
    for place, whole in enumerate(alone):
        parts = [rank[place] for rank in ranks]
        assert torch.equal(torch.cat([part.rows for part in parts]), whole.rows)
        torch.testing.assert_close(torch.cat([part.frames for part in parts]), whole.frames)
        assert {part.shares for part in parts} == {tuple(len(part.rows) for part in parts)}
        assert {part.weight for part in parts} == {1.0}


def test_weights_of_uneven_micro_batches_add_up(clips: Clips) -> None:
    loader = list(batches(clips, accumulate=2))
    assert [batch.size for batch in loader[:2]] == [4, 8]
    assert sum(batch.weight for batch in loader[:2]) == pytest.approx(2)
    assert loader[1].weight == 2 * loader[0].weight


def test_augmentation_is_one_draw_a_clip(clips: Clips) -> None:
    batch = next(iter(batches(clips, erase=1.0)))
    plain = next(iter(batches(clips)))
    blanked = (batch.frames == 0) & (plain.frames > 0)
    assert (blanked == blanked[:, :1]).all()
    share = blanked[:, 0].float().mean((1, 2))
    assert share.min() > 0
    assert share.max() < 0.35


def test_whole_walks_come_once_each_and_share_batches_without_padding(clips: Clips) -> None:
    for world in (1, 2, 4):
        seen: dict[int, torch.Tensor] = {}
        loaders = [
            WalkBatches(clips, sampler=FrameSampler(None), batch_frames=16, device="cpu", rank=rank, world_size=world)
            for rank in range(world)
        ]
        assert len({len(loader) for loader in loaders}) == 1
        for loader in loaders:
            for batch in loader:
                assert batch.lengths is not None
                assert len(batch.lengths) > 0
                assert len(batch.frames) == sum(batch.lengths) <= 16 + 8 * world
                for row, walk in zip(batch.rows.tolist(), batch.frames.split(batch.lengths), strict=True):
                    assert row not in seen
                    seen[row] = walk
        assert sorted(seen) == list(range(len(clips)))
        for row, walk in seen.items():
            np.testing.assert_allclose(walk.numpy() * 255, clips.read(row), rtol=1e-5)


def test_shuffled_test_frames_are_the_same_for_all(clips: Clips) -> None:
    sampler = FrameSampler(4, "unordered")
    one, two = (list(WalkBatches(clips, sampler=sampler, batch_frames=9, device="cpu")) for _ in range(2))
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(one, two, strict=True))
    assert not one[0].ordered
    whole = {int(row): walk for b in one for row, walk in zip(b.rows, b.frames.split(b.lengths or []), strict=True)}
    large = next(iter(WalkBatches(clips, sampler=sampler, batch_frames=10_000, device="cpu")))
    for row, walk in zip(large.rows.tolist(), large.frames.split(large.lengths or []), strict=True):
        assert torch.equal(walk, whole[row])


def test_too_few_clips_and_whole_training_clips_are_refused(clips: Clips) -> None:
    with pytest.raises(DataError, match="5 persons to train on, but a batch wants 6"):
        batches(clips, batch_subjects=6)
    with pytest.raises(ValueError, match="need a number of frames"):
        batches(clips, sampler=FrameSampler(None))
    with pytest.raises(DataError, match="18 walks for 19 devices"):
        WalkBatches(clips, sampler=FrameSampler(None), batch_frames=9, device="cpu", world_size=19)


def test_stored_clips_are_packed_where_binary_and_as_they_were(tmp_path: Path) -> None:
    draws = np.random.RandomState(0)
    grey = draws.randint(0, 256, (3, 8, 6)).astype(np.uint8)
    mask = draws.rand(4, 8, 6) > 0.5

    def make(*clips_: np.ndarray):
        def write(writer: ClipWriter) -> None:
            for number, frames in enumerate(clips_):
                writer.add("001", f"nm-{number:02d}", "000", frames)

        return write

    mixed = stored(tmp_path / "mixed", (8, 6), make(grey, mask))
    assert not mixed.packed
    assert np.array_equal(mixed.read(0), grey)
    assert np.array_equal(mixed.read(1), mask * np.uint8(255))
    binary = stored(tmp_path / "binary", (8, 6), make(mask, mask[:2] * np.uint8(255)))
    assert binary.packed
    assert binary.frames.shape == (6, 8, 1)
    assert np.array_equal(binary.read(0, np.array([3, 0])), mask[[3, 0]] * np.uint8(255))
    second = binary.subset(np.array([1]))
    assert len(second) == 1
    assert np.array_equal(second.read(0), mask[:2] * np.uint8(255))
    assert second.lengths.tolist() == [2]

    def fails(writer: ClipWriter) -> None:
        writer.add("001", "nm-01", "000", mask)
        raise DataError("no more")

    with pytest.raises(DataError, match="no more"):
        stored(tmp_path / "half", (8, 6), fails)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("half") and path.is_dir()]
