import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from trainer.augment.augmix import OPERATIONS, augmix, mixture


def test_a_mixture_is_the_weighted_sum_that_the_paper_writes_down(photos: Tensor, rng: Generator) -> None:
    chains = torch.rand(3, *photos.shape, generator=rng)
    weights = torch.rand(3, len(photos), generator=rng)
    weights /= weights.sum(0)
    shares = torch.rand(len(photos), generator=rng)

    mixed = mixture(photos, chains, weights, shares)

    means = np.einsum("kn,knchw->nchw", weights.numpy(), chains.numpy())
    part = shares.numpy()[:, None, None, None]
    np.testing.assert_allclose(mixed.numpy(), (1 - part) * photos.numpy() + part * means, rtol=0, atol=1e-6)


def test_an_image_is_mixed_with_what_does_not_spoil_a_test_of_robustness() -> None:
    assert set(OPERATIONS) == {
        *("identity", "autocontrast", "equalize", "posterize", "rotate", "solarize"),
        *("shear-x", "shear-y", "translate-x", "translate-y"),
    }


def test_a_more_severe_mixture_changes_more(photos: Tensor) -> None:
    images = photos.repeat(20, 1, 1, 1)

    mild, severe = (
        (augmix(images, severity=n, rng=torch.Generator().manual_seed(0)) - images).abs().mean() for n in (1.0, 10.0)
    )

    assert 0 < mild < severe


def test_a_mixture_keeps_more_of_the_image_than_a_chain_would(photos: Tensor, rng: Generator) -> None:
    images = photos.repeat(40, 1, 1, 1)

    mixed = augmix(images, severity=10.0, rng=rng)

    centred = [batch.flatten(1) - batch.flatten(1).mean(1, keepdim=True) for batch in (images, mixed)]
    likeness = torch.cosine_similarity(*centred, dim=1)
    assert likeness.median() > 0.7
    assert (likeness > 0.999).float().mean().item() == pytest.approx(0.05, abs=0.05)  # next to nothing of the chains
