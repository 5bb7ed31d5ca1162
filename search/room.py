"""Keeps what the trials of a search leave within a budget of disk space: what is least needed gives way."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.book import best_of
from search.ensemble import MOST_CANDIDATES
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


@dataclass(frozen=True, slots=True)
class Eviction:
    """What has to go of a trial: its checkpoints, and its weights, too, unless they may stay."""

    number: int
    keeps_weights: bool = False


@dataclass(slots=True, kw_only=True)
class Room:
    """Says which trials have to give way; what it keeps only saves time."""

    budget: float  # bytes of checkpoints and weights of trials, running and complete ones included
    directory: Callable[[int], Path]  # of a trial's checkpoints, by number
    expected: Callable[[Sequence[Trial]], Mapping[int, float]]  # at the last rung, by number
    objective: str  # of the study
    needed: frozenset[int] = frozenset()  # trials that never give way
    _sizes: dict[str, tuple[float, State, Size]] = field(default_factory=dict)  # by uid: what was looked at

    def crowded_out(self, trials: Sequence[Trial]) -> list[Eviction]:
        """Return what has to go, in order: of ended trials first, then of paused ones, which have to end.

        Pruned trials go whole, of complete ones checkpoints and then weights; of each kind that of which least is
        expected is the first. What the search would end with now never goes, nor does the most promising trial that has
        not ended; nor do the weights of those that may be an ensemble.

        Args:
            trials: Of the search, by number. One on its way to a rung does not give way.
        """
        sizes = {trial.number: self._size(trial) for trial in trials if not _has_none(trial)}
        excess = sum(size.total for size in sizes.values()) - self.budget
        if excess <= 0:
            return []
        found: list[Eviction] = []
        for eviction in self._in_order([trials[number] for number in sizes], trials):
            size = sizes[eviction.number]
            freed = size.checkpoints if eviction.keeps_weights else size.total
            if excess > 0 and freed:
                found.append(eviction)
                excess -= freed
                sizes[eviction.number] = Size(0, size.weights if eviction.keeps_weights else 0)
                self._sizes.pop(trials[eviction.number].uid, None)
        return found

    def _in_order(self, stored: Sequence[Trial], trials: Sequence[Trial]) -> list[Eviction]:
        """Return all that may go, what is needed least first."""
        expected = self.expected(trials)
        complete = sorted(
            (trial for trial in trials if trial.state is State.COMPLETE and trial.results),
            key=lambda trial: (merit(trial.results[-1], self.objective), -trial.number),
            reverse=True,
        )
        best = best_of(list(trials), self.objective)
        unfinished = [number for number in expected if not trials[number].state.is_over]
        first = max(unfinished, key=lambda number: (expected[number], -number), default=None)
        kept = {*self.needed, *(t.number for t in complete[:MOST_FINALISTS]), first, best.number if best else None}
        shown = {trial.number for trial in complete[:MOST_CANDIDATES]}
        may_go = [trial for trial in stored if _may_go(trial) and trial.number not in kept]
        may_go.sort(key=lambda trial: (expected.get(trial.number, -math.inf), -trial.number))
        by_state = {state: [t.number for t in may_go if t.state is state] for state in State}
        return [
            *(Eviction(number) for number in by_state[State.PRUNED]),
            *(Eviction(number, keeps_weights=True) for number in by_state[State.COMPLETE]),
            *(Eviction(number) for number in by_state[State.COMPLETE] if number not in shown),
            *(Eviction(number) for number in by_state[State.PAUSED]),
        ]

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
