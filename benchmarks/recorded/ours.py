"""Our own strategies, by name."""

from collections.abc import Callable, Mapping

from benchmarks.recorded.replay import OBJECTIVE, replay
from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import Trace
from search.samplers import Tpe
from search.schedulers import Promotion

ETA = 3


def rungs_of(num_epochs: int, eta: int = ETA) -> tuple[float, ...]:
    """Return whole epochs, from the last one down by a factor each, above 1."""
    rungs = [num_epochs]
    while round(num_epochs / eta ** len(rungs)) > 1:
        rungs.insert(0, round(num_epochs / eta ** len(rungs)))
    return tuple(map(float, rungs))


def promotion_tpe(task: Task, seed: int) -> Trace:
    """Promotion, and TPE on readings carried on to the last rung."""
    rungs = rungs_of(task.num_epochs)
    scheduler = Promotion(rungs=rungs, eta=ETA, objective=OBJECTIVE)
    return replay(task, scheduler, lambda space: Tpe(space=space, seed=seed), rungs)


STRATEGIES: Mapping[str, Callable[[Task, int], Trace]] = {"promotion + TPE": promotion_tpe}
