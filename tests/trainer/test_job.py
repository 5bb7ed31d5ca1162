import errno
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.trainer.short_jobs import CPU, limited_file_size, prepare_stripes, run_python, tiny_job
from trainer import results as events  # whose Tested would be taken for a test case
from trainer.batches import load_images
from trainer.checkpoints import load_checkpoint
from trainer.config import JobConfig, Value
from trainer.data import DataSet
from trainer.data.locked import open_test_split
from trainer.evaluate import score
from trainer.export import load_servable
from trainer.job import carry_out
from trainer.jobfiles import CHECKPOINT, PREDICTIONS, PREVIOUS_CHECKPOINT, TEST_PREDICTIONS, WEIGHTS
from trainer.orders import MeasureOrder, Order, TestOrder, TrainOrder
from trainer.results import REASONS, EpochResult, Failed, JobEvent, Reached, Started, StepResult, Stopped

RICH: Mapping[str, Value] = {"training.ema": 0.9, "augment.mixup": 0.4, "augment.flip": "alternating"}


@dataclass(slots=True)
class Desk:
    """Hands out orders for one job, and keeps what it reports."""

    data_set: DataSet
    directory: Path
    config: JobConfig
    heard: list[JobEvent] = field(default_factory=list)

    def train(self, until: float = 2.0, *, should_stop: Callable[[], bool] = lambda: False) -> list[JobEvent]:
        """Train to an epoch; return the events without those of single steps."""
        order = TrainOrder(config=self.config, data_root=self.data_set.root, directory=self.directory, until=until)
        return self.carry_out(order, should_stop=should_stop)

    def test(self) -> list[JobEvent]:
        return self.carry_out(TestOrder(config=self.config, data_root=self.data_set.root, directory=self.directory))

    def carry_out(self, order: Order, *, should_stop: Callable[[], bool] = lambda: False) -> list[JobEvent]:
        self.heard = []
        carry_out(order, emit=self.heard.append, should_stop=should_stop)
        return [event for event in self.heard if not isinstance(event, StepResult)]

    def has(self, name: str) -> bool:
        return (self.directory / name).exists()

    def checkpoint(self) -> dict[str, Any]:
        found = load_checkpoint(self.directory, fingerprint=self.config.fingerprint, device=CPU)
        assert found is not None
        return found

    def weights(self) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = safetensors.torch.load_file(self.directory / WEIGHTS)
        return found

    def logits(self, name: str = PREDICTIONS) -> "np.ndarray[Any, np.dtype[np.float32]]":
        with np.load(self.directory / name) as file:
            logits: np.ndarray[Any, np.dtype[np.float32]] = file["logits"]
            return logits


@pytest.fixture
def desk(stripes: DataSet, tmp_path: Path) -> Desk:
    return Desk(stripes, tmp_path / "job", tiny_job(stripes, RICH))


@pytest.fixture(scope="module")
def undisturbed(stripes: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The same job, which nobody interrupted."""
    torch.set_num_threads(1)
    desk = Desk(stripes, tmp_path_factory.mktemp("undisturbed"), tiny_job(stripes, RICH))
    desk.train()
    return desk


def timeless(found: list[JobEvent]) -> list[EpochResult]:
    """Return the results of epochs, without what the clock wrote into them."""
    return [
        replace(event, images_per_second=0.0, epoch_seconds=0.0, eval_seconds=0.0, finished_at=0.0)
        for event in found
        if isinstance(event, EpochResult)
    ]


def assert_ends_as(desk: Desk, expected: Desk) -> None:
    """Check that the results and the weights are the same to the last bit."""
    weights = desk.weights()
    assert timeless(desk.heard) == timeless(expected.heard)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in expected.weights().items())
    assert np.array_equal(desk.logits(), expected.logits())


def stop_after(num_steps: int) -> Callable[[], bool]:
    """A question that is answered with yes after so many steps."""
    answers: Iterator[bool] = iter([False] * (num_steps - 1) + [True])
    return lambda: next(answers)


def failure(found: list[JobEvent]) -> Failed:
    last = found[-1]
    assert isinstance(last, Failed), found
    return last


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


def test_an_epoch_reached_leaves_checkpoint_predictions_and_weights(desk: Desk) -> None:
    reached = desk.train()[-1]

    assert isinstance(reached, Reached)
    assert reached.predictions == PREDICTIONS
    assert sorted(path.name for path in desk.directory.iterdir()) == [CHECKPOINT, PREDICTIONS, WEIGHTS]
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


@pytest.mark.parametrize(("steps", "epoch"), [(1, 0.25), (3, 0.75), (4, 1.0), (6, 1.5), (8, 2.0)])
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


def test_data_of_another_fingerprint_are_refused(desk: Desk) -> None:
    desk.config = replace(desk.config, data="0" * 16)

    failed = failure(desk.train())

    assert failed.reason == "bad_data"
    assert failed.message == (
        f"The data set at {desk.data_set.root} has fingerprint {desk.data_set.fingerprint}, "
        f"the job was made for {'0' * 16}."
    )


def test_data_that_are_not_there_are_bad_data(desk: Desk, tmp_path: Path) -> None:
    desk.data_set = replace(desk.data_set, root=tmp_path / "absent")

    assert failure(desk.train()).reason == "bad_data"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "vit", "model.patch": 5}, "`model.patch` 5 does not divide the image size 16."),
        ({"model": "convnext", "model.patch": 4}, "A ConvNeXt with `model.patch` 4 needs images of at least"),
        ({"runtime.device": "abacus"}, "Device 'abacus' is not a device's name"),
    ],
)
def test_a_config_that_cannot_be_carried_out_is_told(desk: Desk, settings: dict[str, Value], message: str) -> None:
    desk.config = tiny_job(desk.data_set, settings)

    failed = failure(desk.train())

    assert failed.reason == "bad_config"
    assert failed.message.startswith(message)
    assert "ConfigError" in failed.traceback


def test_a_loss_that_is_no_number_is_told_and_leaves_no_checkpoint(desk: Desk) -> None:
    desk.config = tiny_job(desk.data_set, {"optimizer.lr": 1e38})

    found = desk.train()

    assert [type(event) for event in found] == [Started, Failed]
    assert failure(found).reason == "nan_loss"
    assert failure(found).message.startswith("The loss became ")
    assert list(desk.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "oom"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "oom"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "oom"),
        (RuntimeError("MPS backend out of memory"), "oom"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "disk_full"),
        (OSError(errno.EFBIG, "File too large"), "disk_full"),
        (OSError(errno.EACCES, "Permission denied"), "error"),
        (RuntimeError("shapes do not fit"), "error"),
        (AssertionError(), "error"),
    ],
    ids=repr,
)
def test_whatever_happens_becomes_an_outcome_with_a_reason(desk: Desk, error: Exception, reason: str) -> None:
    def ask() -> bool:
        raise error

    failed = failure(desk.train(should_stop=ask))

    assert failed.reason == reason
    assert failed.reason in REASONS
    assert failed.message == (str(error) or type(error).__name__)
    assert type(error).__name__ in failed.traceback


def test_a_disk_that_is_full_leaves_what_was_there(desk: Desk, undisturbed: Desk) -> None:
    desk.train(1.0)
    before = {path: path.read_bytes() for path in desk.directory.iterdir()}

    with limited_file_size(10_000):
        found = desk.train()

    assert failure(found).reason == "disk_full"
    assert {path: path.read_bytes() for path in desk.directory.iterdir()} == before
    desk.train()
    assert_ends_as(desk, undisturbed)


def test_a_long_job_is_saved_before_it_tells_of_an_epoch(
    desk: Desk, undisturbed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die_after_the_first_epoch(event: JobEvent) -> None:
        if isinstance(event, EpochResult):
            raise SystemExit

    monkeypatch.setattr("trainer.job.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    order = TrainOrder(config=desk.config, data_root=desk.data_set.root, directory=desk.directory, until=2.0)

    with pytest.raises(SystemExit):
        carry_out(order, emit=die_after_the_first_epoch, should_stop=lambda: False)

    assert desk.checkpoint()["step"] == 4
    desk.train()
    assert_ends_as(desk, undisturbed)


def test_an_interrupt_from_the_keyboard_is_no_outcome(desk: Desk) -> None:
    def ask() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.train(should_stop=ask)


WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from tests.trainer.short_jobs import tiny_job
from trainer.data import load_data_set
from trainer.job import carry_out
from trainer.libraries import import_timm
from trainer.orders import TrainOrder
import_timm()
config = tiny_job(load_data_set(Path(sys.argv[1])), {"model": "resnet9", "model.width": 512})
order = TrainOrder(config=config, data_root=Path(sys.argv[1]), directory=Path(sys.argv[2]), until=1.0)
pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 300 * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
carry_out(order, emit=lambda event: print(type(event).__name__, event.reason), should_stop=lambda: False)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux")
def test_a_model_that_does_not_fit_into_memory_is_told(desk: Desk) -> None:
    done = run_python(WITH_LITTLE_MEMORY, desk.data_set.root, desk.directory)

    assert done.stdout == "Failed oom\n", done.stderr


def test_a_trained_job_is_scored_on_the_test_split(desk: Desk) -> None:
    desk.train()
    model = load_servable(desk.config, desk.data_set, desk.directory / WEIGHTS).model
    images = load_images(open_test_split(desk.data_set), desk.data_set, CPU)
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


def test_a_job_without_checkpoint_cannot_be_tested(desk: Desk) -> None:
    failed = failure(desk.test())

    assert failed.reason == "error"
    assert failed.message == f"There is no sound checkpoint of this job in {desk.directory}."


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
