"""The Optuna study as the driver writes it: one transaction a change, each of which may be made twice.

What else the search must remember stands in the study's user attributes, so that it goes where the database goes.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.errors import StudyError
from search.storage import patiently
from search.trials import OBJECTIVES, State
from spaces import SearchSpace, Value
from trainer.errors import did_you_mean

UID = "autoclf.uid"
CONSTRAINT = "constraints"  # Optuna's own name for it
_TOLD = {State.COMPLETE: TrialState.COMPLETE, State.PRUNED: TrialState.PRUNED, State.FAILED: TrialState.FAIL}


StudyStorage = RDBStorage  # where studies lie


@dataclass(frozen=True, slots=True)
class Study:
    """A study in a database; every call waits for a locked one.

    Raises:
        StorageBusyError: From every call, if the database does not answer for minutes.
    """

    name: str
    study: optuna.Study
    storage: RDBStorage
    _ids: dict[int, int] = field(default_factory=dict)  # of trials in the database, by number: they never change

    @property
    def attributes(self) -> dict[str, Any]:
        """What the study remembers, by name."""
        return patiently(lambda: dict(self.study.user_attrs))

    @property
    def objective(self) -> str:
        """Return the metric that the study was made for."""
        return str(self.attributes.get("autoclf.objective", "val/accuracy"))

    def remember(self, name: str, value: Any) -> None:
        """Keep a value that JSON can hold."""
        patiently(lambda: self.study.set_user_attr(name, value))

    def add_trial(self, params: Mapping[str, Value], distributions: Mapping[str, BaseDistribution], *, uid: str) -> int:
        """Add a running trial with all its parameters in one transaction; return its number.

        When the database fails after it has added the trial, none is added again: `uid` tells.
        """
        template = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs={UID: uid},
        )
        has_tried = False

        def add() -> int:
            nonlocal has_tried
            found = self._find(uid) if has_tried else None  # which reads all trials that have not ended
            has_tried = True
            if found is not None:
                return found
            study_id = self.storage.get_study_id_from_name(self.name)
            return self.storage.get_trial_number_from_id(self.storage.create_new_trial(study_id, template))

        return patiently(add)

    def report(self, number: int, *, step: int, value: float) -> None:
        """Write an intermediate value; one that is there already is replaced."""
        patiently(lambda: self._write(number, lambda i: self.storage.set_trial_intermediate_value(i, step, value)))

    def describe(self, number: int, name: str, value: Any) -> None:
        """Set a user attribute of an unfinished trial."""
        patiently(lambda: self._write(number, lambda i: self.storage.set_trial_user_attr(i, name, value)))

    def constrain(self, number: int, name: str, excess: float) -> None:
        """Say of an unfinished trial how far it is over a constraint, as Optuna keeps it: above 0 is too much."""
        key = f"{CONSTRAINT}:{name}"
        patiently(lambda: self._write(number, lambda i: self.storage.set_trial_system_attr(i, key, excess)))

    def tell(self, number: int, state: State, value: float | None) -> None:
        """End a trial; one that has ended stays as it is."""
        values = value if state is State.COMPLETE else None
        with suppress(UpdateFinishedTrialError):  # another driver was quicker by a hair
            patiently(lambda: self.study.tell(number, values, state=_TOLD[state], skip_if_finished=True))

    def trials(self) -> list[FrozenTrial]:
        """Return all trials by number."""
        return patiently(lambda: self.study.get_trials(deepcopy=False))

    def _write(self, number: int, write: Any) -> None:
        if number not in self._ids:
            study_id = self.storage.get_study_id_from_name(self.name)
            self._ids[number] = self.storage.get_trial_id_from_study_id_trial_number(study_id, number)
        try:
            write(self._ids[number])
        except UpdateFinishedTrialError:
            return  # written before the crash that this call makes good

    def _find(self, uid: str) -> int | None:
        found = (t.number for t in self.study.get_trials(deepcopy=False) if t.user_attrs.get(UID) == uid)
        return next(found, None)


def create_study(storage: RDBStorage, name: str, objective: str) -> Study:
    """Open a study, or make it."""
    direction = StudyDirection.MAXIMIZE if OBJECTIVES[objective] > 0 else StudyDirection.MINIMIZE
    study = patiently(
        lambda: optuna.create_study(
            storage=storage,
            study_name=name,
            direction=direction,
            load_if_exists=True,
            sampler=optuna.samplers.RandomSampler(seed=0),  # never asked: see search/samplers
        )
    )
    return Study(name, study, storage)


def load_study(storage: RDBStorage, name: str) -> Study:
    """Open a study that exists.

    Raises:
        StudyError: If there is none of that name; the message lists those there are.
    """
    names = study_names(storage)
    if name not in names:
        known = f" Known: {', '.join(names)}." if names else " The store holds no study yet."
        raise StudyError(f"No study is called {name!r}.{did_you_mean(name, names)}{known}")
    sampler = optuna.samplers.RandomSampler(seed=0)
    return Study(name, patiently(lambda: optuna.load_study(study_name=name, storage=storage, sampler=sampler)), storage)


def study_names(storage: RDBStorage) -> list[str]:
    """Return the names of all studies in a database."""
    return sorted(patiently(lambda: optuna.get_all_study_names(storage)))


def claim(study: Study, *, space: SearchSpace, space_text: str, data: str, seed: int) -> None:
    """Bind a study to a space, a data set and a seed, or check that it is bound to just these.

    Raises:
        StudyError: If it was made with others; the message says what differs.
    """
    known = study.attributes
    wanted = {"space": space.fingerprint, "data": data, "seed": seed}
    if "autoclf.space" not in known:
        study.remember("autoclf.objective", space.objective.metric)
        study.remember("autoclf.parameters", _printable(space))
        study.remember("autoclf.space_text", space_text)
        for name, value in reversed(wanted.items()):  # the space last: it says that all is there
            study.remember(f"autoclf.{name}", value)
        return
    changed = [name for name, value in wanted.items() if known.get(f"autoclf.{name}") != value]
    if changed:
        raise StudyError(
            f"Study {study.name!r} was made with another {' and another '.join(changed)}"
            f"{_difference(known, space, seed, changed)}. "
            f"Resume it with `autoclf resume {study.name}`, or start anew: --study {study.name}-2"
        )


def _printable(space: SearchSpace) -> dict[str, str]:
    """Return what a space says of each parameter and constant, for the message of a later refusal."""
    params = {param.name: str(param.domain) for param in space.params}
    priors = {f"{param.name} prior": str(param.prior) for param in space.params if param.prior is not None}
    constants = {constant.path: repr(constant.value) for constant in space.constants}
    data = {f"data.{item.name}": repr(getattr(space.data, item.name)) for item in fields(space.data)}
    tried = {f"baseline {number}": str(dict(pairs)) for number, pairs in enumerate(space.baselines, start=1)}
    budget = {"budget.rungs": str(list(space.budget.rungs)), "budget.eta": str(space.budget.eta)}
    limits = {f"constraints.{name}": f"{value:g}" for name, value in space.constraints.limits().items()}
    return limits | params | priors | constants | data | tried | budget | {"objective": space.objective.metric}


def _difference(known: Mapping[str, Any], space: SearchSpace, seed: int, changed: list[str]) -> str:
    if "space" in changed:
        before, now = known.get("autoclf.parameters", {}), _printable(space)
        paths = [path for path in {**before, **now} if before.get(path) != now.get(path)][:3]
        parts = [f"{path} was {before.get(path, 'absent')}, is {now.get(path, 'absent')}" for path in paths]
        return f" ({'; '.join(parts)})" if parts else ""
    if "data" in changed:
        return ": the images, labels or splits are not the same"
    return f" (it was {known.get('autoclf.seed')}, is {seed})"
