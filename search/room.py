"""Keeps the checkpoints of a search within a budget of disk space: what is least likely to go on gives way."""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.book import best_of
from search.trials import State, Trial
from trainer.jobfiles import CHECKPOINT, INCOMING_CHECKPOINT, PREVIOUS_CHECKPOINT

DEFAULT_SHARE = 0.5  # of what is free when a search begins


@dataclass(slots=True, kw_only=True)
class Room:
    """Says which trials have to give way; what it keeps only saves time."""

    budget: float  # bytes of checkpoints of trials, running and complete ones included
    directory: Callable[[int], Path]  # of a trial's checkpoints, by number
    expected: Callable[[Sequence[Trial]], Mapping[int, float]]  # at the last rung, by number
    objective: str  # of the study
    _sizes: dict[str, tuple[float, State, int]] = field(default_factory=dict)  # by uid: what was looked at, and bytes

    def crowded_out(self, trials: Sequence[Trial]) -> list[int]:
        """Return the trials whose checkpoints have to go, pruned ones first, then paused ones, which have to end.

        Of each kind that of which least is expected is the first. The one of which most is expected never gives way,
        nor does the one that the search would end with now.

        Args:
            trials: Of the search, by number. One on its way to a rung does not give way.
        """
        sizes = {trial.number: self._size(trial) for trial in trials if not _has_none(trial)}
        excess = sum(sizes.values()) - self.budget
        if excess <= 0:
            return []
        expected = self.expected(trials)
        gives_way = {n: trials[n].state is State.PAUSED for n in sizes if _may_go(trials[n])}
        found: list[int] = []
        best = best_of(list(trials), self.objective)
        kept = {max(expected, key=lambda n: (expected[n], -n), default=None), best.number if best else None}
        for number in sorted(gives_way, key=lambda n: (gives_way[n], expected.get(n, -math.inf), -n)):
            if excess > 0 and sizes[number] and number not in kept:
                found.append(number)
                excess -= sizes[number]
                del self._sizes[trials[number].uid]
        return found

    def _size(self, trial: Trial) -> int:
        """Return the bytes of a trial's checkpoints, which change when it reaches an epoch or ends."""
        known = self._sizes.get(trial.uid)
        if known is None or known[:2] != (trial.epoch, trial.state):
            known = (trial.epoch, trial.state, size_of_state(self.directory(trial.number)))
            self._sizes[trial.uid] = known
        return known[2]


def _has_none(trial: Trial) -> bool:
    return not trial.epoch or trial.state is State.FAILED


def _may_go(trial: Trial) -> bool:
    """Say whether nothing is lost but time where a trial's checkpoint is."""
    return trial.state is State.PRUNED or (trial.state is State.PAUSED and not trial.is_owed)


def size_of_state(directory: Path) -> int:
    """Return the bytes that the checkpoints of a job take."""
    found = 0
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT, INCOMING_CHECKPOINT):
        try:
            found += (directory / name).stat().st_size
        except FileNotFoundError:
            continue
    return found


def default_budget(directory: Path) -> float:
    """Return half of the bytes that are free where a directory lies."""
    return DEFAULT_SHARE * shutil.disk_usage(directory).free
