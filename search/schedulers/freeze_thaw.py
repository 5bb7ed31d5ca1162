"""Freeze and thaw: at each step go on with the paused trial, or begin the configuration, that is worth most.

Source: the idea is that of Swersky, Snoek and Adams 2014, "Freeze-Thaw Bayesian Optimization", arXiv:1406.3896: keep
every training paused, forecast where each would end, and spend the next step where it pays most. The model, from rung
to rung, is in `search.surrogate`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from search.samplers.base import Sampler
from search.samplers.gp import STARTUP_TRIALS
from search.schedulers.base import Action, Finish, Resume, Situation, Start, Wait
from search.schedulers.closing import close, fits, following_rung, has_leisure, hopefuls, may_start, owed
from search.surrogate.outlook import Outlook, Surrogate
from search.table import NOWHERE, Table, table_of
from search.trials import State, Trial

LEAST_CHANCE = 0.05  # of beating the best, that a trial must have to be gone on with when no new one may begin
SETTLED = 0.9  # share of a search from which on all that promises enough is trained to the end
ONE_EACH = 0.1  # of a search before that: one more trial may be; most of what leads early is soon overtaken
AHEAD = 1 / 8  # of a full training: the trial that leads is sent so far at once
SCOUTING = 0.7  # the most of all training so far that may be the leader's
LEAST_READ = 3  # trials with a reading, before one of them leads
MOST_WEIGHED = 50  # paused trials at the same rung that are looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeThaw:
    """Choose by expected improvement for the time it takes."""

    rungs: tuple[float, ...]  # epochs, rising
    surrogate: Surrogate
    sampler: Sampler

    def decide(self, situation: Situation) -> Action:
        """Return what to do now."""
        if situation.seconds_left is not None and situation.seconds_left <= 0:
            return Finish()
        table = table_of(situation.trials, self.rungs, self.surrogate.encoding.space.objective.metric)
        is_closing = not has_leisure(situation, table)
        if not is_closing and not situation.has_free_slot:
            return Wait()  # the model is not asked where there is nothing to choose
        outlook = self.surrogate.outlook(situation.trials)
        if is_closing and outlook is not None:
            closing = close(situation, self.rungs, outlook.expected())
            if closing is not None:
                return closing
        if not situation.has_free_slot:
            return Wait()
        return owed(situation, table) or self._choose(outlook, situation, table)

    def _choose(self, outlook: Outlook | None, situation: Situation, table: Table) -> Action:
        """Begin a configuration or go on with a trial, whichever is worth more."""
        starts = may_start(situation, table, self.rungs[0])
        scout = self._scout(outlook, situation, table) if starts and outlook is not None else None
        if scout is not None:
            return Resume(scout.number, following_rung(scout, self.rungs))
        if outlook is None or (starts and len(outlook.evidence.numbers) < STARTUP_TRIALS):
            return Start(self.rungs[0]) if starts else self._rest(outlook, situation)
        rows = self._waiting(outlook, situation, table)
        if starts and not situation.ends_at_target and not self._may_complete(situation, table):
            rows = rows[outlook.evidence.num_read[rows] < len(self.rungs) - 1]
        if not starts and len(rows):
            rows = rows[outlook.chances(rows) >= LEAST_CHANCE]
        if not len(rows):
            return Start(self.rungs[0]) if starts else self._rest(outlook, situation)
        worths = outlook.of_trials(rows)
        best = int(worths.argmax())
        if starts:
            new = outlook.encoding.places([self.sampler.draw(situation.trials)])
            if outlook.of_new(new)[0] > worths[best]:
                return Start(self.rungs[0])
        trial = situation.trials[outlook.evidence.numbers[rows[best]]]
        return Resume(trial.number, following_rung(trial, self.rungs))

    def _may_complete(self, situation: Situation, table: Table) -> bool:
        """Say whether it is time to train one to the last rung, while others may begin.

        Whoever is interrupted then has something to show, and the model sees what a full training is worth.
        """
        on_their_way = np.flatnonzero(table.is_running | table.is_owed).tolist()
        num = int(table.is_complete.sum()) + sum(situation.trials[row].target >= self.rungs[-1] for row in on_their_way)
        begun, used = situation.share_begun, situation.share_used
        num_of_run = num - situation.num_complete_before
        return max(begun, used) >= SETTLED or begun >= ONE_EACH * (num + 1) or used >= ONE_EACH * (num_of_run + 1)

    def _scout(self, outlook: Outlook, situation: Situation, table: Table) -> Trial | None:
        """Return the trial of which most is expected, if it waits low and its training would be no great part of all.

        The first score that is worth something comes the sooner, and the model sees what the first rungs are worth.
        """
        trials, expected = situation.trials, outlook.expected()
        unfinished = [number for number in expected if not trials[number].state.is_over]
        if len(expected) < LEAST_READ or not unfinished:
            return None
        leader = trials[max(unfinished, key=lambda number: (expected[number], -number))]
        if table.waits[leader.number] == NOWHERE or following_rung(leader, self.rungs) > AHEAD * self.rungs[-1]:
            return None
        stretch = leader.seconds_until(following_rung(leader, self.rungs))
        if stretch is None or not fits(stretch, situation):
            return None
        spent = sum(trial.train_seconds for trial in trials)
        return leader if leader.train_seconds + stretch <= SCOUTING * (spent + stretch) else None

    def _waiting(self, outlook: Outlook, situation: Situation, table: Table) -> NDArray[np.int64]:
        """Return the rows of the trials that wait at a rung and have the time for all that is left; of many, the best.

        Where none has, those that have the time to the next rung.
        """
        evidence = outlook.evidence
        waits = table.waits[evidence.numbers]
        rows = evidence.best_rows(MOST_WEIGHED, (waits != NOWHERE) & (waits < len(self.rungs) - 1))
        if situation.seconds_left is None:
            return rows
        waiting = [situation.trials[number] for number in evidence.numbers[rows]]
        may_end = [fits(trial.seconds_until(self.rungs[-1]), situation) for trial in waiting]
        may_go_on = [fits(trial.seconds_until(following_rung(trial, self.rungs)), situation) for trial in waiting]
        fitting: NDArray[np.int64] = rows[np.array(may_end if any(may_end) else may_go_on, dtype=bool)]
        return fitting

    def _rest(self, outlook: Outlook | None, situation: Situation) -> Action:
        """Wait for what runs; then finish, but never before something was trained to the last rung."""
        trials = situation.trials
        if any(trial.state is State.RUNNING for trial in trials):
            return Wait()
        if outlook is None or any(trial.state is State.COMPLETE for trial in trials):
            return Finish()
        hopes = hopefuls(trials, outlook.expected())
        last = self.rungs[-1]
        goals = [(trial, last) for trial in hopes] + [(trial, following_rung(trial, self.rungs)) for trial in hopes]
        fitting = (trial for trial, goal in goals if fits(trial.seconds_until(goal), situation))
        best = next(fitting, None)
        return Resume(best.number, following_rung(best, self.rungs)) if best is not None else Finish()
