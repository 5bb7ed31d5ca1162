"""Temperature scaling finds how sure a network may be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.answers import Answers, log_probabilities
from search.calibration import platt_loss, temperature_of, tempered


def honest(num: int, seed: int = 0) -> Answers:
    """Labels drawn from what the logits say: such a network is calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(num, 4)).astype(np.float32)
    probabilities = np.exp(log_probabilities(logits))
    labels = (rng.random(num)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1).clip(max=3)
    return Answers(logits=logits, labels=labels)


def test_a_calibrated_network_keeps_its_probabilities() -> None:
    assert temperature_of(honest(20_000)) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("factor", [0.25, 2.0, 5.0])
def test_a_network_that_is_too_sure_or_not_sure_enough_is_mended(factor: float) -> None:
    known = honest(20_000)
    scaled = Answers(logits=known.logits * factor, labels=known.labels)

    assert temperature_of(scaled) == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize("num", [60, 600])
@pytest.mark.parametrize("sureness", [0.5, 1.0, 50.0])
def test_where_all_answers_are_right_it_is_as_sure_as_their_number_allows(num: int, sureness: float) -> None:
    labels = np.arange(num) % 3
    logits = np.zeros((num, 3), dtype=np.float32)
    logits[np.arange(num), labels] = sureness

    found = Answers(logits=logits, labels=labels)

    confidence = np.exp(log_probabilities(tempered(found, temperature_of(found)).logits)).max(axis=1)
    np.testing.assert_allclose(confidence, (num + 1) / (num + 2), rtol=1e-3)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.1, 10.0))
def test_no_other_temperature_has_a_smaller_loss_and_no_answer_changes(seed: int, factor: float) -> None:
    known = honest(200, seed)
    answers = Answers(logits=known.logits * np.float32(factor), labels=known.labels)

    def loss(temperature: float) -> float:
        return platt_loss(tempered(answers, temperature).logits.astype(np.float64), answers.labels)

    found = temperature_of(answers)

    assert all(loss(found) <= loss(found * other) + 1e-6 for other in (0.9, 0.99, 1.01, 1.1))
    assert (tempered(answers, found).logits.argmax(axis=1) == answers.logits.argmax(axis=1)).all()
