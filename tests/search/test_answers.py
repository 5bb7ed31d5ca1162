"""What validation predictions say of the labels."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from search.answers import Answers, confident_joint, doubt, load_answers, log_probabilities, noise_share

NUM_CLASSES = 5


def _sure_answers(seed: int, *, flipped: float, mistaken: float = 0.0, num: int = 2000) -> Answers:
    """Answers of a network that knows the classes, but for a share of mistakes, which it makes with less confidence.

    Labels are flipped to another class with some probability, whatever the network answers.
    """
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, NUM_CLASSES, num)
    answer = np.where(rng.random(num) < mistaken, (truth + 1) % NUM_CLASSES, truth)
    margin = np.where(answer == truth, rng.normal(6, 1, num), rng.normal(2, 1, num))
    logits = rng.normal(0, 0.3, (num, NUM_CLASSES))
    logits[np.arange(num), answer] += margin
    other = (truth + rng.integers(1, NUM_CLASSES, num)) % NUM_CLASSES
    return Answers(logits=logits.astype(np.float32), labels=np.where(rng.random(num) < flipped, other, truth))


def _permuted(answers: Answers, order: NDArray[np.int64]) -> Answers:
    """The same answers where class `order[k]` is called k."""
    names = np.argsort(order)
    return Answers(logits=answers.logits[:, order], labels=names[answers.labels])


def test_blind_guessing_names_the_most_frequent_class() -> None:
    answers = Answers(logits=np.zeros((4, 3), np.float32), labels=np.array([0, 0, 0, 1]))

    assert answers.blind_accuracy() == 0.75
    assert answers.blind_loss() == pytest.approx(-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)))


def test_the_loss_of_blind_guessing_among_equal_classes_is_the_logarithm_of_their_number() -> None:
    answers = Answers(logits=np.zeros((20, 10), np.float32), labels=np.arange(20) % 10)

    assert answers.blind_loss() == pytest.approx(math.log(10))


def test_the_confident_joint_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.ones(4), 60)
    labels = rng.integers(0, 3, 60)  # the last class does not occur

    expected = np.zeros((4, 4))
    thresholds = {j: probabilities[labels == j, j].mean() for j in range(3)}
    for row, label in zip(probabilities, labels, strict=True):
        above = [j for j in thresholds if row[j] >= thresholds[j]]
        if above:
            expected[label, max(above, key=lambda j: row[j])] += 1

    np.testing.assert_array_equal(confident_joint(probabilities, labels), expected)
    assert 0 < expected.sum() < 60


@pytest.mark.parametrize("flipped", [0.0, 0.05, 0.2, 0.4])
def test_the_share_of_flipped_labels_is_found(flipped: float) -> None:
    assert noise_share(_sure_answers(0, flipped=flipped)) == pytest.approx(flipped, abs=0.03)


def test_the_share_is_scaled_to_the_classes_where_confidence_differs_between_them() -> None:
    probabilities = np.array([[0.9, 0.1]] * 2 + [[0.2, 0.8]] * 6 + [[0.9, 0.1]] * 2)
    labels = np.array([0] * 2 + [1] * 8)

    found = noise_share(Answers(logits=np.log(probabilities).astype(np.float32), labels=labels))

    assert found == pytest.approx(0.2), "two of eight labels of the second class, which is four fifths of all"


@given(seed=st.integers(0, 50), order=st.permutations(range(NUM_CLASSES)))
def test_the_names_of_classes_and_the_order_of_images_do_not_matter(seed: int, order: list[int]) -> None:
    answers = _sure_answers(seed, flipped=0.2, mistaken=0.1, num=200)
    images = np.random.default_rng(seed).permutation(200)
    renamed = _permuted(answers, np.array(order))
    shuffled = Answers(logits=renamed.logits[images], labels=renamed.labels[images])

    assert noise_share(shuffled) == pytest.approx(noise_share(answers))
    assert doubt(shuffled) == pytest.approx(doubt(answers))
    assert (shuffled.num_wrong(), shuffled.blind_loss()) == (answers.num_wrong(), pytest.approx(answers.blind_loss()))


@given(seed=st.integers(0, 50))
def test_doubt_is_the_area_that_scikit_learn_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (100, 4)).round(1).astype(np.float32)  # rounded, so that some confidences are equal
    answers = Answers(logits=logits, labels=rng.integers(0, 4, 100))

    confidence = log_probabilities(logits).max(axis=1)
    expected = roc_auc_score(logits.argmax(axis=1) == answers.labels, confidence)

    assert doubt(answers) == pytest.approx(expected)


def test_a_network_doubts_its_mistakes_and_not_what_contradicts_wrong_labels() -> None:
    assert doubt(_sure_answers(0, flipped=0.0, mistaken=0.2)) > 0.95
    assert doubt(_sure_answers(0, flipped=0.2)) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("labels", [[0, 1], [1, 0]])
def test_there_is_no_doubt_to_measure_where_all_is_right_or_all_wrong(labels: list[int]) -> None:
    answers = Answers(logits=np.eye(2, dtype=np.float32), labels=np.array(labels))

    assert math.isnan(doubt(answers))


def test_answers_are_read_where_a_job_left_them(tmp_path: Path) -> None:
    logits, labels = np.eye(3, dtype=np.float32), np.array([0, 1, 2])
    np.savez(tmp_path / "predictions.npz", logits=logits, labels=labels)

    found = load_answers(tmp_path / "predictions.npz")

    assert found is not None
    np.testing.assert_array_equal(found.logits, logits)
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 torn", b"no archive"])
def test_there_are_no_answers_where_the_file_is_missing_or_torn(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "predictions.npz"
    if content is not None:
        path.write_bytes(content)

    assert load_answers(path) is None
