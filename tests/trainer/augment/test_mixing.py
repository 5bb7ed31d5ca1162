import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from trainer.augment import mix, soft_targets
from trainer.augment.mixing import cutmix, mixup
from trainer.settings import Augment

NUM = 60


def marked(height: int = 8, width: int = 10) -> Tensor:
    """(60, 3, H, W): the pixels of image n are all n, so a result tells where each pixel came from."""
    return torch.arange(float(NUM)).view(NUM, 1, 1, 1).expand(NUM, 3, height, width)


def own_classes() -> Tensor:
    return torch.eye(NUM)


@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=20),
    num_classes=st.integers(7, 12),
    smoothing=st.floats(0, 0.99),
)
@settings(deadline=None)
def test_soft_targets_sum_to_one(labels: list[int], num_classes: int, smoothing: float) -> None:
    targets = soft_targets(torch.tensor(labels), num_classes, smoothing)

    assert targets.shape == (len(labels), num_classes)
    assert targets.dtype == torch.float32
    assert targets.argmax(1).tolist() == labels
    torch.testing.assert_close(targets.sum(1), torch.ones(len(labels)))


def test_smoothing_spreads_its_share_over_all_classes() -> None:
    targets = soft_targets(torch.tensor([1, 0]), 4, 0.2)

    torch.testing.assert_close(targets, torch.tensor([[0.05, 0.85, 0.05, 0.05], [0.85, 0.05, 0.05, 0.05]]))


@given(mixup=st.floats(0, 10), cutmix=st.floats(0, 10), seed=st.integers(0, 99), smoothing=st.floats(0, 0.9))
@settings(deadline=None)
def test_mixed_targets_still_sum_to_one(mixup: float, cutmix: float, seed: int, smoothing: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    images = torch.rand(16, 3, 6, 5, generator=rng)
    targets = soft_targets(torch.arange(16) % 5, 5, smoothing)

    mixed, mixed_targets = mix(images, targets, Augment(mixup=mixup, cutmix=cutmix), rng=rng)

    assert mixed.shape == images.shape
    assert 0 <= mixed.min() <= mixed.max() <= 1
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(16))


def test_nothing_is_mixed_unless_it_is_asked_for(rng: Generator) -> None:
    mixed, targets = mix(marked(), own_classes(), Augment(), rng=rng)

    assert torch.equal(mixed, marked())
    assert torch.equal(targets, own_classes())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_blends_images_and_targets_by_the_same_share_of_each(alpha: float, rng: Generator) -> None:
    mixed, targets = mixup(marked(), own_classes(), alpha=alpha, rng=rng)

    expected = targets @ torch.arange(float(NUM))
    torch.testing.assert_close(mixed, expected.view(NUM, 1, 1, 1).expand_as(mixed))
    assert len(set(targets.diagonal().tolist())) > NUM / 2


@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
@pytest.mark.parametrize(("height", "width"), [(8, 10), (32, 32), (1, 7)])
def test_cutmix_targets_have_exactly_the_share_of_the_pasted_area(
    height: int, width: int, alpha: float, rng: Generator
) -> None:
    images = marked(height, width)

    mixed, targets = cutmix(images, own_classes(), alpha=alpha, rng=rng)

    shares = torch.stack([(mixed == n).float().mean((1, 2, 3)) for n in range(NUM)], dim=1)
    torch.testing.assert_close(targets, shares, rtol=0, atol=1e-6)


def test_cutmix_pastes_one_rectangle_from_one_other_image(rng: Generator) -> None:
    images = marked()

    mixed, targets = cutmix(images, own_classes(), alpha=1.0, rng=rng)

    is_pasted = mixed != images
    assert torch.equal(is_pasted, is_pasted[:, :1].expand_as(is_pasted))
    for mask in is_pasted[:, 0]:
        assert torch.equal(mask, mask.any(1)[:, None] & mask.any(0)[None, :])
        for side in (mask.any(0), mask.any(1)):
            assert (side.int().diff() == 1).sum() + side[0] <= 1
    assert ((targets > 0).sum(1) <= 2).all()


def test_where_both_are_on_each_is_drawn_for_about_half_of_the_batches(rng: Generator) -> None:
    settings = Augment(mixup=1.0, cutmix=1.0)

    batches = [mix(marked(), own_classes(), settings, rng=rng)[0] for _ in range(200)]

    num_cutmix = sum(torch.equal(batch, batch.round()) for batch in batches)
    assert 75 <= num_cutmix <= 125


@pytest.mark.parametrize("settings", [Augment(mixup=1.0), Augment(cutmix=1.0)], ids=["mixup", "cutmix"])
def test_mixing_repeats_itself_modifies_nothing_and_keeps_the_layout(settings: Augment) -> None:
    images = torch.rand(NUM, 3, 8, 8).to(memory_format=torch.channels_last)
    targets = own_classes()
    before = images.clone()

    first, second = (mix(images, targets, settings, rng=torch.Generator().manual_seed(5)) for _ in range(2))

    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert torch.equal(images, before)
    assert torch.equal(targets, own_classes())
    assert first[0].is_contiguous(memory_format=torch.channels_last)
