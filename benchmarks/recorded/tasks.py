"""Recorded learning curves as tasks: a table of configurations, and how training each of them went.

Two formats are read, both of them npz files: that of LCBench surrogates (`x`, `x_names`, `tasks`, `y`, `y_names`) and
that of TaskSet (`hp_names`, and for each task `hp_NAME` and `valid_NAME`).

Tables that nobody has looked at may hold anything: a curve ends where a score is not finite, a hyperparameter that is
the same everywhere or no number says nothing and is left out, and time never runs backwards. Seconds are those of a
table in which a full training takes `FULL_SECONDS` in the mean, so that no constant of anybody's counts more in one
table than in another.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.recorded.blend import blend, tamed
from spaces import Domain, Float, Integer

FULL_TRAININGS = 20  # of mean length, that a search may spend
FULL_SECONDS = 1000.0  # of a full training, in the mean
LEAST_SHARE = 1e-3  # of the mean epoch, that any epoch takes
LEAST_WIDTH = 1e-12  # from the median of full trainings to the best score
NUM_PLACES = 5000  # that are looked at for the best that there is between rows
FIRST_RUNG = 2  # epochs: after one, scores in the tables at hand say next to nothing of the end
LOG_RATIO = 10.0  # largest to smallest value of a column that may be drawn evenly in its logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One table.

    Attributes:
        name: Of the task.
        names: D names of hyperparameters.
        domains: D domains; the ranges of the columns.
        values: float64 (N, D), as they were recorded.
        units: float64 (N, D) in [0, 1]: linear or logarithmic in the domains.
        scores: float64 (N, E) after each epoch, larger is better; NaN from the epoch on at which training diverged.
        tamed: The scores that are blended.
        seconds: float64 (N, E) that each epoch took, above 0.
        best: The best score that can be found.
        middle: The median of what full trainings end with; of those that diverged, none counts.
        is_continuous: Whether any configuration may be trained, and goes as the rows near it went, blended; else
            rows of the table alone may, each once.
    """

    name: str
    names: tuple[str, ...]
    domains: tuple[Domain, ...]
    values: NDArray[np.float64]
    units: NDArray[np.float64]
    scores: NDArray[np.float64]
    tamed: NDArray[np.float64]
    seconds: NDArray[np.float64]
    best: float
    middle: float
    is_continuous: bool

    @property
    def num_epochs(self) -> int:
        """Return the length of a full training."""
        return int(self.scores.shape[1])

    @property
    def budget(self) -> float:
        """Return the seconds that a search may spend."""
        return FULL_TRAININGS * float(self.seconds.sum(axis=1).mean())

    @property
    def finals(self) -> NDArray[np.float64]:
        """Return the scores (N,) at the last epoch; minus infinity where training diverged."""
        last: NDArray[np.float64] = self.scores[:, -1]
        return np.where(np.isfinite(last), last, -np.inf)

    def between(self, place: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the scores and seconds (E,) of a configuration at a place (D,)."""
        return blend(self.units, self.tamed, self.seconds, place)

    @property
    def first_rung(self) -> int:
        """Return the epoch at which trainings are compared first, by whatever compares them."""
        return min(FIRST_RUNG, self.num_epochs)

    def regret(self, score: float) -> float:
        """Return how far a score is from the best known: 0 there, 1 at the median of full trainings and below."""
        return float(np.clip((self.best - score) / max(self.best - self.middle, LEAST_WIDTH), 0.0, 1.0))


def load_tasks(folder: Path, *, is_continuous: bool = True) -> list[Task]:
    """Return the tasks of all files of a folder, by file name.

    Args:
        folder: With files in the two formats.
        is_continuous: Whether what lies between rows may be trained.

    Raises:
        SystemExit: If there is no file, or one is of neither format.
    """
    files = sorted(folder.glob("*.npz"))
    if not files:
        raise SystemExit(f"No *.npz in {folder}: name a folder of recorded curves with --curves.")
    found: dict[str, Task] = {}
    for path in files:
        for task in _tasks_in(path):
            name = task.name if task.name not in found else f"{task.name}-{path.stem}"
            found[name] = with_scale(replace(task, name=name, is_continuous=is_continuous))
    return list(found.values())


def with_scale(task: Task) -> Task:
    """Return a task with what its best and its median are: of the rows, or of the rows and many places between them."""
    ends, best = task.finals[np.isfinite(task.finals)], float(np.nanmax(task.scores))
    if task.is_continuous:
        places = np.random.default_rng(0).random((NUM_PLACES, task.units.shape[1]))
        found = np.array([task.between(place)[0] for place in (*task.units, *places)])
        ends, best = found[len(task.units) :, -1], float(found.max())
    middle = float(np.median(ends)) if len(ends) else float(np.nanmin(task.scores))
    return replace(task, best=best, middle=middle)


def fingerprint(tasks: Sequence[Task]) -> str:
    """Return a name for what tasks hold."""
    digest = hashlib.sha256()
    for task in tasks:
        for part in (task.units, task.scores, task.seconds):
            digest.update(repr((task.name, task.names, part.shape)).encode() + part.tobytes())
        digest.update(b"continuous" * task.is_continuous + repr((task.budget, task.first_rung)).encode())
    return digest.hexdigest()[:12]


def _tasks_in(path: Path) -> Iterator[Task]:
    with np.load(path, allow_pickle=False) as arrays:
        data = {name: arrays[name] for name in arrays.files}
    if {"x", "x_names", "tasks", "y", "y_names"} <= data.keys():
        yield from _lcbench(data)
    elif "hp_names" in data and any(name.startswith("valid_") for name in data):
        yield from _taskset(data)
    else:
        raise SystemExit(f"{path} is of neither format; it holds {', '.join(sorted(data))}.")


def _lcbench(data: dict[str, NDArray[np.generic]]) -> Iterator[Task]:
    """Accuracies in percent; seconds as they were recorded, cumulated: one an epoch, where they were not."""
    outputs = [str(name) for name in data["y_names"]]
    if "val_accuracy" not in outputs:
        raise SystemExit(f"A table of accuracies has no output `val_accuracy`, but {', '.join(outputs)}.")
    for number, name in enumerate(data["tasks"]):
        curves = data["y"][number].astype(np.float64)
        scores = curves[:, :, outputs.index("val_accuracy")] / 100
        seconds = np.ones_like(scores)
        if "time" in outputs:
            clock = np.fmax.accumulate(np.nan_to_num(curves[:, :, outputs.index("time")]), axis=1)
            seconds = np.diff(clock, axis=1, prepend=0.0)
        yield from _task(f"lcbench-{name}", data["x_names"], data["x"], scores, seconds)


def _taskset(data: dict[str, NDArray[np.generic]]) -> Iterator[Task]:
    """Losses; a point of each curve is taken for an epoch and a second."""
    for name in (key.removeprefix("valid_") for key in data if key.startswith("valid_")):
        scores = -data[f"valid_{name}"].astype(np.float64)
        if f"hp_{name}" not in data:
            sys.stderr.write(f"There are curves of {name}, and no hyperparameters `hp_{name}`: it is left out.\n")
            continue
        yield from _task(f"taskset-{name}", data["hp_names"], data[f"hp_{name}"], scores, np.ones_like(scores))


def _task(
    name: str,
    names: NDArray[np.generic],
    values: NDArray[np.generic],
    scores: NDArray[np.float64],
    seconds: NDArray[np.float64],
) -> Iterator[Task]:
    """Yield the task of a table; nothing, with a word, if there is nothing to search in it."""
    table = np.stack([_numbers(column) for column in values.T], axis=1)
    says_something = np.isfinite(table).all(axis=0) & (table.min(axis=0) < table.max(axis=0))
    if not says_something.any() or not np.isfinite(scores).any():
        sys.stderr.write(f"In {name} no hyperparameter takes several values, or no score is finite: it is left out.\n")
        return
    table, names = table[:, says_something], names[says_something]
    has_diverged = np.logical_or.accumulate(~np.isfinite(scores), axis=1)
    seconds = np.maximum(seconds, LEAST_SHARE * max(seconds.mean(), LEAST_WIDTH))
    domains = tuple(_domain(column) for column in table.T)
    units = np.stack([in_units(column, domain) for column, domain in zip(table.T, domains, strict=True)], axis=1)
    sound = np.where(has_diverged, np.nan, scores)
    yield Task(
        name=name,
        names=_apart([str(item) for item in names]),
        domains=domains,
        values=table,
        units=units,
        scores=sound,
        tamed=tamed(sound),
        seconds=seconds * FULL_SECONDS / seconds.sum(axis=1).mean(),
        best=np.nan,
        middle=np.nan,
        is_continuous=False,
    )


def _numbers(column: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return a column as numbers; NaN, if it holds anything else."""
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        return np.full(len(column), np.nan)


def _apart(names: Sequence[str]) -> tuple[str, ...]:
    """Return names of which none comes twice."""
    return tuple(name if name not in names[:place] else f"{name}-{place}" for place, name in enumerate(names))


def _domain(column: NDArray[np.float64]) -> Domain:
    """Return the range of a column; logarithmic where the values lie more evenly in their logarithms."""
    low, high = float(column.min()), float(column.max())
    is_wide = low > 0 and high / low > LOG_RATIO
    log = is_wide and abs(np.median(np.log(column)) - np.log(low * high) / 2) / np.log(high / low) < abs(
        np.median(column) - (low + high) / 2
    ) / (high - low)
    if np.all(column == np.round(column)):
        return Integer(low=int(low), high=int(high), log=bool(log))
    return Float(low=low, high=high, log=bool(log))


def in_units(column: NDArray[np.float64], domain: Domain) -> NDArray[np.float64]:
    """Return values (N,) of a domain as places in it, from 0 to 1."""
    assert isinstance(domain, Float | Integer)
    drawn, low, high = column, float(domain.low), float(domain.high)
    if domain.log:
        drawn, low, high = np.log(column), np.log(low), np.log(high)
    unit: NDArray[np.float64] = (drawn - low) / (high - low)
    return unit
