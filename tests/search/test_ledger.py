"""A search that is kept in memory goes as one that is kept in books."""

import math
from functools import partial
from pathlib import Path

from optuna.storages import RDBStorage
from search_samples import Ground, Scene, learns

from search.crew import Alone, Crew
from search.engine import Engine
from search.executors.scripted import ScriptedExecutor
from search.jobs import build_job
from search.ledger import MemoryLedger
from search.samplers import Tpe
from search.schedulers import Promotion
from search.store import Store
from search.trials import Trial
from spaces import SearchSpace


class Doubtful(Alone):
    """Beside a driver that may have been killed: it counts for ten seconds more."""

    def seconds_of_doubt(self) -> float:
        return 10.0


def _search_in_memory(
    space: SearchSpace, *, max_trials: int, deadline: float = math.inf, crew: Crew | None = None
) -> list[Trial]:
    executor = ScriptedExecutor(learns, num_slots=2)
    build = partial(build_job, space, data="data", seed=0, runtime={})
    ledger = MemoryLedger(space=space, build=build, crew=crew or Alone())
    engine = Engine(
        book=ledger,
        sampler=Tpe(space=space, seed=0),
        scheduler=Promotion(rungs=space.budget.rungs, eta=space.budget.eta, objective=space.objective.metric),
        executor=executor,
        data_root=Path(),
        max_trials=max_trials,
        deadline=None if math.isinf(deadline) else deadline,
        is_interrupted=lambda: False,
        watch=lambda notice: None,
        clock=lambda: executor.now,
    )
    assert engine.run()
    return ledger.trials


def test_memory_and_books_tell_of_the_same_search(
    tmp_path: Path, database: RDBStorage, small_space: SearchSpace
) -> None:
    scene = Scene(ground=Ground(Store(tmp_path), database), space=small_space, max_trials=12)
    assert scene.run()

    kept = _search_in_memory(small_space, max_trials=12)

    assert [trial.params for trial in kept] == [trial.params for trial in scene.trials]
    assert [trial.config for trial in kept] == [trial.config for trial in scene.trials]
    assert [(trial.state, trial.reason, trial.reached) for trial in kept] == [
        (trial.state, trial.reason, trial.reached) for trial in scene.trials
    ]


def test_the_clock_of_a_replay_decides_when_its_time_is_up(small_space: SearchSpace) -> None:
    kept = _search_in_memory(small_space, max_trials=1000, deadline=40.0)

    assert sum(result.epoch_seconds for trial in kept for result in trial.results) <= 2 * 40.0
    assert any(trial.reached and trial.reached[-1] == small_space.budget.epochs for trial in kept)


def test_a_search_leaves_the_time_in_which_other_drivers_may_turn_out_to_be_dead(small_space: SearchSpace) -> None:
    doubtful = _search_in_memory(small_space, max_trials=1000, deadline=50.0, crew=Doubtful())
    sure = _search_in_memory(small_space, max_trials=1000, deadline=40.0)

    assert [(trial.params, trial.reached) for trial in doubtful] == [(trial.params, trial.reached) for trial in sure]
