import re
from collections.abc import Mapping
from dataclasses import fields

import pytest
import torch
from torch import Tensor

from tests.trainer.short_jobs import Splits, advance, fresh, scores, tensors_of, tiny_job
from trainer.config import Value, job_config
from trainer.errors import Diverged
from trainer.evaluate import predict, score
from trainer.lengths import steps_in_epoch, steps_until
from trainer.loop import Scored, predict_split, train
from trainer.results import EpochResult, StepResult
from trainer.schedules import rate
from trainer.state import TrainState, scored_model

CONSTANT_RATE: Mapping[str, Value] = {"schedule": "linear", "schedule.floor": 1.0}
VIT: Mapping[str, Value] = {"model": "vit", "model.dim": 32, "model.depth": 1}


def weights(state: TrainState) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in state.model.parameters() if parameter.requires_grad]


@pytest.mark.parametrize(
    ("batch_size", "num_images", "steps"), [(16, 64, 4), (16, 79, 4), (64, 64, 1), (100, 64, 1), (1, 3, 3)]
)
def test_an_epoch_has_a_step_for_each_whole_batch(batch_size: int, num_images: int, steps: int) -> None:
    assert steps_in_epoch(job_config({"training.batch_size": batch_size}), num_images) == steps


@pytest.mark.parametrize(("epoch", "steps"), [(1, 4), (2, 8), (0.5, 2), (1.3, 5), (0.3, 1), (0.1, 1), (1e-9, 1)])
def test_fractional_epochs_are_whole_steps_and_one_at_least(epoch: float, steps: int) -> None:
    assert steps_until(job_config({"training.batch_size": 16}), 64, epoch) == steps


@pytest.mark.parametrize(
    ("until", "epochs", "steps"),
    [
        (1.0, [1.0], [4]),
        (2.0, [1.0, 2.0], [4, 8]),
        (1.5, [1.0, 1.5], [4, 6]),
        (0.5, [0.5], [2]),
        (0.01, [0.01], [1]),
        (1.3, [1.0, 1.3], [4, 5]),
    ],
)
def test_results_come_at_whole_epochs_and_at_the_end(
    splits: Splits, until: float, epochs: list[float], steps: list[int]
) -> None:
    config = tiny_job(splits.data_set)

    found = scores(advance(fresh(config, splits), config, splits, until=until))

    assert [result.epoch for result in found] == epochs
    assert [result.step for result in found] == steps


def test_progress_comes_after_each_step_within_a_stretch(splits: Splits) -> None:
    config = tiny_job(splits.data_set)

    found = advance(fresh(config, splits), config, splits, until=1.5)

    epochs = [item.epoch if isinstance(item, StepResult) else item.result.epoch for item in found]
    assert epochs == [0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert [type(item) for item in found] == [*[StepResult] * 3, Scored, StepResult, Scored]
    assert all(item.images_per_second > 0 for item in found if isinstance(item, StepResult))


def test_a_job_that_is_there_already_does_nothing(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    state = fresh(config, splits)
    advance(state, config, splits, until=1.0)
    before = tensors_of(state)

    assert advance(state, config, splits, until=1.0) == []
    assert advance(state, config, splits, until=0.5) == []
    assert all(torch.equal(tensor, before[name]) for name, tensor in tensors_of(state).items())


def test_training_goes_on_only_while_it_is_iterated(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    state = fresh(config, splits)
    training = train(state, config, train_images=splits.train, val_images=splits.val, until=2.0)

    assert state.step == 0
    next(training)
    assert state.step == 1


@pytest.mark.parametrize("looks", [[0.5, 1.0, 2.0], [0.25, 0.75, 1.25, 2.0], [1.0, 2.0]], ids=str)
def test_looking_at_scores_in_between_does_not_change_training(splits: Splits, looks: list[float]) -> None:
    config = tiny_job(splits.data_set)
    straight, watched = fresh(config, splits), fresh(config, splits)

    advance(straight, config, splits)
    for until in looks:
        advance(watched, config, splits, until=until)

    expected = tensors_of(straight)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(watched).items())


def test_a_stretch_is_the_mean_of_its_parts(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    state = fresh(config, splits)
    (whole,) = scores(advance(fresh(config, splits), config, splits, until=1.0))

    parts = [scores(advance(state, config, splits, until=until))[0] for until in (0.5, 1.0)]

    assert whole.train_loss == pytest.approx(sum(part.train_loss for part in parts) / 2)
    assert whole.train_accuracy == pytest.approx(sum(part.train_accuracy for part in parts) / 2)


def test_scores_are_those_of_the_model_on_the_validation_split(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    state = fresh(config, splits)

    last = advance(state, config, splits)[-1]

    assert isinstance(last, Scored)
    expected = score(last.logits, splits.val.labels)
    logits = predict(state.model, splits.val, portion=7, precision=torch.float32)
    torch.testing.assert_close(logits, last.logits, rtol=0, atol=1e-5)
    assert last.result.val_loss == expected.loss
    assert last.result.val_accuracy == expected.accuracy
    assert last.result.val_top5_accuracy == expected.top5_accuracy == 1


def test_every_result_is_sound_and_timed(splits: Splits) -> None:
    config = tiny_job(splits.data_set)

    for result in scores(advance(fresh(config, splits), config, splits)):
        assert result.is_sound()
        assert result.images_per_second == pytest.approx(64 / result.epoch_seconds)
        assert result.eval_seconds > 0


@pytest.mark.parametrize("until", [0.5, 1.0, 2.0])
def test_the_schedule_spans_the_whole_job_whatever_the_rung(splits: Splits, until: float) -> None:
    config = tiny_job(splits.data_set, {"optimizer.lr": 0.3, "schedule": "cosine", "schedule.warmup": 0.3})

    last = scores(advance(fresh(config, splits), config, splits, until=until))[-1]

    assert last.lr == pytest.approx(0.3 * rate(config.schedule, (last.step - 0.5) / 8))


def test_equal_jobs_give_equal_weights_and_leave_the_global_generator_alone(splits: Splits) -> None:
    settings: dict[str, Value] = {"augment.mixup": 0.4, "augment.flip": "random", "augment.crop_padding": 2}
    config = tiny_job(splits.data_set, settings)
    first, second = fresh(config, splits), fresh(config, splits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        advance(first, config, splits, until=1.0)
        after = torch.get_rng_state()
        torch.manual_seed(2)
        advance(second, config, splits, until=1.0)

    expected = tensors_of(first)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(second).items())
    assert torch.equal(after, before)


def test_dropped_paths_do_not_depend_on_the_global_generator(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {**VIT, "model.depth": 2, "model.drop_path": 0.5})
    first, second = fresh(config, splits), fresh(config, splits)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        advance(first, config, splits, until=1.0)
        torch.manual_seed(2)
        advance(second, config, splits, until=1.0)

    expected = tensors_of(first)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in tensors_of(second).items())


def test_another_seed_gives_other_weights(splits: Splits) -> None:
    one, other = (tiny_job(splits.data_set, {"seed": seed}) for seed in (1, 2))

    losses = [scores(advance(fresh(job, splits), job, splits, until=1.0))[0].val_loss for job in (one, other)]

    assert losses[0] != losses[1]


def test_averaged_weights_are_scored_where_there_are_such(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"training.ema": 0.9})
    state = fresh(config, splits)

    last = advance(state, config, splits)[-1]

    assert isinstance(last, Scored)
    assert state.averaged is not None
    assert scored_model(state) is state.averaged.module
    averaged = predict(state.averaged.module, splits.val, portion=50, precision=torch.float32)
    latest = predict(state.model, splits.val, portion=50, precision=torch.float32)
    assert torch.equal(predict_split(state, config, splits.val), last.logits)
    torch.testing.assert_close(last.logits, averaged, rtol=0, atol=1e-5)
    assert (last.logits - latest).abs().max() > 1e-3


def test_weights_are_averaged_with_a_decay_that_warms_up(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"training.ema": 0.6})
    state = fresh(config, splits)
    expected = [weight.double() for weight in weights(state)]
    training = train(state, config, train_images=splits.train, val_images=splits.val, until=2.0)

    for step, _ in enumerate(training):
        decay = min(0.6, 1 - max(1, step) ** (-2 / 3))
        expected = [decay * old + (1 - decay) * new.double() for old, new in zip(expected, weights(state), strict=True)]

    assert state.averaged is not None
    averaged = [p for p in state.averaged.module.parameters() if p.requires_grad]
    for found, weight in zip(averaged, expected, strict=True):
        torch.testing.assert_close(found.detach().double(), weight, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [64, 65, 65_536])
def test_a_split_no_larger_than_a_batch_is_one_step_an_epoch(splits: Splits, batch_size: int) -> None:
    config = tiny_job(splits.data_set, {"training.batch_size": batch_size})

    found = advance(fresh(config, splits), config, splits)

    assert [result.step for result in scores(found)] == [1, 2]
    assert len(found) == 2


def test_a_loss_that_is_no_number_ends_the_job(splits: Splits) -> None:
    config = tiny_job(splits.data_set, {"optimizer.lr": 1e36, **CONSTANT_RATE})

    with pytest.raises(Diverged) as caught:
        advance(fresh(config, splits), config, splits)

    assert re.fullmatch(
        r"The loss became (nan|inf) in epoch 1, step [234] \(lr 1e\+36\)\. "
        r"Narrow `optimizer\.lr` if this is frequent\.",
        str(caught.value),
    )


def test_the_epoch_of_a_broken_loss_is_counted_from_one(splits: Splits) -> None:
    config = tiny_job(splits.data_set)
    state = fresh(config, splits)
    advance(state, config, splits, until=1.25)
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.fill_(torch.nan)

    with pytest.raises(Diverged, match=r"^The loss became nan in epoch 2, step 6 \(lr 0\.\d+\)\. "):
        advance(state, config, splits)


def test_a_validation_loss_that_is_no_number_ends_the_job(splits: Splits) -> None:
    settings: dict[str, Value] = {"optimizer.lr": 1e36, "training.batch_size": 64, **CONSTANT_RATE}
    config = tiny_job(splits.data_set, settings)

    with pytest.raises(Diverged, match=r"^The validation loss became (nan|inf) at epoch 1\.$"):
        advance(fresh(config, splits), config, splits)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_trains_as_well(splits: Splits, precision: str) -> None:
    full = tiny_job(splits.data_set)
    half = tiny_job(splits.data_set, {"runtime.precision": precision})

    one, other = (scores(advance(fresh(job, splits), job, splits)) for job in (full, half))

    assert other[-1].is_sound()
    assert other[-1].train_loss == pytest.approx(one[-1].train_loss, rel=0.1)
    assert other[-1].train_loss != one[-1].train_loss
    assert all(p.dtype == torch.float32 for p in fresh(half, splits).model.parameters())


def test_images_may_lie_channels_first(splits: Splits) -> None:
    last = tiny_job(splits.data_set)
    first = tiny_job(splits.data_set, {"runtime.channels_last": False})

    one, other = (scores(advance(fresh(job, splits), job, splits, until=1.0))[0] for job in (last, first))

    assert other.train_loss == pytest.approx(one.train_loss, rel=1e-2)


def test_a_result_has_every_number_as_plain_python(splits: Splits) -> None:
    config = tiny_job(splits.data_set)

    (result,) = scores(advance(fresh(config, splits), config, splits, until=0.5))

    numbers = {item.name: getattr(result, item.name) for item in fields(EpochResult)}
    assert numbers.pop("train_images") is None, "it belongs to models without epochs"
    assert {type(number) for number in numbers.values()} == {int, float}
