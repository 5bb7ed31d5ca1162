"""What follows when no more trials are trained: the race of the finalists, the refit of the winner, the test split."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from search.answers import Answers, load_answers
from search.book import best_of
from search.engine import Engine
from search.ensemble import Ensemble, find_ensemble, remember_ensemble
from search.executors import Executor
from search.finish import TestReading, read_test_split
from search.notices import Notice, Watch
from search.plan import Plan, cores_of_jobs
from search.race import MOST_OF_TRAINING, MOST_ROUNDS, Race, Standing, affordable, finalists
from search.refit import Bench, Refit, is_for, known_refit, refit, refit_config, refit_epochs, seconds_of
from search.refit import kept_free as kept_for_refit
from search.repeats import Repeats, finalist_of, seed_of
from search.request import Request
from search.schedulers import Enough, reserve
from search.store import Store
from search.study import Study
from search.trials import State, Trial, seconds_of_training
from search.winner import remember_standing, remembered_standing, winner_of
from spaces import Constraints
from trainer.data import DataSet
from trainer.jobfiles import PREDICTIONS, remove_leftovers, remove_state
from trainer.settings import is_pretrained, what_is_trained

MOST_OF_LIMIT = 0.15  # of a time limit that is kept free for a race; where one round needs more, there is none
TEST_MARGIN = 1.3  # times the estimate of the reading of the test split that is kept free
LAST_SECONDS = 5.0  # and this much on top, for its worker to begin, for figures, and for the last uploads


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a search ended."""

    is_finished: bool  # False after an interruption: it can go on
    winner: Trial | None
    standing: Standing | None = None  # of the race, where the winner took part in one
    refit: Refit | None = None
    test: TestReading | None = None
    ensemble: Ensemble | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of one search."""

    request: Request
    store: Store
    study: Study
    data: DataSet
    plan: Plan
    executor: Executor
    watch: Watch
    is_interrupted: Callable[[], bool]
    deadline: float | None  # as `time.monotonic` gives it
    seconds_behind: Callable[[Sequence[Trial]], float]  # that it will take to show what is not shown yet

    def kept_free(self, trials: Sequence[Trial]) -> float:
        """Return the seconds of a time limit that the search leaves to what follows it.

        While nothing is complete, race and refit give way to what may still become so. Uploads go on beside all that.
        """
        if self.deadline is None:
            return 0.0
        for_test = self._kept_for_test(trials)
        more = self._kept_for_race(trials) + self._kept_for_refit(trials)
        left = self.deadline - time.monotonic() - for_test
        kept = for_test + reserve(more, left, trials, self.request.space.budget.epochs)
        return max(kept, self.seconds_behind(trials))

    def settle(self, trials: Sequence[Trial], *, is_over: bool) -> Ended:
        """Do all of it; an interruption leaves the rest to another run.

        Args:
            trials: Of the search, by number.
            is_over: Whether all of them have ended.

        Raises:
            StudyError: If the winner can't be scored on the test split.
        """
        if is_over:
            self.race(trials)
        standing = remembered_standing(self.study)
        winner = winner_of(trials, self.request.space.objective.metric, standing)
        if winner is None or standing is None or winner.number not in standing.scores:
            standing = None
        refitted = self.refit(winner) if is_over and winner is not None and not self.is_interrupted() else None
        is_finished = is_over and not self.is_interrupted()
        if winner is None or not is_finished:
            return Ended(is_finished=is_finished, winner=winner, standing=standing, refit=refitted)
        return Ended(
            is_finished=True,
            winner=winner,
            standing=standing,
            refit=refitted,
            test=self.read_test(winner, refitted),
            ensemble=self.ensemble(trials, winner),
        )

    def race(self, trials: Sequence[Trial]) -> Standing | None:
        """Train the finalists with other seeds, where there are several and it is worth it.

        Args:
            trials: Of the search, by number.

        Returns:
            None if there was no race, or it was interrupted: then it can go on.
        """
        if not self.request.races:
            return None
        objective = self.request.space.objective.metric
        found = finalists(trials, objective, self._answers)
        if len(found) < 2:
            return None
        allowed = MOST_OF_TRAINING * sum(trial.train_seconds for trial in trials)
        if Enough.of(self.request).has_nothing_to_gain(
            trials, objective
        ):  # the search has ended early, and this is all that can still tell
            allowed = max(allowed, sum(trial.train_seconds for trial in found))
        space = replace(self.request.space, constraints=Constraints())
        repeats = Repeats(study=self.study.name, space=space, store=self.store, searched=trials)
        repeats.recover()
        race = Race(
            finalists=affordable(found, allowed),
            epochs=self.request.space.budget.epochs,
            objective=objective,
            seconds=allowed,
            workers=self.plan.workers,
            answers_of=self._answers,
            answers_of_repeat=lambda repeat: load_answers(repeats.directory(repeat.number) / PREDICTIONS),
        )
        left = None if self.deadline is None else self.deadline - time.monotonic() - self._kept_after_race(trials)
        if not race.may_begin(repeats.trials, left):
            self.watch(Notice(kind="no_race", values={"finalists": [trial.number for trial in found]}))
            return None
        return self._run(race, repeats, trials)

    def _run(self, race: Race, repeats: Repeats, trials: Sequence[Trial]) -> Standing | None:
        """Train what the race asks for; return how it ended, or None if it was interrupted."""
        engine = Engine(
            book=repeats,
            sampler=race,
            scheduler=race,
            executor=self.executor,
            data_root=self.data.root,
            max_trials=len(repeats.trials) + len(race.finalists) * MOST_ROUNDS,
            deadline=self.deadline,
            kept_free=lambda _: self._kept_after_race(trials),
            may_be_cut_short=False,
            is_interrupted=self.is_interrupted,
            watch=self._tell_of_race(trials),
        )
        self.watch(Notice(kind="race", values={"finalists": [trial.number for trial in race.finalists]}))
        if not engine.run():
            return None
        for repeat in repeats.trials:
            remove_leftovers(repeats.directory(repeat.number))
            remove_state(repeats.directory(repeat.number))
        standing = race.standing(repeats.trials)
        remember_standing(self.study, standing)
        return standing

    def ensemble(self, trials: Sequence[Trial], winner: Trial) -> Ensemble | None:
        """Look for trials that are better together than the winner alone, and remember them as an offer."""
        if winner.state is not State.COMPLETE:
            return None
        space = self.request.space
        found = find_ensemble(trials, winner, space.objective.metric, self._answers, limits=space.constraints.limits())
        remember_ensemble(self.study, found)
        return found

    def refit(self, winner: Trial) -> Refit | None:
        """Train the winner on both splits, where that was asked for and there is time for it."""
        if not self.request.refits or not is_for(winner):
            return None
        known = known_refit(self.study, self.store, winner.number)
        needed = seconds_of(winner, self.data, epochs=refit_epochs(winner))
        until = None if self.deadline is None else self.deadline - self._kept_for_test([winner])
        if known is None and until is not None and time.monotonic() + needed > until:
            self.watch(Notice(kind="no_refit", trial=winner, values={"seconds": needed}))
            return None
        threads = min(cores_of_jobs(self.request), self.plan.threads * self.plan.workers)
        bench = Bench(
            study=self.study,
            store=self.store,
            data=self.data,
            executor=self.executor,
            threads=threads,
            constraints=self.request.space.constraints,
        )

        def should_stop() -> bool:
            return self.is_interrupted() or (until is not None and time.monotonic() > until)

        done = refit(bench, winner, self.watch, should_stop)
        if done is None and not self.is_interrupted():
            self.watch(Notice(kind="no_refit", trial=winner, values={"seconds": None}))
        return done

    def read_test(self, winner: Trial, refitted: Refit | None) -> TestReading | None:
        """Score the model that the search ends with on the test split."""
        if not self.request.reads_test:
            return None
        self.watch(Notice(kind="testing", trial=winner))
        config = None
        if refitted is not None and refitted.is_sound:
            config = refit_config(winner.config, num_train=self.data.num_train, threads=refitted.threads)
        return read_test_split(self.study, self.store, winner, self.executor, self.data.root, refitted=config)

    def _kept_for_race(self, trials: Sequence[Trial]) -> float:
        """Return the seconds for up to four repeats of the best trial; none where two would be too dear."""
        limit = self.request.timeout_seconds
        best = best_of(list(trials), self.request.space.objective.metric)
        if limit is None or best is None or not self.request.races:
            return 0.0
        one = seconds_of_training(best, self.request.space.budget.epochs)
        most = MOST_OF_LIMIT * limit
        rounds = 2 * one / min(2, self.plan.workers)
        return min(2 * rounds, most) if rounds <= most else 0.0

    def _kept_for_refit(self, trials: Sequence[Trial]) -> float:
        limit = self.request.timeout_seconds
        if limit is None or not self.request.refits:
            return 0.0
        space = self.request.space
        return kept_for_refit(
            trials, self.data, objective=space.objective.metric, epochs=space.budget.epochs, limit=limit
        )

    def _kept_after_race(self, trials: Sequence[Trial]) -> float:
        """Return the seconds for refit and test, or for what is not shown yet if that takes longer."""
        return max(self._kept_for_refit(trials) + self._kept_for_test(trials), self.seconds_behind(trials))

    def _kept_for_test(self, trials: Sequence[Trial]) -> float:
        """Return the seconds for the reading of the test split and for all that is shown after it."""
        best = best_of(list(trials), self.request.space.objective.metric)
        if self.request.timeout_seconds is None or best is None or not self.request.reads_test:
            return 0.0
        return TEST_MARGIN * self.data.num_test * self._answer_seconds(best) + LAST_SECONDS

    def _answer_seconds(self, trial: Trial) -> float:
        """Estimate how long a trial takes for an image that nobody has features of yet."""
        config, seconds = trial.config, trial.answer_seconds
        is_head = is_pretrained(config.model) and what_is_trained(config.transfer, self.data.num_train) == "head"
        if is_head and config.transfer.cache_features and trial.footprint is not None:
            return max(seconds, trial.footprint.latency_ms / 1000)
        return seconds

    def _answers(self, trial: Trial) -> Answers | None:
        return load_answers(self.store.job(self.study.name, trial.number) / PREDICTIONS)

    def _tell_of_race(self, trials: Sequence[Trial]) -> Watch:
        """Return what turns notices of repeats into such of their finalists."""

        def tell(notice: Notice) -> None:
            repeat = notice.trial
            if repeat is None or notice.kind not in ("progress", "complete", "failed"):
                return
            if notice.kind == "progress":
                kind = "racing"
                values = {"epoch": notice.values["epoch"], "epochs": self.request.space.budget.epochs}
            else:
                kind = "repeated"
                values = {"state": repeat.state.value} | (repeat.results[-1].metrics() if repeat.results else {})
            finalist = trials[finalist_of(repeat)]
            self.watch(Notice(kind=kind, trial=finalist, values={"seed": seed_of(repeat)} | values))

        return tell
