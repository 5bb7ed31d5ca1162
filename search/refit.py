"""The winner trained once more, on training and validation images together: choosing is over, so both may teach.

Nothing can score such a network but the test split. What can be told beforehand is told: it must recognise the
validation images, which it has been trained on, at least as well as the trial did, which never saw them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from search.alone import run_through
from search.book import best_of
from search.executors import Executor
from search.notices import Notice, Watch
from search.store import Store
from search.study import Study
from search.trials import OVER_LIMITS, State, Trial, score, seconds_of_training
from spaces import Constraints
from trainer.config import JobConfig, scores_decide
from trainer.crashpoints import crash_point
from trainer.data import DataSet
from trainer.jobfiles import WEIGHTS
from trainer.orders import TrainOrder
from trainer.results import Failed, JobEvent, Reached, StepResult, Stopped
from trainer.settings import Classical, Plateau, Training, what_is_trained

ATTRIBUTE = "autoclf.refits"
MARGIN = 1.2  # times the estimate that is kept free; more than is asked for when the time has come, for estimates err
MARGIN_SECONDS = 10.0  # kept free on top, for what still runs to stop, for starting, and for the test split
MOST_OF_LIMIT = 1 / 3  # of a time limit that is kept free; where a refit needs more, the search has all of it
LASTING = ("nan_loss", "bad_config", "bad_data", OVER_LIMITS)  # reasons of failures that come again
SLACK = 1.0  # standard errors of the trial's validation accuracy that the refit may be below it


@dataclass(frozen=True, slots=True, kw_only=True)
class Refit:
    """How training on both splits went."""

    trial: int
    epochs: float
    num_images: int
    threads: int  # of the job
    seen_accuracy: float  # on validation images, which it was trained on
    is_sound: bool  # else the trial's own weights stay the model
    why_not: str = ""  # where it is not sound


def refit_directory(store: Store, study: str, trial: int) -> Path:
    """Return where the checkpoint and the weights of a refit lie."""
    return store.job(study, trial) / "refit"


def remembered_refit(study: Study, trial: int) -> Refit | None:
    """Return how the refit of a trial went, if it was ever done."""
    found = (Refit(**record) for record in study.attributes.get(ATTRIBUTE, []))
    return next((item for item in found if item.trial == trial), None)


def known_refit(study: Study, store: Store, trial: int) -> Refit | None:
    """Return how the refit of a trial went, if it was ever done and what it left is there."""
    found = remembered_refit(study, trial)
    if found is not None and found.is_sound and not (refit_directory(store, study.name, trial) / WEIGHTS).exists():
        return None
    return found


def is_for(trial: Trial) -> bool:
    """Say whether there is a refit of a trial: it must be trained to the end, by a schedule that needs no scores."""
    return trial.state is State.COMPLETE and not isinstance(trial.config.schedule, Plateau)


def refit_epochs(trial: Trial) -> float:
    """Return how long a refit trains: as long as the weights that were scored."""
    if trial.config.training.keep == "last":
        return trial.results[-1].epoch
    whole = [result for result in trial.results if result.epoch >= 1] or trial.results
    # The last result is that of the kept weights; the first that is as good is of the epoch that they are from.
    return max(whole, key=lambda result: score(result, f"val/{trial.config.training.watch}")).epoch


def refit_config(config: JobConfig, *, num_train: int, threads: int) -> JobConfig:
    """Return the job of a refit.

    What the number of images decided on for the trial stays as it was; it has the machine to itself.
    """
    training: Training = replace(config.training, images="train+val", patience=0, keep="last")
    transfer = replace(config.transfer, train=what_is_trained(config.transfer, num_train))
    runtime = replace(config.runtime, threads=threads)
    found = replace(config, training=training, transfer=transfer, runtime=runtime)
    assert not scores_decide(found), "a schedule that needs scores has no refit"
    return found


def seconds_of(trial: Trial, data: DataSet, *, epochs: float) -> float:
    """Estimate the seconds of a refit of a trial that is trained for so many epochs, from those of the trial."""
    share = (data.num_train + data.num_val) / data.num_train
    return seconds_of_training(trial, epochs) * share


def kept_free(trials: Sequence[Trial], data: DataSet, *, objective: str, epochs: float, limit: float) -> float:
    """Return the seconds of a time limit that a search leaves to the refit of its winner; none to one too dear."""
    best = best_of(list(trials), objective)
    needed = MARGIN * seconds_of(best, data, epochs=epochs) + MARGIN_SECONDS if best is not None else 0.0
    return needed if needed <= MOST_OF_LIMIT * limit else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where and with what a refit is made."""

    study: Study  # remembers it
    store: Store  # where its checkpoint and weights are left
    data: DataSet
    executor: Executor  # with nothing else to do
    threads: int  # of the job
    constraints: Constraints  # of the space


def limits_of(trial: Trial, constraints: Constraints) -> dict[str, float]:
    """Return the limits that a refit may break: a network stays what it was, a forest grows with its images."""
    if not isinstance(trial.config.model, Classical):
        return {}
    return {name: limit for name, limit in constraints.limits().items() if name != "latency_ms"}  # which is noisy


def refit(bench: Bench, trial: Trial, watch: Watch, should_stop: Callable[[], bool]) -> Refit | None:
    """Train a trial's configuration on both splits, or take what was trained before.

    It goes on from a checkpoint, where an earlier one was stopped or killed.

    Args:
        bench: Where and with what.
        trial: Of which `is_for` is true.
        watch: Told how far it is.
        should_stop: Asked every second.

    Returns:
        None if it was stopped.
    """
    study, data = bench.study, bench.data
    known = known_refit(study, bench.store, trial.number)
    if known is not None:
        return known
    epochs = refit_epochs(trial)

    def tell(event: JobEvent) -> None:
        if isinstance(event, StepResult):
            watch(Notice(kind="refitting", values={"epoch": event.epoch, "epochs": epochs}))

    watch(Notice(kind="refit", trial=trial, values={"images": data.num_train + data.num_val, "epochs": epochs}))
    limits = limits_of(trial, bench.constraints)
    order = TrainOrder(
        limits=limits,
        is_to_be_weighed=bool(limits),
        config=refit_config(trial.config, num_train=data.num_train, threads=bench.threads),
        data_root=data.root,
        directory=refit_directory(bench.store, study.name, trial.number),
        until=epochs,
    )
    last = run_through(bench.executor, order, tell, should_stop)
    found = _judged(trial, order, data, last)
    crash_point("after_refit")
    if found is not None and _is_verdict(last):
        others = [record for record in study.attributes.get(ATTRIBUTE, []) if record["trial"] != trial.number]
        study.remember(ATTRIBUTE, [*others, asdict(found)])
    return found


def _is_verdict(last: JobEvent | None) -> bool:
    """Say whether it would end in the same way another day: not where its process died, or the disk was full."""
    return isinstance(last, Reached) or (isinstance(last, Failed) and last.reason in LASTING)


def _judged(trial: Trial, order: TrainOrder, data: DataSet, last: JobEvent | None) -> Refit | None:
    """Return what came of a refit; None if it was stopped on its way."""
    if isinstance(last, Stopped):
        return None
    failed = Refit(
        trial=trial.number,
        epochs=order.until,
        num_images=data.num_train + data.num_val,
        threads=order.config.runtime.threads,
        seen_accuracy=0.0,
        is_sound=False,
        why_not=last.message.splitlines()[0] if isinstance(last, Failed) else "its process died",
    )
    if isinstance(last, Reached):
        assert last.seen_accuracy is not None, "it was trained on both splits"
        before = trial.results[-1]
        error = math.sqrt(before.val_accuracy * (1 - before.val_accuracy) / before.val_images)
        is_sound = last.seen_accuracy >= before.val_accuracy - SLACK * error
        why_not = "" if is_sound else f"it knows {100 * last.seen_accuracy:.2f} % of images that it was trained on"
        return replace(failed, seen_accuracy=last.seen_accuracy, is_sound=is_sound, why_not=why_not)
    return failed
