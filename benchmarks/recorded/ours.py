"""Our own strategies, by name."""

from collections.abc import Callable, Mapping

from benchmarks.recorded.replay import OBJECTIVE, Rows, replay, space_of
from benchmarks.recorded.tasks import Task
from benchmarks.recorded.traces import Trace
from search.samplers import Gp, Tpe
from search.schedulers import FreezeThaw, Promotion
from search.surrogate.encoding import Encoding
from search.surrogate.outlook import Surrogate

ETA = 3
FINE_ETA = 2


def rungs_of(num_epochs: int, eta: int = ETA) -> tuple[float, ...]:
    """Return whole epochs, from the last one down by a factor each, above 1."""
    rungs = [num_epochs]
    while round(num_epochs / eta ** len(rungs)) > 1:
        rungs.insert(0, round(num_epochs / eta ** len(rungs)))
    return tuple(map(float, rungs))


def promotion_tpe(task: Task, seed: int) -> Trace:
    """Promotion, and TPE on readings carried on to the last rung."""
    space = space_of(task, rungs_of(task.num_epochs))
    scheduler = Promotion(rungs=space.budget.rungs, eta=ETA, objective=OBJECTIVE)
    return replay(task, space, scheduler, Tpe(space=space, seed=seed), Rows(task, space))


def freeze_thaw(task: Task, seed: int) -> Trace:
    """Freeze and thaw, with Gaussian processes that choose among the rows of the table."""
    space = space_of(task, rungs_of(task.num_epochs, FINE_ETA))
    surrogate = Surrogate(Encoding(space))
    rows = Rows(task, space)
    sampler = Gp(surrogate=surrogate, seed=seed, propose=rows.propose)
    return replay(
        task, space, FreezeThaw(rungs=space.budget.rungs, surrogate=surrogate, sampler=sampler), sampler, rows
    )


STRATEGIES: Mapping[str, Callable[[Task, int], Trace]] = {
    "freeze-thaw": freeze_thaw,
    "promotion + TPE": promotion_tpe,
}
