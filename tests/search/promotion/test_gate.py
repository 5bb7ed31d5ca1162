"""The gate: who may take a champion's place, by what both answered on the same images."""

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.answers import Answers
from search.promotion.gate import Comparison, compare, in_words, mcnemar

NUM = 400
ACCURACY = "val/accuracy"


def answers(right: np.ndarray[tuple[int], np.dtype[np.bool_]], *, sureness: float = 5.0) -> Answers:
    """Answers in three classes that are right where they shall be."""
    labels = np.arange(len(right)) % 3
    told = np.where(right, labels, (labels + 1) % 3)
    logits = np.zeros((len(right), 3), dtype=np.float32)
    logits[np.arange(len(right)), told] = sureness
    return Answers(logits=logits, labels=labels)


def rights(num: int, *, first: int = 0) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """So many right answers from an image on, the others wrong."""
    found = np.zeros(NUM, dtype=np.bool_)
    found[first : first + num] = True
    return found


@pytest.mark.parametrize(
    ("ours", "theirs", "wanted"),
    [(0, 0, 1.0), (5, 0, 1 / 32), (0, 5, 1.0), (1, 1, 0.75), (9, 1, 11 / 1024), (15, 5, 0.020694732666015625)],
)
def test_the_exact_test_gives_the_tail_of_the_binomial(ours: int, theirs: int, wanted: float) -> None:
    assert mcnemar(ours, theirs) == pytest.approx(wanted)


@given(ours=st.integers(0, 60), theirs=st.integers(0, 60))
def test_the_chance_is_that_of_so_many_heads(ours: int, theirs: int) -> None:
    num = ours + theirs
    heads = sum(comb(num, k) for k in range(ours, num + 1)) / 2**num

    assert mcnemar(ours, theirs) == pytest.approx(heads)


def test_a_clear_lead_is_enough_and_the_same_answers_are_not() -> None:
    good, better = answers(rights(300)), answers(rights(340))

    lead = compare(better, good, ACCURACY)

    assert (lead.only_candidate, lead.only_champion, lead.num_images) == (40, 0, NUM)
    assert (lead.candidate, lead.champion, lead.lead) == pytest.approx((0.85, 0.75, 0.10))
    assert lead.chance == pytest.approx(0.5**40)
    assert lead.is_better(level=0.05, margin=None)
    assert not compare(good, good, ACCURACY).is_better(level=0.05, margin=None)
    assert not compare(good, better, ACCURACY).is_better(level=0.05, margin=None)


def test_a_lead_that_may_be_luck_is_not_enough_but_for_a_margin() -> None:
    champion, candidate = answers(rights(300)), answers(rights(301, first=2))

    found = compare(candidate, champion, ACCURACY)

    assert (found.only_candidate, found.only_champion) == (3, 2)
    assert not found.is_better(level=0.05, margin=None)
    assert found.is_better(level=0.6, margin=None)
    assert found.is_better(level=0.05, margin=0.0025)
    assert not found.is_better(level=0.05, margin=0.01)


def test_of_a_loss_less_is_better_and_the_interval_decides() -> None:
    right = rights(300)
    sure, unsure = answers(right, sureness=1.5), answers(right, sureness=0.5)

    found = compare(sure, unsure, "val/loss")

    assert found.candidate < found.champion
    assert found.lead == pytest.approx(found.champion - found.candidate)
    assert 0 < found.low < found.lead < found.high
    assert found.chance == 1.0, "they answer alike"
    assert found.is_better(level=0.05, margin=None)
    assert not compare(unsure, sure, "val/loss").is_better(level=0.05, margin=None)


@given(seed=st.integers(0, 2**32 - 1))
def test_the_interval_holds_the_lead(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = answers(rng.random(NUM) < 0.8), answers(rng.random(NUM) < 0.7)

    found = compare(one, other, ACCURACY)

    assert found.low <= found.lead <= found.high
    assert found.lead == pytest.approx((found.only_candidate - found.only_champion) / NUM)


def test_other_images_can_not_be_compared() -> None:
    one = answers(rights(300))
    other = Answers(logits=one.logits, labels=one.labels[::-1].copy())

    with pytest.raises(ValueError, match="the same images"):
        compare(one, other, ACCURACY)


def test_the_figures_are_told() -> None:
    found = Comparison(
        num_images=1000, only_candidate=30, only_champion=10, chance=0.0011, metric="accuracy", candidate=0.94,
        champion=0.92, low=0.01, high=0.03,
    )  # fmt: skip

    told = "\n".join(in_words(found))

    for figure in (
        "94.00 %",
        "92.00 %",
        "2.00 %",
        "1.00 %",
        "3.00 %",
        "candidate alone: 30",
        "champion alone: 10",
        "0.0011",
    ):
        assert figure in told
