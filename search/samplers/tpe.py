"""Where the next configuration comes from: the baselines, then TPE on a view in which every trial is comparable.

TPE fills its good group with complete trials before pruned ones and counts running ones as bad. A paused trial is
neither, so the sampler does not see the study itself: it sees, for each trial with a reading, the estimate of what it
would score at the last rung, and only trials without a reading as running.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from search.samplers.base import next_baseline
from search.schedulers.promotion import estimate
from search.suggest import distributions, suggest
from search.trials import State, Trial
from spaces import SearchSpace, Value
from trainer.seeds import derive

STARTUP_TRIALS = 10  # drawn at random before TPE begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Tpe:
    """Draws configurations; equal trials and seed give equal draws."""

    space: SearchSpace
    seed: int

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        number = len(trials)
        study = self._view(trials, seed=derive(self.seed, "sampler", number))
        return suggest(study.ask(), self.space, given=next_baseline(self.space, trials) or {})

    def _view(self, trials: Sequence[Trial], *, seed: int) -> optuna.Study:
        """Build the study that the sampler sees."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # `group`, without which conditions are lost
            sampler = TPESampler(
                multivariate=True,
                group=True,
                constant_liar=True,
                n_startup_trials=STARTUP_TRIALS,
                seed=seed % 2**32,
            )
        study = optuna.create_study(sampler=sampler, direction="maximize")
        scores = estimate(trials, self.space.budget.rungs, self.space.objective.metric)
        worst = min(scores.values(), default=0.0)
        for trial in trials:
            value = worst if trial.state is State.FAILED else scores.get(trial.number)
            study.add_trial(
                create_trial(
                    state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
                    value=value,
                    params=dict(trial.params),
                    distributions=distributions(self.space, trial.params),
                )
            )
        return study
