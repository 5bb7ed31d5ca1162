"""What a job reports, as plain values: this module imports no torch, so that a driver can read them."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, get_args


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Scores of one model on one split."""

    loss: float  # mean cross-entropy, nats an image
    accuracy: float  # top-1, fraction in [0, 1]
    top5_accuracy: float  # fraction in [0, 1]; top-K where there are K < 5 classes
    num_images: int
    balanced_accuracy: float  # mean over classes of the share of right answers, fraction in [0, 1]
    f1_macro: float  # mean over classes, fraction in [0, 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """How far training is; not kept, for whoever watches."""

    epoch: float  # done
    images_per_second: float  # mean since the last evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochResult:
    """Metrics of the stretch of training that ended at `epoch`."""

    epoch: float  # done; fractional where a rung is
    step: int  # optimizer steps done
    train_loss: float  # mean over the stretch, augmented images, label smoothing included
    train_accuracy: float  # mean over the stretch, augmented images
    val_loss: float
    val_accuracy: float
    val_top5_accuracy: float
    val_images: int  # scored: the split, or a part of it while the first epoch is not over
    lr: float  # of the first group, at the last step
    images_per_second: float  # of training alone
    epoch_seconds: float  # training steps of the stretch
    eval_seconds: float
    finished_at: float  # seconds since 1970
    val_balanced_accuracy: float | None = None  # None only in records of an earlier version
    val_f1_macro: float | None = None
    train_images: int | None = None  # fitted on, by a model without epochs

    def metrics(self) -> dict[str, float]:
        """Return the values under the names that the tracking store shows."""
        some = {
            "val/balanced_accuracy": self.val_balanced_accuracy,
            "val/f1_macro": self.val_f1_macro,
            "train/images": self.train_images,
        }
        return {name: value for name, value in some.items() if value is not None} | {
            "epoch": self.epoch,
            "train/loss": self.train_loss,
            "train/accuracy": self.train_accuracy,
            "train/images_per_second": self.images_per_second,
            "val/loss": self.val_loss,
            "val/accuracy": self.val_accuracy,
            "val/top5_accuracy": self.val_top5_accuracy,
            "val/images": self.val_images,
            "lr": self.lr,
            "epoch_seconds": self.epoch_seconds,
            "eval_seconds": self.eval_seconds,
        }

    def is_sound(self) -> bool:
        """Say whether every score is finite and every fraction within [0, 1]."""
        fractions = [self.train_accuracy, self.val_accuracy, self.val_top5_accuracy]
        fractions += [score for score in (self.val_balanced_accuracy, self.val_f1_macro) if score is not None]
        numbers = (self.train_loss, self.val_loss, *fractions)
        return all(math.isfinite(x) for x in numbers) and all(0 <= x <= 1 for x in fractions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A worker has begun the job, at the epoch that its checkpoint had reached."""

    epoch: float
    pid: int
    at: float  # seconds since 1970
    ready_seconds: float  # from the process's first line to the first training step


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a model costs whoever asks it."""

    parameters: int  # numbers that training sets, whether or not this job trains them all
    flops: float | None  # of one answer, a multiplication and an addition counting as two; None for a classical model
    latency_ms: float  # of one answer on the job's device and in its precision, the best of several
    size_mb: float  # of its weights as a file, millions of bytes

    def costs(self) -> dict[str, float]:
        """Return what is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """The job is at the epoch it was sent to; its checkpoint and predictions lie in its directory."""

    epoch: float
    at: float
    num_parameters: int
    predictions: str  # file name of `Predictions` in the job's directory; empty where there was nothing to score
    is_final: bool = False  # training has ended before its last epoch: its scores have stalled
    seen_accuracy: float | None = None  # on validation images where they were trained on: it proves no more than that


@dataclass(frozen=True, slots=True, kw_only=True)
class Halved:
    """Memory ran out, and the job goes on with the same batches in smaller portions."""

    portion: int  # images that go through the model at once from now on
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The job was asked to stop and has left a checkpoint."""

    epoch: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The job can't go on."""

    reason: str  # one of REASONS
    message: str
    traceback: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """The one reading of the test split."""

    __test__ = False  # no test case, whatever its name says

    evaluation: Evaluation
    estimates: dict[str, tuple[float, float, float]]  # metrics by name: value, and bounds of their 95 % interval
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FeaturesMade:
    """How far the features of a frozen network are; not kept, for whoever watches."""

    done: int  # images
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How this machine trains fastest."""

    device: str
    precision: str
    channels_last: bool
    micro_batches: dict[str, int]  # by model name
    images_per_second: dict[str, float]  # of training steps at those, by model name
    threads: int  # of one job
    workers: int  # jobs at once that fill the machine


REASONS = (
    "nan_loss",
    "oom",
    "disk_full",
    "bad_config",
    "bad_data",
    "constraint",
    "crashed",
    "killed",
    "timeout",
    "error",
)

JobEvent = (
    Footprint
    | Started
    | StepResult
    | EpochResult
    | Reached
    | Halved
    | Stopped
    | Failed
    | Tested
    | FeaturesMade
    | Measured
)
_KINDS: dict[str, type[JobEvent]] = {kind.__name__: kind for kind in get_args(JobEvent)}


def to_record(event: JobEvent) -> dict[str, Any]:
    """Return an event as values that JSON can hold; `from_record` takes them back."""
    return {"kind": type(event).__name__, **asdict(event)}


def from_record(record: dict[str, Any]) -> JobEvent:
    """Rebuild an event; fields that a later version added are left out.

    Raises:
        KeyError: If the record is of no known kind.
    """
    kind = _KINDS[record["kind"]]
    values = {item.name: record[item.name] for item in fields(kind) if item.name in record}
    if kind is Tested:
        values["evaluation"] = Evaluation(**values["evaluation"])
        values["estimates"] = {name: tuple(bounds) for name, bounds in values["estimates"].items()}
    return kind(**values)
