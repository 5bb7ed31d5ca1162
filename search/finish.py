"""The end of a search: the winner's one reading of the locked test split.

Only this module gives a `TestOrder`. The reading is kept with the study: asking again for the same winner returns it,
and a new winner after a resumed search is counted as another reading.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from search.errors import StudyError
from search.executors import Executor
from search.plan import run_alone
from search.store import Store
from search.study import Study
from search.trials import Trial
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
    readings: int  # of the test split in this study so far; more than one makes the last one optimistic


def known_reading(study: Study) -> TestReading | None:
    """Return the last reading of the test split, if there was one."""
    record = study.attributes.get(ATTRIBUTE)
    return TestReading(**record) if record else None


def read_test_split(study: Study, store: Store, winner: Trial, executor: Executor, data_root: Path) -> TestReading:
    """Score the winner on the test split, once.

    Raises:
        StudyError: If its checkpoint is gone.
    """
    known = known_reading(study)
    if known is not None and known.trial == winner.number:
        return known
    order = TestOrder(config=winner.config, data_root=data_root, directory=store.job(study.name, winner.number))
    found = run_alone(executor, order)
    if not isinstance(found, Tested):
        why = found.message if isinstance(found, Failed) else "the process died"
        raise StudyError(
            f"Trial {winner.number} could not be scored on the test split: {why}. "
            f"Try again with `autoclf resume {study.name}`."
        )
    scores = found.evaluation
    reading = TestReading(
        trial=winner.number,
        accuracy=scores.accuracy,
        loss=scores.loss,
        top5_accuracy=scores.top5_accuracy,
        num_images=scores.num_images,
        readings=1 + (known.readings if known else 0),
    )
    study.remember(ATTRIBUTE, asdict(reading))
    return reading
