"""Whether one network is better than another on the same images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from search.answers import Answers
from search.significance import is_worse, scores
from trainer.metrics import metrics

NAMES = ("val/accuracy", "val/top5_accuracy", "val/loss", "val/balanced_accuracy", "val/f1_macro")


def answers(*, right: int, wrong_first: int = 0, num: int = 200, seed: int = 0) -> Answers:
    """Of a network that names the wrong class for some images, `wrong_first` on, and is sure of it."""
    labels = np.arange(num) % 2
    wrong = np.zeros(num, dtype=bool)
    wrong[wrong_first : wrong_first + num - right] = True
    told = np.where(wrong, 1 - labels, labels)
    noise = np.random.default_rng(seed).normal(size=(num, 2)) * 0.01
    return Answers(logits=(4.0 * np.eye(2)[told] + noise).astype(np.float32), labels=labels)


@pytest.mark.parametrize("objective", NAMES)
def test_the_score_of_every_image_once_is_the_metric(objective: str) -> None:
    rng = np.random.default_rng(1)
    found = Answers(logits=rng.normal(size=(60, 7)).astype(np.float32), labels=np.arange(60) % 7)
    wanted = metrics(found.logits, found.labels)[objective.removeprefix("val/")]

    (value,) = scores(found, objective, np.ones((1, 60), dtype=np.int64))

    assert value == pytest.approx(-wanted if objective == "val/loss" else wanted)


@pytest.mark.parametrize("objective", ["val/accuracy", "val/loss", "val/balanced_accuracy", "val/f1_macro"])
def test_a_clear_difference_counts_and_a_small_one_does_not(objective: str) -> None:
    good, nearly, bad = answers(right=190), answers(right=189, seed=1), answers(right=150)

    assert is_worse([bad], [good], objective)
    assert not is_worse([good], [bad], objective)
    assert not is_worse([nearly], [good], objective)


def test_equal_answers_are_not_worse() -> None:
    assert not is_worse([answers(right=180)], [answers(right=180)], "val/accuracy")


@pytest.mark.parametrize(("lost", "won"), [(3, 1), (8, 1), (12, 4), (5, 5), (20, 9), (9, 0)])
def test_it_judges_as_the_exact_test_of_mcnemar_does(lost: int, won: int) -> None:
    """Both ask the same of images that one side got right and the other wrong, where the answer is clear."""
    ours = answers(right=200 - lost, wrong_first=0)
    theirs = answers(right=200 - won, wrong_first=100)
    exact = binomtest(won, lost + won, 0.5, alternative="less").pvalue

    if exact < 0.02 or exact > 0.15:
        assert is_worse([ours], [theirs], "val/accuracy") == (exact < 0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 200), st.integers(0, 200))
def test_never_are_both_worse(first: int, second: int) -> None:
    one, other = answers(right=first), answers(right=second, wrong_first=50)

    assert not (is_worse([one], [other], "val/accuracy") and is_worse([other], [one], "val/accuracy"))


def test_more_seeds_settle_what_one_leaves_open() -> None:
    """A difference of the same size counts once it is seen with several networks that err elsewhere."""
    ours = [answers(right=194, wrong_first=40 * n, seed=n) for n in range(4)]
    theirs = [answers(right=199, wrong_first=20 + 40 * n, seed=9 + n) for n in range(4)]

    assert not is_worse(ours[:1], [answers(right=198, wrong_first=20)], "val/accuracy")
    assert is_worse(ours, theirs, "val/accuracy")


def test_answers_about_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match="same images"):
        is_worse([answers(right=5, num=10)], [answers(right=5, num=12)], "val/accuracy")
