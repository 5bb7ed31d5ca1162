"""Where the next configuration comes from: the baselines, then TPE on a view in which every trial is comparable.

TPE fills its good group with complete trials before pruned ones and counts running ones as bad. A paused trial is
neither, so the sampler does not see the study itself: it sees, for each trial with a reading, the estimate of what it
would score at the last rung, and only trials without a reading as running.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import optuna
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.samplers.base import next_baseline
from search.schedulers.promotion import estimates
from search.suggest import distributions, suggest
from search.table import Floats, table_of
from search.trials import Trial
from spaces import SearchSpace, Value
from trainer.seeds import derive

STARTUP_TRIALS = 10  # drawn at random before TPE begins
# TPE's good group holds 25 trials at most. Of very many, the best and the youngest are shown, and the youngest of those
# without a reading, near which nothing shall be drawn: others change little.
MOST_BEST, MOST_YOUNG, MOST_UNREAD = 50, 100, 50


class _Shown(FrozenTrial):
    """A trial that views share instead of copying it, which would take most of the time of a draw."""

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def _validate(self) -> None:
        """It was checked when it was made."""


@dataclass(slots=True, kw_only=True)
class Tpe:
    """Draws configurations; equal trials and seed give equal draws."""

    space: SearchSpace
    seed: int
    _shown: dict[str, _Shown] = field(default_factory=dict)  # by the trial's own name; values are set for each view

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        study = self._view(trials, seed=derive(self.seed, "sampler", len(trials)))
        return suggest(study, self.space, given=next_baseline(self.space, trials) or {})

    def _view(self, trials: Sequence[Trial], *, seed: int) -> optuna.Study:
        """Build the study that the sampler sees."""
        sampler = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=STARTUP_TRIALS, seed=seed % 2**32)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        scores = self.comparable(trials)
        worst = float(np.nanmin(scores)) if np.isfinite(scores).any() else 0.0
        for row in worth_showing(trials, scores):
            trial, score = trials[row], float(scores[row])
            value = worst if trial.is_hopeless else None if math.isnan(score) else score
            study.add_trial(self._trial(trial, value))
        return study

    def comparable(self, trials: Sequence[Trial]) -> Floats:
        """Return a value for each trial (N,), larger is better; NaN where nothing was read or can come of it."""
        return estimates(table_of(trials, self.space.budget.rungs, self.space.objective.metric))

    def _trial(self, trial: Trial, value: float | None) -> FrozenTrial:
        """Return a trial as the sampler sees it; it keeps the value of the last view that it was in."""
        known = self._shown.get(trial.uid)
        if known is None:
            made = create_trial(
                state=TrialState.RUNNING,
                params=dict(trial.params),
                distributions=distributions(self.space, trial.params),
            )
            known = _Shown.__new__(_Shown)
            known.__dict__.update(made.__dict__)
            self._shown[trial.uid] = known
        known.state = TrialState.RUNNING if value is None else TrialState.COMPLETE
        known.values = None if value is None else [value]
        known.datetime_complete = None if value is None else known.datetime_start
        return known


def worth_showing(trials: Sequence[Trial], scores: Floats) -> Sequence[int]:
    """Return the rows of all trials, or of very many those of the best and the youngest, in their order.

    Args:
        trials: All, N of them.
        scores: (N,), larger is better; NaN where there is none.
    """
    if len(trials) <= MOST_BEST + MOST_YOUNG + MOST_UNREAD:
        return range(len(trials))
    is_read = np.isfinite(scores)
    best = np.argsort(np.where(is_read, -scores, np.inf), kind="stable")[: min(MOST_BEST, int(is_read.sum()))]
    is_read |= np.array([trial.is_hopeless for trial in trials])
    young, unread = np.flatnonzero(is_read)[-MOST_YOUNG:], np.flatnonzero(~is_read)[-MOST_UNREAD:]
    return [int(row) for row in np.unique(np.concatenate([best, young, unread]))]
