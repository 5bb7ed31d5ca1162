"""Keeps what the trials of a search leave within a budget of disk space: who is least likely to go on gives way."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.book import best_of
from search.race import MOST_FINALISTS
from search.trials import State, Trial, merit
from trainer.jobfiles import CHECKPOINTS, WEIGHTS

DEFAULT_SHARE = 0.5  # of what is free, or taken by the search already, when a search begins


@dataclass(frozen=True, slots=True)
class Size:
    """Bytes of what a trial has left."""

    checkpoints: int
    weights: int

    @property
    def total(self) -> int:
        """Return the bytes of all of it."""
        return self.checkpoints + self.weights


@dataclass(slots=True, kw_only=True)
class Room:
    """Says which trials have to give way; what it keeps only saves time."""

    budget: float  # bytes of checkpoints and weights of trials, running and complete ones included
    directory: Callable[[int], Path]  # of a trial's checkpoints, by number
    expected: Callable[[Sequence[Trial]], Mapping[int, float]]  # at the last rung, by number
    objective: str  # of the study
    _sizes: dict[str, tuple[float, State, Size]] = field(default_factory=dict)  # by uid: what was looked at

    def crowded_out(self, trials: Sequence[Trial]) -> list[int]:
        """Return the trials whose checkpoints have to go, ended ones first, then paused ones, which have to end.

        Of each kind that of which least is expected is the first. The one of which most is expected never gives way,
        nor do those that the search would end with now. Of a complete one the weights stay: it can be promoted.

        Args:
            trials: Of the search, by number. One on its way to a rung does not give way.
        """
        sizes = {trial.number: self._size(trial) for trial in trials if not _has_none(trial)}
        excess = sum(size.total for size in sizes.values()) - self.budget
        if excess <= 0:
            return []
        expected = self.expected(trials)
        gives_way = {n: trials[n].state is State.PAUSED for n in sizes if _may_go(trials[n])}
        found: list[int] = []
        kept = self._kept(trials, expected)
        for number in sorted(gives_way, key=lambda n: (gives_way[n], expected.get(n, -math.inf), -n)):
            is_complete = trials[number].state is State.COMPLETE
            freed = sizes[number].checkpoints if is_complete else sizes[number].total
            if excess > 0 and freed and number not in kept:
                found.append(number)
                excess -= freed
                del self._sizes[trials[number].uid]
        return found

    def _kept(self, trials: Sequence[Trial], expected: Mapping[int, float]) -> set[int]:
        """Return who is needed: the most promising one, and who may be the winner of a search that ended now."""
        complete = [trial for trial in trials if trial.state is State.COMPLETE and trial.results]
        complete.sort(key=lambda trial: (merit(trial.results[-1], self.objective), -trial.number), reverse=True)
        best = best_of(list(trials), self.objective)
        needed = [trial.number for trial in complete[:MOST_FINALISTS]] + ([best.number] if best else [])
        return {*needed, *sorted(expected, key=lambda n: (-expected[n], n))[:1]}

    def _size(self, trial: Trial) -> Size:
        """Return what a trial takes, which changes when it reaches an epoch or ends."""
        known = self._sizes.get(trial.uid)
        if known is None or known[:2] != (trial.epoch, trial.state):
            known = (trial.epoch, trial.state, size_of(self.directory(trial.number)))
            self._sizes[trial.uid] = known
        return known[2]


def _has_none(trial: Trial) -> bool:
    return not trial.epoch or trial.state is State.FAILED


def _may_go(trial: Trial) -> bool:
    """Say whether nothing is lost but time where a trial's checkpoint is."""
    has_ended = trial.state in (State.PRUNED, State.COMPLETE)
    return has_ended or (trial.state is State.PAUSED and not trial.is_owed)


def size_of(directory: Path) -> Size:
    """Return what a job has left in its directory."""
    return Size(sum(_num_bytes(directory / name) for name in CHECKPOINTS), _num_bytes(directory / WEIGHTS))


def _num_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def default_budget(directory: Path, *, taken: float) -> float:
    """Return half of the bytes that are free where a directory lies, counting what the search has taken as free."""
    return DEFAULT_SHARE * (shutil.disk_usage(directory).free + taken)
