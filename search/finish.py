"""The end of a search: the winner's one reading of the locked test split.

Only this module gives a `TestOrder`. The reading is kept with the study: asking again for the same winner returns it,
and a new winner after a resumed search is counted as another reading.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import fmean

from search.alone import run_through
from search.errors import StudyError
from search.executors import Executor
from search.race import Standing
from search.refit import refit_directory
from search.store import Store
from search.study import Study
from search.trials import OBJECTIVES, Trial, score
from trainer.config import JobConfig
from trainer.orders import TestOrder
from trainer.results import Failed, Tested

ATTRIBUTE = "autoclf.test"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestReading:
    """What the test split said of a winner."""

    __test__ = False  # no test case, whatever its name says

    trial: int
    accuracy: float
    loss: float
    top5_accuracy: float
    num_images: int
    is_refit: bool = False  # of the network that was trained on validation images, too
    readings: int  # of the test split in this study so far; more than one makes the last one optimistic
    estimates: Mapping[str, Sequence[float]] = field(default_factory=dict)  # metrics: value, bounds of the interval

    def values(self) -> dict[str, float]:
        """Return every metric by its name, without bounds."""
        known = {"accuracy": self.accuracy, "loss": self.loss, "top5_accuracy": self.top5_accuracy}
        return {name: value for name, (value, _, _) in self.estimates.items()} | known

    def metrics(self) -> dict[str, float]:
        """Return every metric with its bounds under the names that the tracking store shows."""
        found = {"test/accuracy": self.accuracy, "test/loss": self.loss, "test/readings": float(self.readings)}
        for name, (value, low, high) in self.estimates.items():
            found |= {f"test/{name}": value, f"test/{name}_low": low, f"test/{name}_high": high}
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """How far what validation said of a winner is to be trusted: the best of many flatters itself."""

    judged: int  # configurations that validation images were asked about
    metric: str  # that the search went by, such as `accuracy`
    said: float  # that metric of the winner on them: the mean over its seeds, where it was in a race
    optimism: float | None  # by how much that is better than what the test split said; None without a reading

    def metrics(self) -> dict[str, float]:
        """Return the values under the names that the tracking store shows."""
        found = {"validation/judged": float(self.judged), f"validation/{self.metric}": self.said}
        return found if self.optimism is None else found | {"validation/optimism": self.optimism}


def doubt(
    trials: Sequence[Trial], winner: Trial, objective: str, standing: Standing | None, test: TestReading | None
) -> Doubt:
    """Return what there is to doubt of a winner, by the metric that it was chosen by: that one flatters most."""
    sign, metric = OBJECTIVES[objective], objective.removeprefix("val/")
    said = sign * score(winner.results[-1], objective)
    if standing is not None and winner.number in standing.scores:
        said = sign * fmean(standing.scores[winner.number])
    tested = None if test is None else test.values().get(metric)
    optimism = None if tested is None else sign * (said - tested)
    judged = sum(1 for trial in trials if trial.results)
    return Doubt(judged=judged, metric=metric, said=said, optimism=optimism)


def known_reading(study: Study, trial: int, *, is_refit: bool = False) -> TestReading | None:
    """Return what the test split said of a trial, or of its refit, if it was ever asked."""
    wanted = (trial, is_refit)
    return next((reading for reading in _readings(study) if (reading.trial, reading.is_refit) == wanted), None)


def _readings(study: Study) -> list[TestReading]:
    return [TestReading(**record) for record in study.attributes.get(ATTRIBUTE, [])]


def read_test_split(
    study: Study, store: Store, winner: Trial, executor: Executor, data_root: Path, *, refitted: JobConfig | None = None
) -> TestReading:
    """Score the winner on the test split, once.

    Args:
        study: Remembers the reading.
        store: Holds the winner's checkpoint.
        winner: Of the search.
        executor: With nothing else to do.
        data_root: Of the prepared images.
        refitted: The job of the winner's refit, if that is the model.

    Raises:
        StudyError: If its checkpoint is gone.
    """
    before = _readings(study)
    is_refit = refitted is not None
    known = known_reading(study, winner.number, is_refit=is_refit)
    if known is not None:
        return replace(known, readings=len(before))
    directory = refit_directory if is_refit else Store.job
    order = TestOrder(
        config=refitted or winner.config, data_root=data_root, directory=directory(store, study.name, winner.number)
    )
    found = run_through(executor, order)
    if not isinstance(found, Tested):
        why = found.message if isinstance(found, Failed) else "the process died"
        raise StudyError(
            f"Trial {winner.number} could not be scored on the test split: {why}. "
            f"Try again with `autoclf resume {study.name}`."
        )
    scores = found.evaluation
    reading = TestReading(
        trial=winner.number,
        is_refit=is_refit,
        accuracy=scores.accuracy,
        loss=scores.loss,
        top5_accuracy=scores.top5_accuracy,
        num_images=scores.num_images,
        readings=1 + len(before),
        estimates={name: list(bounds) for name, bounds in found.estimates.items()},  # as JSON gives them back
    )
    study.remember(ATTRIBUTE, [asdict(item) for item in (*before, reading)])
    return reading
