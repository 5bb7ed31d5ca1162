"""Our own engine on a recorded task: the real driver, schedulers and samplers; jobs replay curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.recorded.tasks import FULL_SECONDS, Task, in_units
from benchmarks.recorded.traces import Trace
from search.engine import Engine
from search.executors.scripted import Failure, Script, ScriptedExecutor, reading
from search.ledger import MemoryLedger
from search.notices import Notice
from search.samplers import Sampler
from search.samplers.gp import NUM_CANDIDATES
from search.schedulers import Scheduler
from search.surrogate.candidates import propose
from search.surrogate.gp import Array
from search.trials import Trial
from spaces import BudgetSpec, DataSpec, Objective, Param, SearchSpace, Value
from trainer.config import JobConfig

OBJECTIVE = "val/loss"
MOST_TRIALS = 100_000  # of a search whose time alone is limited
LONGEST_JUMP = 0.02 * FULL_SECONDS  # without a decision


def space_of(task: Task, rungs: tuple[float, ...]) -> SearchSpace:
    """Return the space that the task's table was drawn from."""
    params = zip(task.names, task.domains, strict=True)
    return SearchSpace(
        name=task.name,
        about="",
        data=DataSpec(),
        objective=Objective(metric=OBJECTIVE),
        budget=BudgetSpec(rungs=rungs),
        params=tuple(Param(name=name, path=name, domain=domain) for name, domain in params),
        constants=(),
        baselines=(),
        file=Path(task.name),
    )


@dataclass(slots=True)
class Trainings:
    """What a search has trained, by trial number: rows of a table of N, or places between them, from N on."""

    task: Task
    space: SearchSpace
    taken: list[int] = field(default_factory=list)
    between: list[tuple[Array, Array]] = field(default_factory=list)  # scores and seconds (E,) at these places

    @property
    def is_used_up(self) -> bool:
        """Say whether nothing is left to train."""
        return not self.task.is_continuous and len(self.taken) == len(self.task.values)

    def take(self, drawn: Mapping[str, Value]) -> Mapping[str, Value]:
        """Take what is trained for drawn hyperparameters; return the hyperparameters that it counts for."""
        if self.task.is_continuous:
            self.taken.append(len(self.task.values) + len(self.between))
            self.between.append(self.task.between(place_of(self.task, drawn)))
            return drawn
        self.taken.append(nearest(self.task, drawn, self.taken))
        return params_of(self.task, self.taken[-1])

    def curve(self, taken: int) -> tuple[Array, Array]:
        """Return the scores and seconds (E,) of a training."""
        num = len(self.task.values)
        return (self.task.scores[taken], self.task.seconds[taken]) if taken < num else self.between[taken - num]

    def ends(self) -> list[float]:
        """Return the last scores of all places between rows."""
        return [float(scores[-1]) for scores, _ in self.between]

    def propose(self, rng: np.random.Generator, promising: Array) -> Array:
        """Return the places of rows that are free: some drawn evenly, others nearest to steps from promising places."""
        units = self.task.units
        free = np.setdiff1d(np.arange(len(units)), self.taken)
        if not len(promising):
            return units[rng.permutation(free)]
        wanted = propose(self.space, rng, promising, num=NUM_CANDIDATES)
        distances = (units[free] ** 2).sum(axis=1) - 2 * wanted @ units[free].T  # squared, but for a part of each place
        return units[free][np.unique(distances.argmin(axis=1))]


@dataclass(slots=True)
class Snapping:
    """Draws the hyperparameters of what is trained for those that a sampler draws."""

    rows: Trainings
    sampler: Sampler

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return hyperparameters."""
        return dict(self.rows.take(self.sampler.draw(trials)))


def place_of(task: Task, drawn: Mapping[str, Value]) -> Array:
    """Return drawn hyperparameters in units (D,)."""
    drawn_by_axis = zip(task.names, task.domains, strict=True)
    return np.concatenate([in_units(np.array([float(drawn[name])]), domain) for name, domain in drawn_by_axis])


def nearest(task: Task, drawn: Mapping[str, Value], taken: Sequence[int]) -> int:
    """Return the row not taken yet that is nearest to drawn hyperparameters, in units."""
    distances = ((task.units - place_of(task, drawn)) ** 2).sum(axis=1)
    distances[list(taken)] = np.inf
    return int(distances.argmin())


def params_of(task: Task, row: int) -> dict[str, Value]:
    """Return the hyperparameters of a row, as its domains hold them."""
    values = zip(task.names, task.domains, task.values[row], strict=True)
    return {name: int(value) if isinstance(domain.low, int) else float(value) for name, domain, value in values}


def replay(
    task: Task, space: SearchSpace, scheduler: Scheduler, sampler: Sampler, rows: Trainings, *, num_slots: int = 1
) -> Trace:
    """Search a task until its budget is spent.

    Args:
        task: The table.
        space: As `space_of` gives it, with the rungs that the scheduler knows.
        scheduler: Decides.
        sampler: Draws.
        rows: None of which is taken yet.
        num_slots: Jobs at once.
    """
    drawing = Snapping(rows, sampler)
    executor = ScriptedExecutor(
        lambda job, _: _script(*rows.curve(rows.taken[job])), num_slots=num_slots, longest_jump=LONGEST_JUMP
    )
    trace = Trace()

    def watch(notice: Notice) -> None:
        if notice.kind not in ("epoch", "failed") or notice.trial is None:
            return
        row, done = rows.taken[notice.trial.number], notice.trial.results
        epoch = round(done[-1].epoch) if done else 0
        if notice.kind == "epoch":
            trace.add(seconds=executor.now, row=row, epoch=epoch, score=float(rows.curve(row)[0][epoch - 1]))
        elif notice.values.get("reason") == "nan_loss":
            trace.add(seconds=executor.now, row=row, epoch=epoch + 1, score=float("nan"))

    Engine(
        book=MemoryLedger(space=space, build=lambda _: JobConfig()),
        sampler=drawing,
        scheduler=scheduler,
        executor=executor,
        data_root=Path(),
        max_trials=MOST_TRIALS if task.is_continuous else len(task.values),
        deadline=task.budget,
        is_interrupted=lambda: executor.now >= task.budget,
        watch=watch,
        clock=lambda: executor.now,
    ).run()
    trace.ends = rows.ends()
    return trace


def _script(scores: Array, seconds: Array) -> Script:
    """Return how a training goes, from its scores and seconds (E,); it fails where its loss was not finite."""
    num_sound = int(np.isfinite(scores).sum())
    losses = np.nan_to_num(-scores)  # what comes after a divergence is never read
    results = tuple(
        reading(float(epoch), val_accuracy=0.0, val_loss=float(loss), seconds=float(took))
        for epoch, (loss, took) in enumerate(zip(losses, seconds, strict=True), start=1)
    )
    is_sound = num_sound == len(scores)
    return Script(
        results=results, mishaps=() if is_sound else (Failure(epoch=float(num_sound + 1), reason="nan_loss"),)
    )
