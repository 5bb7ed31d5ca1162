"""Losses against the formulas of their papers, written out image by image."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch import Tensor

from trainer.losses import build_criterion
from trainer.settings import AnyLoss, Bce, CrossEntropy, Focal, LogitAdjusted

LABELS = torch.tensor([0] * 30 + [1] * 9 + [2])
COUNTS = [30, 9, 1]
SHARES = [count / 40 for count in COUNTS]
ALL = [CrossEntropy(), Bce(), Focal(), LogitAdjusted()]
LOSSES = pytest.mark.parametrize("loss", ALL, ids=lambda loss: type(loss).__name__)


def slow(loss: AnyLoss, logits: list[float], targets: list[float]) -> float:
    """The loss of one image, in plain Python."""
    if isinstance(loss, Bce):
        each = [1 / (1 + math.exp(-x)) for x in logits]
        return -sum(t * math.log(p) + (1 - t) * math.log(1 - p) for t, p in zip(targets, each, strict=True))
    if isinstance(loss, LogitAdjusted):
        logits = [x + loss.tau * math.log(share) for x, share in zip(logits, SHARES, strict=True)]
    total = sum(math.exp(x) for x in logits)
    chances = [math.exp(x) / total for x in logits]
    gamma = loss.gamma if isinstance(loss, Focal) else 0.0
    return -sum(t * (1 - p) ** gamma * math.log(p) for t, p in zip(targets, chances, strict=True))


def batch(seed: int, num_images: int) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    logits = torch.randn((num_images, 3), generator=rng, dtype=torch.float64)
    targets = torch.rand((num_images, 3), generator=rng, dtype=torch.float64)
    return logits, targets / targets.sum(dim=1, keepdim=True)


@given(
    loss=st.one_of(
        st.just(CrossEntropy()),
        st.just(Bce()),
        st.builds(Focal, gamma=st.floats(0, 5)),
        st.builds(LogitAdjusted, tau=st.floats(0, 3)),
    ),
    seed=st.integers(0, 10**6),
    num_images=st.integers(1, 8),
)
@settings(deadline=None, max_examples=60)
def test_a_batch_is_the_sum_of_its_images(loss: AnyLoss, seed: int, num_images: int) -> None:
    logits, targets = batch(seed, num_images)

    found = build_criterion(loss, LABELS, num_classes=3)(logits, targets)

    expected = sum(slow(loss, row, target) for row, target in zip(logits.tolist(), targets.tolist(), strict=True))
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("loss", [Focal(gamma=0.0), LogitAdjusted(tau=0.0)], ids=lambda loss: type(loss).__name__)
def test_without_their_twist_losses_are_cross_entropy(loss: AnyLoss) -> None:
    logits, targets = batch(0, 5)
    plain, twisted = (build_criterion(one, LABELS, num_classes=3)(logits, targets) for one in (CrossEntropy(), loss))

    assert twisted.item() == pytest.approx(plain.item())


@LOSSES
@pytest.mark.parametrize("weights", ["balanced", "effective"])
def test_class_weights_average_to_one_over_the_training_images(loss: AnyLoss, weights: str) -> None:
    criterion = build_criterion(type(loss)(class_weights=weights), LABELS, num_classes=3)  # type: ignore[arg-type]

    assert criterion.class_weights is not None
    assert criterion.class_weights[LABELS].mean().item() == pytest.approx(1)
    assert criterion.class_weights.diff().min() > 0  # the rarer, the heavier


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    criterion = build_criterion(CrossEntropy(class_weights="balanced"), LABELS, num_classes=3)

    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    assert criterion.class_weights is not None
    assert criterion.class_weights.tolist() == pytest.approx(expected.tolist())


def test_effective_weights_are_those_of_the_paper() -> None:
    criterion = build_criterion(CrossEntropy(class_weights="effective", beta=0.9), LABELS, num_classes=3)

    expected = [(1 - 0.9) / (1 - 0.9**count) for count in COUNTS]
    assert criterion.class_weights is not None
    found = criterion.class_weights.tolist()
    assert [value / found[0] for value in found] == pytest.approx([value / expected[0] for value in expected])


@LOSSES
def test_a_weighted_loss_weighs_each_image_by_its_class(loss: AnyLoss) -> None:
    weighted = build_criterion(type(loss)(class_weights="balanced"), LABELS, num_classes=3)
    plain = build_criterion(loss, LABELS, num_classes=3)
    logits, _ = batch(1, 3)
    logits, eye = logits.float(), torch.eye(3)

    alone = [plain(logits[k : k + 1], eye[k : k + 1]) for k in range(3)]

    assert weighted.class_weights is not None
    expected = sum(weight * one for weight, one in zip(weighted.class_weights, alone, strict=True))
    assert weighted(logits, eye).item() == pytest.approx(float(expected), rel=1e-5)


@LOSSES
def test_the_gradient_is_that_of_finite_differences(loss: AnyLoss) -> None:
    criterion = build_criterion(type(loss)(class_weights="balanced"), LABELS, num_classes=3)
    logits, targets = batch(2, 4)
    double = type(criterion)(criterion.settings, criterion.class_weights.double(), criterion.log_shares.double())  # type: ignore[union-attr]

    assert torch.autograd.gradcheck(lambda x: double(x, targets), logits.requires_grad_())


@LOSSES
@pytest.mark.parametrize("certainty", [0.0, 200.0])
def test_certain_answers_have_finite_losses_and_gradients(loss: AnyLoss, certainty: float) -> None:
    criterion = build_criterion(loss, LABELS, num_classes=3)
    logits = (certainty * torch.eye(3)).requires_grad_()

    value = criterion(logits, torch.eye(3).roll(1, dims=0))
    value.backward()  # type: ignore[no-untyped-call]

    assert math.isfinite(value.item())
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_a_class_without_training_images_counts_as_if_it_had_one() -> None:
    criterion = build_criterion(LogitAdjusted(class_weights="balanced"), torch.tensor([0, 0]), num_classes=2)

    assert criterion.log_shares.isfinite().all()
    assert criterion.class_weights is not None
    assert criterion.class_weights.isfinite().all()
