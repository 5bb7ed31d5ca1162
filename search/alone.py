"""One job with nothing beside it: a measurement, a refit, the reading of the test split."""

from collections.abc import Callable

from search.executors import Executor, Gone
from trainer.orders import Order
from trainer.results import Failed, JobEvent, Measured, Reached, Stopped, Tested

ALONE = -1  # number of a job that is no trial's
Last = Measured | Tested | Reached | Stopped | Failed  # with any of these a job is done
ATTEMPTS = 3  # processes that may die under a job before it is given up


def run_through(
    executor: Executor,
    order: Order,
    on_event: Callable[[JobEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Last | None:
    """Run one job as `run_alone` does, again where its process dies: that may say nothing against the job.

    A job that trains goes on from its checkpoint.

    Returns:
        How it ended; None if three processes died under it. One that went with its machine does not count.
    """
    died = 0
    while died < ATTEMPTS:
        last = run_alone(executor, order, on_event, should_stop)
        if isinstance(last, Last):
            return last
        died += not (isinstance(last, Gone) and last.is_innocent)
    return None


def run_alone(
    executor: Executor,
    order: Order,
    on_event: Callable[[JobEvent], None] = lambda event: None,
    should_stop: Callable[[], bool] = lambda: False,
) -> JobEvent | Gone | None:
    """Run one job with nothing beside it; return its last event, or how its worker went if its machine is gone.

    It is None if the job died without a word.

    Args:
        executor: With a free slot.
        order: What to do.
        on_event: Told of each event of the job, the last one included.
        should_stop: Asked every second at least; the job then leaves a checkpoint, if it is one that trains.
    """
    executor.start(ALONE, order)
    last: JobEvent | None = None
    is_stopping = False
    while True:
        if not is_stopping and should_stop():
            executor.stop(ALONE)
            is_stopping = True
        for event in executor.events(timeout_seconds=1.0):
            if event.job != ALONE:
                continue  # a worker of the search that has just ended
            if isinstance(event.what, Gone):
                return event.what if event.what.is_innocent and not isinstance(last, Last) else last
            last = event.what
            on_event(last)
