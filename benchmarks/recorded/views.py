"""What else a sampler might see of trials that have come to different rungs, to be compared with what it does see."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.suggest import suggest
from search.distributions import distributions
from search.samplers import Tpe
from search.samplers.tpe import worth_showing
from search.surrogate.outlook import Surrogate
from search.table import Floats, table_of
from search.trials import State, Trial, readings
from spaces import Value
from trainer.seeds import derive


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
        if outlook is not None:
            evidence = outlook.evidence
            rows = np.flatnonzero(~evidence.has_failed)
            found[evidence.numbers[rows]] = outlook.chain.expected(evidence.points[rows], evidence.scores[rows])
        return found


@dataclass(slots=True, kw_only=True)
class OfOptuna(Tpe):
    """Optuna's own TPE, told the same: of very many trials, of those that ours looks at."""

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name."""
        seed = derive(self.seed, "sampler", len(trials)) % 2**32
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # `group`, without which conditions are lost
            sampler = TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)
        study = optuna.create_study(sampler=sampler, direction="maximize")
        values = self.told(trials)
        worst = float(values[np.isfinite(values)].min()) if np.isfinite(values).any() else 0.0
        for row in worth_showing(values).tolist():
            value = max(float(values[row]), worst)  # the worst for one that is hopeless
            study.add_trial(self.as_optuna_has_it(trials[row], None if math.isnan(values[row]) else value))
        return suggest(study.ask(), self.space)

    def as_optuna_has_it(self, trial: Trial, value: float | None) -> FrozenTrial:
        """Return a trial of the study: complete where it has a value, else running."""
        return create_trial(
            state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
            value=value,
            params=dict(trial.params),
            distributions=distributions(self.space, trial.params),
        )


@dataclass(slots=True, kw_only=True)
class AsOptunaHasIt(OfOptuna):
    """Optuna's TPE that sees paused trials as pruned ones with their intermediate values, as in a study of its own."""

    def as_optuna_has_it(self, trial: Trial, value: float | None) -> FrozenTrial:
        """Return a trial of the study: complete only at the last rung."""
        if value is None or trial.state is State.COMPLETE:
            return super(AsOptunaHasIt, self).as_optuna_has_it(trial, value)
        found = readings(trial, self.space.objective.metric)
        return create_trial(
            state=TrialState.PRUNED,
            params=dict(trial.params),
            distributions=distributions(self.space, trial.params),
            intermediate_values={round(rung): score for rung, score in found.items()},
        )
