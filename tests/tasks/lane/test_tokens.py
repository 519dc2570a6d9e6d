import numpy as np
import pytest

from exp.options.errors import ConfigError
from exp.tasks.lane.options import LaneOptions
from exp.tasks.lane.tokens import PAD, Absolute, Relative, RelativePublished, build_tokens

WIDTH = 800


def lanes(seed: int = 0, step: float = 20.0) -> np.ndarray:
    """(6, 40) x that wander, with rows without a point at both ends."""
    rng = np.random.RandomState(seed)
    x = 400 + np.cumsum(rng.uniform(-step, step, (6, 40)), 1)
    x[:, :3] = np.nan
    x[:, 35:] = np.nan
    return np.where((x >= 0) & (x < WIDTH), x, np.nan)


@pytest.mark.parametrize("nbins", [100, 400, 799])
def test_absolute_is_right_to_half_a_bin(nbins: int) -> None:
    tokens, x = Absolute(nbins, WIDTH), lanes()
    ids = tokens.encode(x)
    assert ids.min() >= PAD
    assert ids.max() < tokens.size
    back = tokens.decode(ids)
    assert (np.isnan(back) == np.isnan(x)).all()
    assert np.nanmax(np.abs(back - x)) <= WIDTH / nbins / 2 + 1e-9


def test_outside_the_image_is_no_point() -> None:
    tokens = Absolute(10, WIDTH)
    assert tokens.encode(np.array([[-0.1, 0.0, 799.99, 800.0, np.nan]])).tolist() == [[0, 1, 10, 0, 0]]
    assert np.isnan(tokens.decode(np.array([[0, 11, 99]]))).all()


def test_relative_feeds_its_error_back() -> None:
    tokens, x = Relative(800, WIDTH, 32), lanes(step=30.0)
    ids = tokens.encode(x)
    assert ids.max() < tokens.size
    back = tokens.decode(ids)
    assert np.nanmax(np.abs(back - x)) <= 0.5 + 1e-9  # no error is carried on
    share, largest = tokens.too_small(x)
    assert (share, largest <= 32) == (0.0, True)


def test_relative_makes_up_for_a_cut_step() -> None:
    tokens = Relative(800, WIDTH, 8)
    x = np.array([[100.5, 120.5, 120.5, 120.5]])
    assert tokens.decode(tokens.encode(x)).tolist() == [[100.5, 108.5, 116.5, 120.5]]
    share, largest = tokens.too_small(x)
    assert (share, largest) == (pytest.approx(1 / 3), 20)


def test_relative_begins_anew_after_a_gap_and_ends_outside() -> None:
    tokens = Relative(800, WIDTH, 8)
    x = np.array([[100.5, np.nan, 300.5, 301.5]])
    ids = tokens.encode(x)
    assert ids.tolist() == [[101, PAD, 301, 800 + 1 + 8 + 1]]
    assert np.array_equal(tokens.decode(ids), x, equal_nan=True)
    beyond = np.array([[1, 800 + 1, 301, 809]])  # one to the left of bin 0, then a bin again
    assert np.isnan(tokens.decode(beyond)[0, 1])
    assert tokens.decode(beyond)[0, 2:].tolist() == [300.5, 300.5]
    assert np.isnan(tokens.decode(np.array([[809, 809]]))).all()  # a difference from nothing


def test_the_published_form_collapses() -> None:
    tokens = RelativePublished(200, WIDTH, 32)
    x = 400 + np.cumsum(np.random.RandomState(0).uniform(-6, 6, (50, 40)), 1)
    ids = tokens.encode(x)
    assert (ids[:, 1:] == 199).all()
    back = tokens.decode(ids)
    assert np.abs(back[:, 1:] - x[:, 1:]).min() > 200
    assert tokens.extrapolate


def test_options_choose_the_tokens() -> None:
    absolute = build_tokens(LaneOptions(nbins=10), WIDTH)
    assert isinstance(absolute, Absolute)
    assert (absolute.nbins, absolute.width, absolute.size) == (10, WIDTH, 11)
    relative = build_tokens(LaneOptions(tokens="relative", nbins=10, max_dx=2), WIDTH)
    assert isinstance(relative, Relative)
    assert (relative.nbins, relative.max_dx) == (10, 2)
    assert isinstance(
        build_tokens(LaneOptions(tokens="relative_published", nbins=10, max_dx=2), WIDTH), RelativePublished
    )


def test_numbers_out_of_bounds_are_refused() -> None:
    with pytest.raises(ConfigError, match="nbins=1: has to be at least 2"):
        LaneOptions(nbins=1)
    with pytest.raises(ConfigError, match="max_dx=0: has to be at least 1"):
        LaneOptions(tokens="relative", max_dx=0)
    with pytest.raises(ConfigError, match=r"tokens=words: not one of absolute, relative, relative_published"):
        LaneOptions(tokens="words")  # type: ignore[arg-type]
