"""What else a sampler might see of trials that have come to different rungs, to be compared with what it does see."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from search.samplers import Tpe
from search.surrogate.outlook import Surrogate
from search.table import Floats, table_of
from search.trials import State, Trial, readings


@dataclass(slots=True, kw_only=True)
class OnLastReadings(Tpe):
    """TPE that sees the last reading of each trial, whichever rung it is of."""

    def comparable(self, trials: Sequence[Trial]) -> Floats:
        """Return the last reading of each trial (N,)."""
        scores = table_of(trials, self.space.budget.rungs, self.space.objective.metric).scores
        deepest = np.maximum(np.isfinite(scores).sum(axis=1) - 1, 0)
        return np.asarray(scores[np.arange(len(scores)), deepest])


@dataclass(slots=True, kw_only=True)
class OnOneRung(Tpe):
    """TPE that sees the readings of the highest rung that enough trials have come to, as BOHB does."""

    def comparable(self, trials: Sequence[Trial]) -> Floats:
        """Return the reading of each trial (N,) at that rung; NaN for those that have not come so far."""
        scores = table_of(trials, self.space.budget.rungs, self.space.objective.metric).scores
        has_enough = np.isfinite(scores).sum(axis=0) > len(self.space.params) + 1
        place = int(np.flatnonzero(has_enough)[-1]) if has_enough.any() else 0
        return np.asarray(scores[:, place])


@dataclass(slots=True, kw_only=True)
class OnForecasts(Tpe):
    """TPE that sees what the Gaussian processes expect of each trial at the last rung."""

    surrogate: Surrogate

    def comparable(self, trials: Sequence[Trial]) -> Floats:
        """Return the level at the last rung that is expected of each trial (N,)."""
        found = np.full(len(trials), np.nan)
        outlook = self.surrogate.outlook(trials)
        for number, level in (outlook.expected() if outlook else {}).items():
            found[number] = level
        return found


@dataclass(slots=True, kw_only=True)
class AsOptunaHasIt(Tpe):
    """TPE that sees paused trials as pruned ones with their intermediate values, as in a study of Optuna's own."""

    def _trial(self, trial: Trial, value: float | None) -> FrozenTrial:
        known = super(AsOptunaHasIt, self)._trial(trial, value)
        if value is not None and trial.state is not State.COMPLETE:
            known.state = TrialState.PRUNED
        known.intermediate_values = {
            round(rung): score for rung, score in readings(trial, self.space.objective.metric).items()
        }
        return known
