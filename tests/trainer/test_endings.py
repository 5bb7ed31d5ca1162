"""Early stopping, the weights that are kept, and rates that follow the scores."""

import pytest
import torch

from tests.trainer.short_jobs import Splits, advance, fresh, reopened, scores, tensors_of, tiny_job
from trainer.config import JobConfig, Value
from trainer.evaluate import predict
from trainer.loop import Scored, is_over
from trainer.state import TrainState, scored_model
from trainer.watching import has_stalled

LONG: dict[str, Value] = {"training.epochs": 12.0, "schedule": "constant", "optimizer.lr": 0.3}


def job(splits: Splits, settings: dict[str, Value]) -> JobConfig:
    return tiny_job(splits.data_set, {**LONG, **settings})


def trained(config: JobConfig, splits: Splits, until: float | None = None) -> tuple[TrainState, list[Scored]]:
    state = fresh(config, splits)
    return state, [one for one in advance(state, config, splits, until=until) if isinstance(one, Scored)]


def test_a_job_ends_when_its_scores_have_stalled(splits: Splits) -> None:
    whole, _ = trained(job(splits, {}), splits)
    ends_at = next(n for n in range(1, 13) if has_stalled(whole.scores[:n], 2))  # else the test shows nothing
    config = job(splits, {"training.patience": 2})

    state, found = trained(config, splits)

    assert ends_at < 12
    assert [one.result.epoch for one in found] == [float(epoch) for epoch in range(1, ends_at + 1)]
    assert is_over(state, config)
    assert advance(state, config, splits) == []


def test_a_job_without_patience_trains_to_its_end(splits: Splits) -> None:
    config = job(splits, {})

    state, found = trained(config, splits)

    assert len(found) == len(state.scores) == 12
    assert not is_over(state, config)


def test_what_is_watched_decides(splits: Splits) -> None:
    by_loss, found = trained(job(splits, {"training.watch": "loss"}), splits)

    assert by_loss.scores == [-one.result.val_loss for one in found]


def test_the_best_weights_are_kept_with_their_logits(splits: Splits) -> None:
    _, every = trained(job(splits, {}), splits)
    best = max(every, key=lambda one: one.result.val_accuracy)  # the first of equals
    state, found = trained(job(splits, {"training.keep": "best"}), splits)

    assert best is not every[-1]  # else the test shows nothing
    assert torch.equal(found[-1].logits, best.logits)
    assert found[-1].result.val_accuracy == best.result.val_accuracy
    assert [one.result.val_accuracy for one in found[:-1]] == [one.result.val_accuracy for one in every[:-1]]
    again = predict(scored_model(state), splits.val, portion=32, precision=torch.float32)
    torch.testing.assert_close(again, best.logits, rtol=0, atol=1e-5)


def test_training_is_the_same_whichever_weights_are_kept(splits: Splits) -> None:
    last, _ = trained(job(splits, {}), splits)
    best, _ = trained(job(splits, {"training.keep": "best"}), splits)

    assert all(torch.equal(a, b) for a, b in zip(last.model.parameters(), best.model.parameters(), strict=True))


@pytest.mark.parametrize("until", [3.0, 7.25])
def test_a_job_that_keeps_and_waits_goes_on_to_the_last_bit(splits: Splits, until: float) -> None:
    settings: dict[str, Value] = {"training.keep": "best", "schedule": "plateau", "schedule.patience": 1}
    config = job(splits, settings)
    whole, _ = trained(config, splits)

    part, _ = trained(config, splits, until=until)
    resumed = reopened(part, config, splits)
    advance(resumed, config, splits)

    expected = tensors_of(whole)
    assert tensors_of(resumed).keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(resumed).items())
    assert resumed.scores == whole.scores


def test_part_of_a_first_epoch_is_no_score_to_go_by(splits: Splits) -> None:
    state, found = trained(job(splits, {"training.keep": "best"}), splits, until=0.5)

    assert len(found) == 1
    assert state.scores == []


def test_the_rate_falls_after_epochs_without_gain(splits: Splits) -> None:
    config = job(splits, {"schedule": "plateau", "schedule.patience": 1, "schedule.gamma": 0.1})

    _, found = trained(config, splits)

    rates = [one.result.lr for one in found]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.3)
    assert rates[-1] <= 0.03 + 1e-9


def test_averages_of_the_tail_are_scored(splits: Splits) -> None:
    config = job(splits, {"training.swa": 0.5, "training.epochs": 4.0, "training.ema": 0.9})
    state, found = trained(config, splits)

    assert state.averaged is not None
    again = predict(state.averaged.module, splits.val, portion=32, precision=torch.float32)
    torch.testing.assert_close(found[-1].logits, again, rtol=0, atol=1e-5)
    resumed = reopened(trained(config, splits, until=2.75)[0], config, splits)
    advance(resumed, config, splits)
    expected = tensors_of(state)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(resumed).items())
    assert scores([found[-1]])[0].is_sound()
