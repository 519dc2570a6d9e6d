"""Mixup and CutMix: what is drawn, what is blended, and the same pairs on one device or two."""

import numpy as np
import pytest
import torch

from exp.data.augment import Augment
from exp.data.batches import Batches, ImageBatch
from exp.data.mix import Mix, mixed
from exp.data.source import Split


def split(count: int = 23) -> Split:
    random = np.random.RandomState(0)
    images = random.randint(0, 256, (count, 3, 8, 8)).astype(np.uint8)
    return Split(images, np.arange(count, dtype=np.int64))


def batches(rank: int = 0, world_size: int = 1, *, mixup: float = 0.8, cutmix: float = 1.0, **more: object) -> Batches:
    return Batches(
        split(),
        batch_size=8,
        shuffle=True,
        seed=3,
        device="cpu",
        rank=rank,
        world_size=world_size,
        augment=Augment(crop=1, flip=0.5, jitter=0.3, resized_crop=0.5),
        mix=Mix(mixup, cutmix),
        **more,
    )


@pytest.mark.parametrize("options", [{"mixup": 0.8, "cutmix": 0.0}, {"mixup": 0.0, "cutmix": 1.0}, {}])
@pytest.mark.parametrize("resident", [True, False])
def test_two_devices_see_what_one_sees(options: dict[str, float], resident: bool) -> None:
    for epoch in range(2):
        ranks = [batches(rank, world, resident=resident, **options) for rank, world in ((0, 1), (0, 2), (1, 2))]
        for one in ranks:
            one.set_position(epoch)
        for whole, first, second in zip(*ranks, strict=True):
            for name in ("images", "labels", "others", "shares"):
                parts = [getattr(first, name), getattr(second, name)]
                torch.testing.assert_close(torch.cat(parts), getattr(whole, name), rtol=0, atol=1e-6)


def test_others_are_a_permutation_of_the_micro_batch() -> None:
    for batch in batches():
        assert batch.others is not None
        assert sorted(batch.others.tolist()) == sorted(batch.labels.tolist())


def taken(one: Batches) -> ImageBatch:
    return next(iter(one))


def test_mixup_blends_two_normalised_images() -> None:
    plain = Augment()
    one = Batches(split(), batch_size=8, shuffle=False, seed=0, device="cpu", augment=plain, mix=Mix(1.0, 0.0))
    batch = taken(one)
    assert batch.others is not None
    assert batch.shares is not None
    all_images = plain.normalize(torch.from_numpy(split().images), torch.empty(0))
    own, other = all_images[batch.labels], all_images[batch.others]
    share = batch.shares[0].item()
    assert 0 < share < 1
    torch.testing.assert_close(batch.images, share * own + (1 - share) * other, rtol=0, atol=1e-5)


def test_cutmix_pastes_a_box_and_shares_by_its_area() -> None:
    plain = Augment()
    one = Batches(split(), batch_size=8, shuffle=False, seed=1, device="cpu", augment=plain, mix=Mix(0.0, 1.0))
    all_images = plain.normalize(torch.from_numpy(split().images), torch.empty(0))
    seen = []
    for batch in one:
        assert batch.others is not None
        assert batch.shares is not None
        own, other = all_images[batch.labels], all_images[batch.others]
        is_own = (batch.images == own).all(1)
        assert (is_own | (batch.images == other).all(1)).all()
        moved = batch.labels != batch.others
        # Two random pixels are equal in 1 of 2^24 cases, so the pixels that are the image's own tell its part.
        torch.testing.assert_close(is_own[moved].float().mean((1, 2)), batch.shares[moved])
        seen += batch.shares.tolist()
    assert min(seen) < 0.95


def test_shares_follow_the_beta_distribution() -> None:
    mix = Mix(0.4, 0.0)
    generator = torch.Generator().manual_seed(0)
    shares = torch.tensor([mix.draw(2, (4, 4), generator).share[0] for _ in range(4000)])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), rel=0.06)


def test_with_both_each_batch_takes_one() -> None:
    mix, generator = Mix(1.0, 1.0), torch.Generator().manual_seed(0)
    cut = [mix.draw(4, (8, 8), generator).cut for _ in range(200)]
    assert 70 < sum(cut) < 130


def test_an_empty_box_leaves_the_images() -> None:
    pairs = Mix(0.0, 1.0).draw(2, (4, 4), torch.Generator().manual_seed(0))
    pairs.box[:] = 0
    images = torch.randn(2, 3, 4, 4)
    assert torch.equal(mixed(images, -images, pairs), images)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.0, 0.0), (-0.1, 1.0)])
def test_bad_alphas(mixup: float, cutmix: float) -> None:
    with pytest.raises(ValueError, match="mixup"):
        Mix(mixup, cutmix)


def test_mixing_needs_an_augmentation() -> None:
    with pytest.raises(ValueError, match="augmentation"):
        Batches(split(), batch_size=8, shuffle=True, seed=0, device="cpu", mix=Mix(1.0, 0.0))
