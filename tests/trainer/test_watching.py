import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trainer.results import Evaluation
from trainer.watching import Watch, has_stalled, num_drops, watched

EVALUATION = Evaluation(loss=0.5, accuracy=0.8, top5_accuracy=0.9, num_images=10, balanced_accuracy=0.7, f1_macro=0.6)
SCORES = st.lists(st.floats(0, 1).map(lambda score: round(score, 2)), max_size=40)


@pytest.mark.parametrize(
    ("watch", "expected"), [("accuracy", 0.8), ("loss", -0.5), ("balanced_accuracy", 0.7), ("f1_macro", 0.6)]
)
def test_a_larger_watched_score_is_a_better_one(watch: Watch, expected: float) -> None:
    assert watched(EVALUATION, watch) == expected


@pytest.mark.parametrize(
    ("scores", "patience", "expected"),
    [
        ([], 1, False),
        ([0.5], 1, False),
        ([0.5, 0.6], 1, False),
        ([0.6, 0.5], 1, True),
        ([0.5, 0.5], 1, True),
        ([0.1, 0.2, 0.2], 2, False),  # not twice as many epochs as patience yet
        ([0.1, 0.9, 0.6, 0.5], 2, False),  # a lucky epoch does not decide: 0.50 before, 0.55 after
        ([0.5, 0.9, 0.6, 0.5], 2, True),
        ([0.9, 0.1, 0.2, 0.3, 0.4], 2, False),  # what was long ago does not count
        ([0.9, 0.1], 0, False),
    ],
)
def test_scores_have_stalled_when_the_last_are_no_better_than_those_before(
    scores: list[float], patience: int, expected: bool
) -> None:
    assert has_stalled(scores, patience) == expected


@given(patience=st.integers(1, 8), start=st.floats(0, 0.5), gain=st.floats(1e-3, 1e-2), num=st.integers(0, 40))
def test_scores_that_rise_never_stall(patience: int, start: float, gain: float, num: int) -> None:
    assert not has_stalled([start + gain * epoch for epoch in range(num)], patience)


@given(scores=SCORES, patience=st.integers(1, 6))
def test_the_rate_drops_where_pytorch_would_drop_it(scores: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="max", factor=0.5, patience=patience, eps=0)
    for score in scores:
        theirs.step(score)

    assert 0.5 ** num_drops(scores, patience) == optimizer.param_groups[0]["lr"]


@given(losses=st.lists(st.floats(0.01, 9).map(lambda loss: round(loss, 2)), max_size=40), patience=st.integers(1, 6))
def test_a_loss_drops_the_rate_where_pytorch_would_drop_it(losses: list[float], patience: int) -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.5, patience=patience, eps=0)
    for loss in losses:
        theirs.step(loss)

    assert 0.5 ** num_drops([-loss for loss in losses], patience) == optimizer.param_groups[0]["lr"]
