"""Walkers: the same pixels from the same arguments, CASIA-B's shape, knobs that each do one thing, a lazy cache."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exp.data.source import DataError
from exp.tasks.gait.data.walker_body import TYPES, VIEWS, Knobs, length_of, walk_of
from exp.tasks.gait.data.walker_render import silhouettes
from exp.tasks.gait.data.walkers import PRESETS, Walkers
from exp.tasks.gait.options import WalkersOptions

TINY: dict[str, Any] = {
    "size": 16,
    "train_subjects": 2,
    "val_subjects": 0,
    "test_subjects": 2,
    "views": 3,
    "clip_frames": 6,
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def walk(subject: int = 1, sequence: int = 0, view: str = "090", knobs: Knobs | None = None, **more: int) -> np.ndarray:
    options = {"frames": 24, "height": 32, "width": 32} | more
    return silhouettes(0, subject, sequence, view, knobs=knobs or PRESETS["mixed"], **options)


def test_pixels_follow_from_the_arguments_alone() -> None:
    first = walk()
    walk(subject=2)
    assert np.array_equal(walk(), first)
    for other in (walk(subject=2), walk(sequence=1), walk(view="108")):
        assert other.shape != first.shape or not np.array_equal(other, first)


def test_silhouettes_fill_the_height_and_are_centred() -> None:
    for height, width in ((32, 32), (64, 64), (64, 44)):
        masks = walk(height=height, width=width)
        rows = masks.any(2)
        assert rows[:, :3].any(1).mean() > 0.85
        assert rows[:, -3:].any(1).mean() > 0.85
        share = masks.mean((1, 2))
        assert 0.08 < share.min() < share.max() < 0.5
        columns = (masks.sum(1) * np.arange(width)).sum(1) / masks.sum((1, 2))
        assert np.abs(columns - width / 2).max() < 0.2 * width


def test_bag_and_coat_add_and_the_side_view_swings() -> None:
    normal, bag, coat = (
        np.mean([walk(subject=s, sequence=TYPES.index(kind)).mean() for s in range(1, 13)])
        for kind in ("nm-01", "bg-01", "cl-01")
    )
    assert coat > 1.1 * normal
    assert bag > 1.005 * normal
    assert walk(view="090").sum(1).any(0).sum() > walk(view="000").sum(1).any(0).sum()


def test_each_knob_moves_its_own_part() -> None:
    none = Knobs(shape=0, pose=0, tempo=0)
    for name, knobs in {"shape": Knobs(1, 0, 0), "pose": Knobs(0, 1, 0), "tempo": Knobs(0, 0, 0.4)}.items():
        one, two = (walk_of(0, subject, 0, 24, knobs) for subject in (1, 2))
        assert (one.shape != two.shape) == (name == "shape")
        start = [(w.phase - w.phase[0]) % 1.0 for w in (one, two)]
        assert (abs(start[0][5] - start[1][5]) > 0.02) == (name == "tempo")
        angles = np.array([walk_of(0, subject, 0, 24, knobs).pose["hip_swing"] for subject in range(1, 30)])
        assert (angles.std() > 2.0) == (name == "pose")
    assert walk_of(0, 1, 0, 24, none).shape == walk_of(0, 2, 0, 24, none).shape


def test_tempo_twins_look_alike_but_walk_at_their_own_pace() -> None:
    """Another person's mean silhouette is as near as one's own, while the period tells them apart."""
    means = {
        (s, q): walk(subject=s, sequence=q, knobs=PRESETS["tempo"], frames=60).mean(0)
        for s in (1, 2, 3)
        for q in (0, 1)
    }
    own = np.mean([np.abs(means[s, 0] - means[s, 1]).mean() for s in (1, 2, 3)])
    other = np.mean([np.abs(means[a, 0] - means[b, 1]).mean() for a in (1, 2, 3) for b in (1, 2, 3) if a != b])
    assert other < 1.2 * own
    pace = {
        (s, q): np.mean(np.diff(walk_of(0, s, q, 60, PRESETS["tempo"]).phase) % 1.0)
        for s in range(1, 9)
        for q in (0, 1)
    }
    within = max(abs(np.log(pace[s, 0] / pace[s, 1])) for s in range(1, 9))
    between = np.std([np.log(pace[s, 0]) for s in range(1, 9)])
    assert between > 3 * within


def test_a_frame_rate_changes_the_frames_of_a_cycle() -> None:
    slow, fast = (np.mean(np.diff(walk_of(0, 1, 0, 60, Knobs(), fps).phase) % 1.0) for fps in (25.0, 12.5))
    assert fast == pytest.approx(2 * slow, rel=0.1)


def test_parts_have_casia_bs_shape_and_share_no_person(cache: Path) -> None:
    source = Walkers(**TINY | {"val_subjects": 2})
    assert not cache.exists()
    parts = source.load()
    assert set(parts) == {"train", "val", "test"}
    people = [set(part.people) for part in parts.values()]
    assert sum(map(len, people)) == len(set.union(*people)) == 6
    for part in parts.values():
        assert len(part) == 2 * len(TYPES) * 3
        assert sorted(set(part.types.tolist())) == sorted(TYPES)
        assert sorted(set(part.views.tolist())) == ["000", "090", "180"]
        assert part.packed
        assert part.read(0).shape[1:] == (16, 16)
        assert set(np.unique(part.read(0)).tolist()) <= {0, 255}
    assert source.num_classes == 2
    assert source.class_names == ["001", "002"]
    assert Walkers(**TINY | {"views": 11}).views == VIEWS
    lengths = {length_of(0, subject, sequence, 48) for subject in range(20) for sequence in range(10)}
    assert min(lengths) >= 40
    assert max(lengths) <= 56
    assert len(lengths) > 10


def test_the_cache_serves_later_runs_and_knows_what_was_asked(cache: Path) -> None:
    first = Walkers(**TINY).clips("test")
    folders = sorted(path.name for path in (cache / "walkers").iterdir() if path.is_dir())
    stamp = (cache / "walkers" / folders[0] / "frames.bin").stat().st_mtime_ns
    again = Walkers(**TINY).clips("test")
    assert np.array_equal(first.frames, again.frames)
    assert (cache / "walkers" / folders[0] / "frames.bin").stat().st_mtime_ns == stamp
    # More people to train on leave the test people where they are in the line, so they are other people.
    assert Walkers(**TINY | {"data_seed": 1}).check() != Walkers(**TINY).check()
    assert Walkers(**TINY | {"tempo": 0.3}).check() != Walkers(**TINY).check()
    assert Walkers(**TINY).check() == Walkers(**TINY).check()


def test_presets_are_knobs_that_can_be_given_one_by_one() -> None:
    assert Walkers(preset="tempo").knobs == PRESETS["tempo"]
    assert Walkers(preset="tempo", shape=0.5).knobs == Knobs(0.5, 0.0, PRESETS["tempo"].tempo, PRESETS["tempo"].shift)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "fast"}, "preset=fast: not one of mixed, tempo"),
        ({"size": 8}, "size=8: has to be at least 16"),
        ({"views": 1}, "views=1: has to be 2 to 11"),
        ({"views": 12}, "views=12: has to be 2 to 11"),
        ({"train_subjects": 1}, "train_subjects=1: has to be at least 2"),
        ({"test_subjects": 1}, "test_subjects=1: has to be at least 2"),
        ({"val_subjects": 1}, "val_subjects=1: has to be 0 or at least 2"),
        ({"val_subjects": -1}, "val_subjects=-1: has to be 0 or at least 2"),
        ({"clip_frames": 5}, "clip_frames=5: has to be at least 6"),
        ({"fps": 0}, "fps=0.0: has to be above 0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Walkers(**options)


def test_options_and_their_names_are_one_population(cache: Path) -> None:
    assert WalkersOptions(**TINY).reader().check() == Walkers(WalkersOptions(**TINY)).check() == Walkers(**TINY).check()
    assert not cache.exists()


def test_a_damaged_or_unwritable_cache_is_one_clear_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Walkers(**TINY).clips("test")
    folder = next(path for path in (cache / "walkers").iterdir() if path.is_dir())
    (folder / "frames.bin").write_bytes(b"short")
    with pytest.raises(DataError, match=r"frames.bin: 5 bytes where \d+ belong; remove"):
        Walkers(**TINY).clips("test")
    (cache / "file").write_text("")
    monkeypatch.setenv("EXP_CACHE", str(cache / "file"))
    with pytest.raises(DataError, match="the cache cannot be written"):
        Walkers(**TINY).clips("test")
