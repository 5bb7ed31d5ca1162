import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.classical.calibration import LARGEST, calibrated_scale


def scores_and_labels(*, factor: float, num_images: int = 4000) -> "tuple[np.ndarray, np.ndarray]":
    """Draw scores, and labels by the probabilities that `factor` times the scores stand for."""
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(num_images, 3))
    odds = np.exp(factor * scores).cumsum(axis=1)
    return scores, (rng.random((num_images, 1)) * odds[:, -1:] > odds).sum(axis=1)


@pytest.mark.parametrize("factor", [0.5, 2.0, 6.0])
def test_the_factor_behind_the_labels_is_found(factor: float) -> None:
    assert calibrated_scale(*scores_and_labels(factor=factor)) == pytest.approx(factor, rel=0.1)


@settings(max_examples=20)
@given(factor=st.floats(0.2, 5.0))
def test_no_other_factor_gives_a_smaller_loss(factor: float) -> None:
    scores, labels = scores_and_labels(factor=factor, num_images=500)

    def loss(scale: float) -> float:
        truth = torch.nn.functional.one_hot(torch.from_numpy(labels), 3) * 500 / 503 + 1 / 503
        return torch.nn.functional.cross_entropy(torch.from_numpy(scale * scores), truth).item()

    found = calibrated_scale(scores, labels)

    assert loss(found) <= min(loss(1.02 * found), loss(found / 1.02))


def test_scores_without_a_mistake_are_not_believed_without_limit() -> None:
    scores = np.eye(3)[np.arange(30) % 3]

    found = calibrated_scale(scores, np.arange(30) % 3)

    assert 1 < found < LARGEST / 10
    assert found < calibrated_scale(np.tile(scores, (10, 1)), np.arange(300) % 3)


def test_without_images_scores_stay_as_they_are() -> None:
    assert calibrated_scale(np.zeros((0, 4)), np.zeros(0, dtype=np.int64)) == 1
