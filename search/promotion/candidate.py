"""What is to be promoted: a trial, its refit, or several trials together, with what it answered on the test split."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from search.answers import Answers, load_answers, log_probabilities
from search.calibration import temperature_of
from search.ensemble import Ensemble, answers_from, average, remembered_ensemble
from search.errors import StudyError
from search.executors import Executor
from search.finish import TestReading, read_test_split
from search.refit import Refit, refit_config, refit_directory, remembered_refit
from search.request import Request
from search.store import Store
from search.study import Study
from search.trials import State, Trial
from search.winner import remembered_standing, winner_of
from trainer.config import JobConfig
from trainer.data import DataSet
from trainer.jobfiles import PREDICTIONS, TEST_PREDICTIONS, WEIGHTS


@dataclass(frozen=True, slots=True)
class Member:
    """A trained network of the model, and how often it counts."""

    trial: int
    config: JobConfig
    directory: Path  # where its weights and its answers lie
    count: int

    @property
    def weights(self) -> Path:
        """Return the file of its weights.

        Raises:
            StudyError: If it is gone.
        """
        found = self.directory / WEIGHTS
        if not found.exists():
            raise StudyError(
                f"The weights of trial {self.trial} are not at {found}; they can't be promoted. Those of weaker trials "
                "are deleted where --disk leaves them no room."
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A model of a study, of which the test split was not asked."""

    study: str
    objective: str
    trial: Trial  # the only one, or the winner among several
    members: tuple[Member, ...]
    is_refit: bool  # trained on validation images, too; its validation scores are those of the trial
    ensemble: Ensemble | None
    temperature: float

    @property
    def counts(self) -> dict[str, int]:
        """Return how often each trial counts, by number as text."""
        return {str(member.trial): member.count for member in self.members}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate(Trained):
    """A model that is to be promoted."""

    reading: TestReading | None  # of the one network; several were never asked as one
    answers: Answers  # to the locked test images


@dataclass(frozen=True, slots=True)
class Finder:
    """Where a candidate is looked for."""

    request: Request  # as the study remembers it
    study: Study
    data_set: DataSet
    executor: Executor | None = None  # with a free slot, for a reading of the test split

    @property
    def _store(self) -> Store:
        return Store(self.request.store)

    def candidate(self, *, trial: int | None, together: bool) -> Candidate:
        """Return what is to be promoted; what the test split was not asked yet it is asked now, and that is counted.

        Args:
            trial: Its number; None for the winner of the search.
            together: The ensemble that the study offers, in place of the winner alone.

        Raises:
            StudyError: If there is no such trial, it has not ended, weights are gone, or nothing is offered.
        """
        found = self.trained(trial=trial, together=together)
        trials = self._store.trials(self.request.study)
        readings = [self._reading(trials[member.trial], member, is_refit=found.is_refit) for member in found.members]
        answers = [_answers(member.directory / TEST_PREDICTIONS) for member in found.members]
        return Candidate(
            **{name.name: getattr(found, name.name) for name in fields(found)},
            reading=readings[0] if found.ensemble is None else None,
            answers=_together(answers, found.members),
        )

    def trained(self, *, trial: int | None, together: bool = False) -> Trained:
        """Return a model, without a look at the test split; arguments and errors are those of `candidate`."""
        trials = self._store.trials(self.request.study)
        chosen = _chosen(self.request, self.study, trials, trial)
        refitted = None if together else remembered_refit(self.study, chosen.number)
        if refitted is not None and not refitted.is_sound:
            refitted = None
        ensemble = _offered(self.study, chosen) if together else None
        counts = {chosen.number: 1} if ensemble is None else ensemble.counts
        members = tuple(self._member(trials[number], count, refitted) for number, count in counts.items())
        of_trials = [self._store.job(self.request.study, member.trial) / PREDICTIONS for member in members]
        return Trained(
            study=self.request.study,
            objective=self.request.space.objective.metric,
            trial=chosen,
            members=members,
            is_refit=refitted is not None,
            ensemble=ensemble,
            temperature=temperature_of(_together([_answers(path) for path in of_trials], members)),
        )

    def _member(self, trial: Trial, count: int, refitted: Refit | None) -> Member:
        if refitted is None:
            found = Member(trial.number, trial.config, self._store.job(self.request.study, trial.number), count)
        else:
            config = refit_config(trial.config, num_train=self.data_set.num_train, threads=refitted.threads)
            place = refit_directory(self._store, self.request.study, trial.number)
            found = Member(trial.number, config, place, count)
        assert found.weights
        return found

    def _reading(self, trial: Trial, member: Member, *, is_refit: bool) -> TestReading:
        assert self.executor is not None, "who looks for a candidate reads the test split"
        return read_test_split(
            self.study,
            self._store,
            trial,
            self.executor,
            self.data_set.root,
            refitted=member.config if is_refit else None,
        )


def _chosen(request: Request, study: Study, trials: Sequence[Trial], number: int | None) -> Trial:
    if number is not None:
        if not 0 <= number < len(trials):
            raise StudyError(f"Study {request.study!r} has no trial {number}; it has {len(trials)}, counted from 0.")
        if trials[number].state is not State.COMPLETE:
            raise StudyError(
                f"Trial {number} of study {request.study!r} was not trained to the end: it is "
                f"{trials[number].state.value}. `autoclf leaderboard {request.study}` shows those that are complete."
            )
        return trials[number]
    best = winner_of(trials, request.space.objective.metric, remembered_standing(study))
    if best is None or best.state is not State.COMPLETE:
        raise StudyError(
            f"No trial of study {request.study!r} has been trained to the end, so there is nothing to promote. "
            f"Go on with `autoclf resume {request.study}`."
        )
    return best


def _offered(study: Study, winner: Trial) -> Ensemble:
    found = remembered_ensemble(study)
    if found is None or found.winner != winner.number:
        raise StudyError(
            f"Study {study.name!r} offers no ensemble: no trials together were found better than trial "
            f"{winner.number} alone. Promote that one: leave --ensemble out."
        )
    return found


def _answers(path: Path) -> Answers:
    found = load_answers(path)
    if found is None:
        raise StudyError(f"What the trial answered is not at {path}, or is damaged, so nothing can be compared.")
    return found


def _together(found: Sequence[Answers], members: Sequence[Member]) -> Answers:
    """Return the answers of members as one."""
    if len(found) == 1:
        return found[0]
    probabilities = {m.trial: np.exp(log_probabilities(a.logits)) for m, a in zip(members, found, strict=True)}
    return answers_from(average(probabilities, {m.trial: m.count for m in members}), found[0].labels)
