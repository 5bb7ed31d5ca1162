"""Searches on recorded curves: what a table says, and that replaying it spends what it recorded."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.recorded.__main__ import AMONG_ROWS
from benchmarks.recorded.blend import NUM_NEAREST, blend, tamed
from benchmarks.recorded.optuna_runs import optuna_halving, optuna_random
from benchmarks.recorded.ours import STRATEGIES, VARIANTS, fine_rungs_of, rungs_of
from benchmarks.recorded.replay import Trainings, nearest, params_of, place_of, space_of
from benchmarks.recorded.tasks import FULL_SECONDS, Task, fingerprint, load_tasks, with_scale
from benchmarks.recorded.traces import Trace, regrets
from tests.benchmarks.conftest import NUM_EPOCHS, NUM_ROWS

Strategy = Callable[[Task, int], Trace]
promotion_tpe = STRATEGIES["promotion + TPE"]
EACH = pytest.mark.parametrize("name", ["lcbench-7", "taskset-net"])


def test_both_formats_are_read(tasks: dict[str, Task]) -> None:
    cut, losses = tasks["lcbench-7"], tasks["taskset-net"]

    assert cut.names == losses.names == ("rate", "layers")
    assert cut.scores.shape == losses.scores.shape == (NUM_ROWS, NUM_EPOCHS)
    assert 0 < cut.scores.min() < cut.scores.max() < 1
    assert np.allclose(cut.seconds / cut.seconds.mean(), cut.values[:, 1:] / cut.values[:, 1:].mean())
    for task in (cut, losses):
        assert task.seconds.sum(axis=1).mean() == pytest.approx(FULL_SECONDS)
    assert losses.scores[0, 0] == pytest.approx(cut.scores[0, 0] - 2)
    assert cut.units.min() == 0.0
    assert cut.units.max() == 1.0


def test_what_diverged_once_stays_so(tasks: dict[str, Task]) -> None:
    losses = tasks["taskset-net"]

    assert np.isfinite(losses.scores[4]).sum() == 3
    assert np.isnan(losses.scores[5]).all()
    assert losses.finals[4] == losses.finals[5] == -np.inf


def test_regret_is_0_at_the_best_and_1_at_the_median(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]

    assert task.regret(task.finals.max()) == 0.0
    assert task.regret(float(np.median(task.finals))) == 1.0
    assert task.regret(0.0) == 1.0
    assert 0.0 < task.regret(float(np.quantile(task.finals, 0.9))) < 1.0


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> list[Task]:
    """Tables as they should not be: columns that say nothing, curves that break off, clocks that stand or stop."""
    folder = tmp_path_factory.mktemp("odd")
    rng = np.random.default_rng(1)
    rates, options = rng.uniform(0.1, 1.0, NUM_ROWS), rng.integers(0, 2, NUM_ROWS).astype(float)
    broken = np.where(np.arange(NUM_ROWS) == 3, np.nan, 1.0)
    x = np.stack([rates, np.full(NUM_ROWS, 7.0), broken, options], axis=1)
    accuracies = 50 * rates[:, None] * np.linspace(0.5, 1.0, 4) + 10 * options[:, None]
    accuracies[10:50, 2] = np.nan  # most diverge, and seem to come back
    accuracies[5, 1] = np.inf
    clock = np.tile(np.arange(1.0, 5.0), (NUM_ROWS, 1))
    clock[7, 1:] = np.nan
    clock[8] = 0.0
    y = np.stack([clock, accuracies], axis=2)
    names = ["rate", "same", "broken", "option"]
    np.savez(folder / "a.npz", x=x, x_names=names, tasks=["1"], y=y[None], y_names=["time", "val_accuracy"])
    np.savez(folder / "b.npz", x=x, x_names=names, tasks=["1"], y=y[None, :, :1], y_names=["time", "val_accuracy"])
    return load_tasks(folder, is_continuous=False)


def test_columns_that_say_nothing_are_left_out_and_names_stay_apart(odd: list[Task]) -> None:
    assert [task.name for task in odd] == ["lcbench-1", "lcbench-1-b"]
    for task in odd:
        assert task.names == ("rate", "option")
        assert np.isfinite(task.units).all()
        assert (task.seconds > 0).all()
        assert np.isfinite(task.budget)


def test_what_can_not_be_searched_is_left_out_with_a_word(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = np.linspace(1.0, 0.5, 15).reshape(5, 3)
    texts = np.array([["0.1", "relu"], ["0.2", "relu"], ["0.3", "tanh"], ["0.4", "tanh"], ["0.5", "elu"]])
    hps = {"hp_a": np.arange(10.0).reshape(5, 2), "hp_same": np.ones((5, 2)), "hp_text": texts, "hp_nan": texts}
    curves = {"valid_a": losses, "valid_same": losses, "valid_alone": losses, "valid_text": losses}
    np.savez(tmp_path / "a.npz", hp_names=["x", "x"], **hps, **curves, valid_nan=np.full((5, 3), np.nan))  # type: ignore[arg-type]

    found = {task.name: task for task in load_tasks(tmp_path)}

    told = capsys.readouterr().err
    assert list(found) == ["taskset-a", "taskset-text"]
    assert found["taskset-a"].names == ("x", "x-1")
    assert found["taskset-text"].names == ("x",)
    for name in ("same", "alone", "nan"):
        assert name in told


def test_without_a_clock_every_epoch_takes_a_second(tmp_path: Path) -> None:
    x, accuracies = np.arange(6.0)[:, None], np.linspace(10, 60, 24).reshape(1, 6, 4, 1)
    np.savez(tmp_path / "a.npz", x=x, x_names=["x"], tasks=["1"], y=accuracies, y_names=["val_accuracy"])

    (task,) = load_tasks(tmp_path)

    assert (task.seconds == FULL_SECONDS / 4).all()


def test_a_curve_ends_where_it_broke_off(odd: list[Task]) -> None:
    long, _ = odd

    assert np.isnan(long.scores[10:50, 2:]).all()
    assert np.isnan(long.scores[5, 1:]).all()
    assert np.nanmax(long.scores) <= 1.0


def test_a_regret_means_something_where_most_trainings_diverge(odd: list[Task]) -> None:
    long, _ = odd

    assert long.regret(float(np.nanmax(long.scores))) == 0.0
    assert long.regret(0.0) == 1.0
    assert 0.0 < long.regret(float(np.nanquantile(long.finals[np.isfinite(long.finals)], 0.8))) < 1.0


@pytest.mark.parametrize("strategy", [*STRATEGIES.values(), optuna_halving])
def test_odd_tables_are_searched(odd: list[Task], strategy: Strategy) -> None:
    for task in odd:
        assert 0.0 <= regrets(strategy(task, 0), task)[-1] < 1.0


@pytest.mark.parametrize("num_epochs", range(1, 12))
def test_rungs_rise(num_epochs: int) -> None:
    for rungs in (rungs_of(num_epochs), fine_rungs_of(num_epochs)):
        assert list(rungs) == sorted(set(rungs))
        assert rungs[0] >= 1
        assert rungs[-1] == num_epochs


def test_a_row_is_its_own_nearest(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]

    assert nearest(task, params_of(task, 17), []) == 17
    assert nearest(task, params_of(task, 17), [17]) != 17


def test_any_configuration_is_a_blend_of_the_rows_near_it(tasks: dict[str, Task]) -> None:
    task = with_scale(replace(tasks["taskset-net"], is_continuous=True))
    trainings = Trainings(task, space_of(task, (9.0,)))
    drawn = {"rate": 0.0123, "layers": 3}

    told = [trainings.take(drawn) for _ in range(2)]

    assert told == [drawn, drawn], "it is trained as it was drawn"
    assert trainings.taken == [NUM_ROWS, NUM_ROWS + 1], "they are no rows"
    assert not trainings.is_used_up
    near = ((task.units - place_of(task, drawn)) ** 2).sum(axis=1).argsort()[:NUM_NEAREST]
    scores, seconds = trainings.curve(trainings.taken[0])
    assert (task.tamed[near].min(axis=0) <= scores).all()
    assert (scores <= task.tamed[near].max(axis=0)).all()
    assert np.isfinite(scores).all()
    assert (seconds > 0).all()


def test_a_blend_counts_near_rows_more_and_goes_over_into_the_next_one() -> None:
    units, scores, seconds = np.linspace(0, 1, 11)[:, None], np.arange(11.0)[:, None], np.ones((11, 1))

    def at(place: float) -> float:
        return float(blend(units, scores, seconds, np.array([place]))[0][0])

    assert at(0.5) == pytest.approx(5.0, abs=0.01)
    assert 1.9 < at(0.2) < 3.0
    steps = np.diff([at(place) for place in np.linspace(0.1, 0.9, 400)])
    assert abs(steps).max() < 0.3


def test_what_diverged_is_as_bad_as_a_bad_beginning() -> None:
    scores = np.array([[-0.7, -0.5], [-0.69, np.nan], [-0.71, -1e19], [-0.7, -0.4]])

    assert tamed(scores).tolist() == [[-0.7, -0.5], [-0.69, pytest.approx(-0.7085)],
                                      [pytest.approx(-0.7085)] * 2, [-0.7, -0.4]]  # fmt: skip


def test_the_best_between_rows_is_known(tasks: dict[str, Task]) -> None:
    task = with_scale(replace(tasks["lcbench-7"], is_continuous=True))

    assert task.middle < task.best <= tasks["lcbench-7"].best
    assert task.regret(task.best) == 0.0
    assert task.regret(task.middle) == 1.0


def test_where_rows_alone_can_be_trained_each_is_trained_once(tasks: dict[str, Task]) -> None:
    task = tasks["taskset-net"]
    trainings = Trainings(task, space_of(task, (9.0,)))

    told = [trainings.take(params_of(task, 17)) for _ in range(NUM_ROWS)]

    assert trainings.taken[0] == 17
    assert sorted(trainings.taken) == list(range(NUM_ROWS))
    assert told[1] == params_of(task, trainings.taken[1])
    assert trainings.is_used_up


def test_both_ways_of_training_are_different_tasks(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]

    assert fingerprint([task]) != fingerprint([replace(task, is_continuous=True)])


def test_searches_of_another_budget_are_other_searches(tasks: dict[str, Task], monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint([tasks["lcbench-7"]])

    monkeypatch.setattr("benchmarks.recorded.tasks.FULL_TRAININGS", 30)

    assert fingerprint([tasks["lcbench-7"]]) != before


def test_the_variant_that_is_left_out_between_rows_is_one() -> None:
    assert AMONG_ROWS in VARIANTS


def test_a_folder_without_curves_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--curves"):
        load_tasks(tmp_path)


@EACH
@pytest.mark.parametrize("is_continuous", [True, False])
@pytest.mark.parametrize("strategy", [*STRATEGIES.values(), *VARIANTS.values(), optuna_halving, optuna_random])
def test_a_search_reads_what_was_recorded_when_it_was(
    tasks: dict[str, Task], name: str, strategy: Strategy, is_continuous: bool
) -> None:
    task = with_scale(replace(tasks[name], is_continuous=is_continuous))

    trace = strategy(task, 3)

    if is_continuous:
        assert min(trace.rows) >= NUM_ROWS
        assert regrets(trace, task)[-1] < 0.6
        return
    spent = 0.0
    for seconds, row, epoch, score in zip(trace.seconds, trace.rows, trace.epochs, trace.scores, strict=True):
        spent += task.seconds[row, epoch - 1]
        assert seconds == pytest.approx(spent, abs=0.05 * len(trace.rows))  # workers take a moment to leave
        assert score == task.scores[row, epoch - 1] or np.isnan(task.scores[row, epoch - 1])
    assert trace.seconds[-1] >= 0.85 * task.budget or len(set(trace.rows)) == NUM_ROWS
    assert len(set(zip(trace.rows, trace.epochs, strict=True))) == len(trace.rows), "no epoch is trained twice"


@EACH
def test_equal_seeds_give_equal_searches(tasks: dict[str, Task], name: str) -> None:
    one, other = promotion_tpe(tasks[name], 5), promotion_tpe(tasks[name], 5)

    assert (one.rows, one.epochs, one.seconds) == (other.rows, other.epochs, other.seconds)


def test_rungs_come_down_from_the_last_epoch() -> None:
    assert rungs_of(52) == (2.0, 6.0, 17.0, 52.0)
    assert rungs_of(9) == (3.0, 9.0)
    assert rungs_of(1) == (1.0,)
