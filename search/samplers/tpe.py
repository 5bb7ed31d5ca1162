"""Where the next configuration comes from: the baselines, then TPE on a view in which every trial is comparable.

The tree-structured Parzen estimator draws from the density of the good configurations, and takes of some such draws the
one that is likelier there than among the others (Bergstra et al. 2011, section 4). Which are good is usually told
by complete trials first, and running ones count as bad. A paused trial is neither, so this one is told, for each trial
with a reading, the estimate of what it would score at the last rung, and takes only trials without one as running.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from search.samplers.base import next_baseline
from search.samplers.parzen import Axes, mixture_of
from search.samplers.steps import step_at, steps_of
from search.schedulers.promotion import estimates
from search.surrogate.gp import Array
from search.table import Flags, Floats, table_of
from search.trials import Trial
from spaces import Choice, Domain, Param, SearchSpace, Value
from spaces.places import place_of, value_at
from trainer.seeds import derive

STARTUP_TRIALS = 10  # drawn at random before TPE begins
GOOD = 0.1  # of the trials
MOST_GOOD = 25
NUM_CANDIDATES = 24
# Of very many, the best and the youngest are looked at, and the youngest of those without a reading, near which nothing
# shall be drawn: others change little.
MOST_BEST, MOST_YOUNG, MOST_UNREAD = 50, 100, 50


@dataclass(slots=True, kw_only=True)
class Tpe:
    """Draws configurations; equal trials and seed give equal draws."""

    space: SearchSpace
    seed: int
    _known: dict[str, Array] = field(default_factory=dict)  # numbers (P,) by the trial's own name

    def draw(self, trials: Sequence[Trial]) -> dict[str, Value]:
        """Return the parameters of the next trial, by name.

        Args:
            trials: All so far; their number decides which baseline is next.
        """
        rng = np.random.default_rng(derive(self.seed, "sampler", len(trials)))
        drawn = dict(next_baseline(self.space, trials) or {})
        tried = self._tried(trials)
        for _, group in groupby(sorted(self.space.params, key=_rank), key=lambda param: param.when):
            wanted = [param for param in group if param.name not in drawn and param.is_active(drawn)]
            if tried is None:
                drawn |= {param.name: value_at(param.domain, rng.random()) for param in wanted}
            elif wanted:
                drawn |= self._likelier(wanted, *tried, rng)
        return {param.name: drawn[param.name] for param in self.space.params if param.is_active(drawn)}

    def comparable(self, trials: Sequence[Trial]) -> Floats:
        """Return a value for each trial (N,), larger is better; NaN where nothing was read or can come of it."""
        return estimates(table_of(trials, self.space.budget.rungs, self.space.objective.metric))

    def told(self, trials: Sequence[Trial]) -> Floats:
        """Return what counts for each trial (N,): NaN for one without a reading, minus infinity for a hopeless one."""
        values = self.comparable(trials).copy()
        for row in np.flatnonzero(np.isnan(values)).tolist():
            if trials[row].is_hopeless:
                values[row] = -np.inf
        return values

    def _tried(self, trials: Sequence[Trial]) -> tuple[Array, Flags] | None:
        """Return the numbers (N, P) of trials and which of them are good (N,); None while few have a value."""
        values = self.told(trials)
        num = int((~np.isnan(values)).sum())
        if num < STARTUP_TRIALS or not np.isfinite(values).any():
            return None
        good = best_of(values, min(math.ceil(GOOD * num), MOST_GOOD))
        rows = worth_showing(values)
        return np.stack([self._numbers(trials[row]) for row in rows.tolist()]), np.isin(rows, good)

    def _numbers(self, trial: Trial) -> Array:
        """Return a number for each parameter (P,); NaN for one that the trial does not have."""
        found = self._known.get(trial.uid)
        if found is None:
            params = trial.params
            found = self._known[trial.uid] = np.array(
                [_number(p.domain, params[p.name]) if p.name in params else math.nan for p in self.space.params]
            )
        return found

    def _likelier(
        self, wanted: Sequence[Param], tried: Array, is_good: Flags, rng: np.random.Generator
    ) -> dict[str, Value]:
        """Draw parameters that hang on the same options: what is likelier among the good trials than among the others.

        Args:
            wanted: These parameters.
            tried: (N, P), the numbers of trials.
            is_good: (N,).
            rng: To draw with.
        """
        names = [param.name for param in self.space.params]
        ranges = {param.name: param.domain for param in wanted if not isinstance(param.domain, Choice)}
        choices = {param.name: param.domain for param in wanted if isinstance(param.domain, Choice)}
        axes = Axes(tuple(map(steps_of, ranges.values())), tuple(len(choice.options) for choice in choices.values()))
        has_all = np.isfinite(tried[:, [names.index(param.name) for param in wanted]]).all(axis=1)
        of_ranges, of_choices = (tried[:, [names.index(name) for name in some]] for some in (ranges, choices))
        good, other = (
            mixture_of(axes, of_ranges[rows], of_choices[rows].astype(np.int64))
            for rows in (has_all & is_good, has_all & ~is_good)
        )
        numbers, options = good.draw(rng, NUM_CANDIDATES)
        best = int((good.log_density(numbers, options) - other.log_density(numbers, options)).argmax())
        places = axes.middles(numbers[best : best + 1])[0].tolist()
        drawn = {name: value_at(domain, place) for (name, domain), place in zip(ranges.items(), places, strict=True)}
        chosen = zip(choices.items(), options[best].tolist(), strict=True)
        return drawn | {name: choice.options[option] for (name, choice), option in chosen}


def _rank(param: Param) -> tuple[int, str]:
    """Return what puts parameters that hang on the same options together, after those that they hang on."""
    return len(param.when), str(param.when)


def _number(domain: Domain, value: Value) -> float:
    """Return what `Axes` knows a value by: its place, or the number of its step or option."""
    if isinstance(domain, Choice):
        return float(domain.options.index(value))
    return place_of(domain, value) if steps_of(domain) is None else float(step_at(domain, value))


def best_of(values: Floats, num: int) -> NDArray[np.int64]:
    """Return the rows of the best `num` finite values, of equal ones the first."""
    sound = np.flatnonzero(np.isfinite(values))
    return sound[np.argsort(-values[sound], kind="stable")[:num]]


def worth_showing(values: Floats) -> NDArray[np.int64]:
    """Return the rows of all trials, or of very many those of the best and the youngest, in their order.

    Args:
        values: (N,), larger is better; NaN for a trial without a reading, minus infinity for a hopeless one.
    """
    if len(values) <= MOST_BEST + MOST_YOUNG + MOST_UNREAD:
        return np.arange(len(values))
    is_unread = np.isnan(values)
    youngest = np.flatnonzero(~is_unread)[-MOST_YOUNG:], np.flatnonzero(is_unread)[-MOST_UNREAD:]
    return np.unique(np.concatenate([best_of(values, MOST_BEST), *youngest]))
