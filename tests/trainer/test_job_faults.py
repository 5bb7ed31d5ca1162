"""A job that cannot go on: each cause is told by its name, and nothing computed is lost."""

import errno
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.trainer.job_desk import Desk, assert_ends_as, failure
from tests.trainer.short_jobs import limited_file_size, run_python, tiny_job
from trainer.config import Value
from trainer.job import carry_out
from trainer.orders import TrainOrder
from trainer.results import REASONS, EpochResult, Failed, JobEvent, Started, StepResult


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
    desk.config = tiny_job(desk.data_set, {"optimizer.lr": 1e36})

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


@pytest.mark.parametrize(("told", "step"), [(EpochResult, 4), (StepResult, 1)], ids=["an epoch", "a step"])
def test_a_long_job_is_saved_before_it_tells_of(
    desk: Desk, undisturbed: Desk, monkeypatch: pytest.MonkeyPatch, told: type[EpochResult | StepResult], step: int
) -> None:
    def die(event: JobEvent) -> None:
        if isinstance(event, told):
            raise SystemExit

    monkeypatch.setattr("trainer.job.SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    order = TrainOrder(config=desk.config, data_root=desk.data_set.root, directory=desk.directory, until=2.0)

    with pytest.raises(SystemExit):
        carry_out(order, emit=die, should_stop=lambda: False)

    assert desk.checkpoint()["step"] == step
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
