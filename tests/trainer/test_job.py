import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.job_desk import RICH, Desk, assert_ends_as, failure, stop_after, timeless
from tests.trainer.short_jobs import CPU, prepare_stripes, tiny_job
from trainer import results as events  # whose Tested would be taken for a test case
from trainer.batches import load_images
from trainer.config import Value, flat, job_config
from trainer.data import DataSet
from trainer.data.locked import open_test_split
from trainer.evaluate import score
from trainer.export import load_servable
from trainer.jobfiles import (
    CHECKPOINT,
    PREDICTIONS,
    PREVIOUS_CHECKPOINT,
    SAMPLES,
    TEST_PREDICTIONS,
    WEIGHTS,
    remove_checkpoints,
)
from trainer.orders import MeasureOrder
from trainer.results import EpochResult, Reached, Started, StepResult, Stopped


def test_a_job_reports_its_start_each_epoch_and_its_end(desk: Desk) -> None:
    found = desk.train()

    assert [type(event) for event in found] == [Started, EpochResult, EpochResult, Reached]
    started, first, second, reached = found
    assert isinstance(started, Started)
    assert isinstance(reached, Reached)
    assert (started.epoch, started.pid) == (0, os.getpid())
    assert started.ready_seconds > 0
    assert isinstance(first, EpochResult)
    assert isinstance(second, EpochResult)
    assert (first.epoch, second.epoch, reached.epoch) == (1, 2, 2)
    assert started.at <= first.finished_at <= second.finished_at <= reached.at


def test_a_job_shows_progress_between_its_epochs(desk: Desk) -> None:
    desk.train(1.0)

    assert [event.epoch for event in desk.heard if isinstance(event, StepResult)][:1] == [0.25]


def test_an_epoch_reached_leaves_picture_checkpoint_predictions_and_weights(desk: Desk) -> None:
    reached = desk.train()[-1]

    assert isinstance(reached, Reached)
    assert reached.predictions == PREDICTIONS
    assert sorted(path.name for path in desk.directory.iterdir()) == [SAMPLES, CHECKPOINT, PREDICTIONS, WEIGHTS]
    assert desk.checkpoint()["step"] == 8


def test_predictions_left_are_those_that_were_scored(desk: Desk) -> None:
    last = desk.train()[-2]

    with np.load(desk.directory / PREDICTIONS) as file:
        found = score(torch.from_numpy(file["logits"]), torch.from_numpy(file["labels"]))
    assert isinstance(last, EpochResult)
    assert (found.loss, found.accuracy) == (last.val_loss, last.val_accuracy)
    assert found.num_images == 16
    assert desk.logits().dtype == np.float32


@pytest.mark.parametrize(("ema", "scored"), [(0.9, "averaged"), (0.0, "model")])
def test_weights_left_are_those_that_were_scored(stripes: DataSet, tmp_path: Path, ema: float, scored: str) -> None:
    desk = Desk(stripes, tmp_path / "job", tiny_job(stripes, {"training.ema": ema}))
    desk.train()

    expected = desk.checkpoint()[scored]

    assert desk.weights().keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in desk.weights().items())


def test_a_job_counts_its_parameters(desk: Desk) -> None:
    reached = desk.train(0.25)[-1]

    assert isinstance(reached, Reached)
    model = load_servable(desk.config, desk.data_set, desk.directory / WEIGHTS).model
    assert reached.num_parameters == sum(p.numel() for p in model.parameters())


def test_a_job_that_goes_on_tells_its_history_again_and_ends_the_same(desk: Desk, undisturbed: Desk) -> None:
    first = desk.train(1.0)

    found = desk.train(2.0)

    assert [type(event) for event in found] == [Started, EpochResult, EpochResult, Reached]
    assert isinstance(found[0], Started)
    assert found[0].epoch == 1
    assert found[1] == first[1]
    assert_ends_as(desk, undisturbed)


def test_a_rung_between_epochs_is_a_result_of_its_own(desk: Desk, undisturbed: Desk) -> None:
    desk.train(1.5)

    found = desk.train(2.0)

    assert [result.epoch for result in timeless(found)] == [1, 1.5, 2]
    assert timeless(found)[2].val_loss == timeless(undisturbed.heard)[1].val_loss
    assert np.array_equal(desk.logits(), undisturbed.logits())


def test_a_job_that_is_there_already_says_so_again(desk: Desk, undisturbed: Desk) -> None:
    desk.train()
    before = desk.weights()
    for name in (PREDICTIONS, WEIGHTS):
        (desk.directory / name).unlink()

    found = desk.train()

    assert [type(event) for event in found] == [Started, EpochResult, EpochResult, Reached]
    assert all(torch.equal(tensor, before[name]) for name, tensor in desk.weights().items())
    assert_ends_as(desk, undisturbed)


@pytest.mark.parametrize(("steps", "epoch"), [(1, 0.25), (3, 0.75), (4, 1.0), (6, 1.5), (7, 1.75)])
def test_a_job_that_was_asked_to_stop_goes_on_as_if_it_had_not(
    desk: Desk, undisturbed: Desk, steps: int, epoch: float
) -> None:
    stopped = desk.train(should_stop=stop_after(steps))

    assert isinstance(stopped[-1], Stopped)
    assert stopped[-1].epoch == epoch
    assert desk.checkpoint()["step"] == steps
    assert not desk.has(PREDICTIONS)
    again = desk.train()
    assert isinstance(again[0], Started)
    assert again[0].epoch == epoch
    assert_ends_as(desk, undisturbed)


def test_a_job_that_was_asked_to_stop_after_its_last_step_has_arrived(desk: Desk, undisturbed: Desk) -> None:
    found = desk.train(should_stop=stop_after(8))

    assert isinstance(found[-1], Reached)
    assert_ends_as(desk, undisturbed)


def test_a_job_whose_newest_checkpoint_is_torn_goes_on_from_the_one_before(desk: Desk, undisturbed: Desk) -> None:
    for steps in (2, 3):
        desk.train(should_stop=stop_after(steps))
    newest = desk.directory / CHECKPOINT
    assert desk.has(PREVIOUS_CHECKPOINT)
    newest.write_bytes(newest.read_bytes()[:-100])

    started = desk.train()[0]

    assert isinstance(started, Started)
    assert started.epoch == 0.5
    assert_ends_as(desk, undisturbed)


def test_a_checkpoint_of_another_job_is_not_gone_on_with(desk: Desk) -> None:
    desk.train(1.0)
    desk.config = replace(desk.config, seed=1)

    started = desk.train(1.0)[0]

    assert isinstance(started, Started)
    assert started.epoch == 0


def test_a_trained_job_is_scored_on_the_test_split(desk: Desk) -> None:
    desk.train()
    model = load_servable(desk.config, desk.data_set, desk.directory / WEIGHTS).model
    images = load_images(open_test_split(desk.data_set), desk.data_set.moments, CPU)
    with torch.inference_mode():
        expected = torch.cat([model(pixels) for pixels, _ in images.portions(50)])

    (tested,) = desk.test()

    assert isinstance(tested, events.Tested)
    np.testing.assert_allclose(desk.logits(TEST_PREDICTIONS), expected.numpy(), atol=1e-5)
    logits = torch.from_numpy(desk.logits(TEST_PREDICTIONS))
    assert tested.evaluation == score(logits, images.labels)
    assert tested.evaluation.num_images == 16


def test_testing_a_job_changes_nothing_of_it(desk: Desk, undisturbed: Desk) -> None:
    desk.train(1.0)
    before = {path.name: path.read_bytes() for path in desk.directory.iterdir()}

    desk.test()

    assert {name: (desk.directory / name).read_bytes() for name in before} == before
    desk.train()
    assert_ends_as(desk, undisturbed)


@pytest.mark.parametrize("settings", [{}, RICH, {"training.keep": "best"}], ids=["plain", "averaged", "best kept"])
def test_where_the_checkpoint_is_gone_the_weights_are_tested(desk: Desk, settings: Mapping[str, Value]) -> None:
    desk.config = job_config({**flat(desk.config), **settings})
    desk.train()
    (before,) = desk.test()
    answers = desk.logits(TEST_PREDICTIONS)
    remove_checkpoints(desk.directory)
    (desk.directory / TEST_PREDICTIONS).unlink()

    (after,) = desk.test()

    assert isinstance(before, events.Tested)
    assert isinstance(after, events.Tested)
    assert after.evaluation == before.evaluation
    np.testing.assert_array_equal(desk.logits(TEST_PREDICTIONS), answers)


def test_a_job_without_checkpoint_and_weights_cannot_be_tested(desk: Desk) -> None:
    failed = failure(desk.test())

    assert failed.reason == "error"
    assert failed.message == f"There is neither a sound checkpoint of this job in {desk.directory}, nor its weights."


def test_a_job_is_not_tested_on_data_that_it_was_not_made_for(desk: Desk, tmp_path: Path) -> None:
    desk.train(1.0)
    desk.data_set = prepare_stripes(tmp_path, num_images=72)

    assert failure(desk.test()).reason == "bad_data"


def test_measuring_is_an_order_like_others(desk: Desk) -> None:
    order = MeasureOrder(configs=(desk.config,), data_root=desk.data_set.root, device="cpu", num_cores=1, threads=1)

    (measured,) = desk.carry_out(order)

    assert isinstance(measured, events.Measured)


def test_measuring_on_a_device_that_is_not_here_is_told(desk: Desk) -> None:
    order = MeasureOrder(configs=(desk.config,), data_root=desk.data_set.root, device="cuda:99", num_cores=1, threads=1)

    (failed,) = desk.carry_out(order)

    assert failure([failed]).reason == "bad_config"
