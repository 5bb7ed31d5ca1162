"""What a search on recorded curves is worth: regret, waste, the table, the picture and the verdict."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.recorded.optuna_runs import optuna_halving, optuna_random
from benchmarks.recorded.ours import STRATEGIES
from benchmarks.recorded.report import RANDOM, curves_of, draw, on_all_tasks, summary, table, verdict
from benchmarks.recorded.tasks import Task, with_scale
from benchmarks.recorded.traces import SHARES, Trace, fully_trained, handed_over, regrets
from benchmarks.recorded.waste import Waste, own_best, wasted
from tests.benchmarks.conftest import NUM_EPOCHS, NUM_ROWS

PROMOTION = "promotion + TPE"
promotion_tpe = STRATEGIES[PROMOTION]


def test_regret_falls_with_what_has_been_read(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]
    best = int(task.finals.argmax())
    trace = Trace()
    trace.add(seconds=0.5 * task.budget, row=best, epoch=NUM_EPOCHS, score=float(task.finals[best]))

    found = regrets(trace, task)

    assert set(found[SHARES < 0.5]) == {1.0}
    assert set(found[SHARES >= 0.5]) == {0.0}
    assert list(fully_trained(trace, task)) == [best]
    assert wasted(trace, task) == Waste(five=0.0, tenth=0.0, five_then=0.0)
    assert own_best(trace, task) == 0.0
    assert handed_over(trace, task) == 0.0


def test_what_never_came_to_its_end_is_nothing_to_hand_over(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]
    best = int(task.finals.argmax())
    trace = Trace()
    trace.add(seconds=1.0, row=best, epoch=NUM_EPOCHS - 1, score=float(task.finals[best]))
    trace.add(seconds=2 * task.budget, row=best, epoch=NUM_EPOCHS, score=float(task.finals[best]))

    assert handed_over(trace, task) == 1.0
    assert wasted(trace, task) is None


def test_the_last_epoch_of_a_budget_counts_though_sums_are_not_exact(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]
    trace = Trace()
    trace.add(seconds=task.budget * (1 + 1e-14), row=3, epoch=NUM_EPOCHS, score=float(task.finals[3]))

    assert list(fully_trained(trace, task)) == [3]
    assert regrets(trace, task)[-1] == task.regret(float(task.finals[3]))


def test_full_trainings_of_what_is_not_among_the_best_five_are_waste(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]
    by_rank = np.argsort(-task.finals)
    trace = Trace()
    for number, row in enumerate(by_rank[:10]):
        trace.add(seconds=float(number), row=int(row), epoch=NUM_EPOCHS, score=float(task.finals[row]))
    for number, row in enumerate(by_rank[20:]):
        trace.add(seconds=10.0 + number, row=int(row), epoch=1, score=0.0)

    found = wasted(trace, task)

    assert found is not None
    assert (found.five, found.tenth) == (0.5, 0.5), "of ten full trainings five; a tenth of fifty is five"
    assert found.five_then == 0.5, "the best came first"


def test_a_full_training_of_what_was_best_so_far_was_no_waste_then(tasks: dict[str, Task]) -> None:
    task = tasks["lcbench-7"]
    rising = np.argsort(task.finals)[-20:]
    trace = Trace()
    for number, row in enumerate(rising):
        trace.add(seconds=float(number), row=int(row), epoch=NUM_EPOCHS, score=float(task.finals[row]))

    assert wasted(trace, task) == Waste(five=0.75, tenth=0.9, five_then=0.0)


def test_what_a_place_between_rows_would_have_come_to_is_known_of_all(tasks: dict[str, Task]) -> None:
    task = with_scale(replace(tasks["lcbench-7"], is_continuous=True))

    for strategy in (promotion_tpe, optuna_halving):
        trace = strategy(task, 0)
        ended = fully_trained(trace, task)
        assert ended
        assert NUM_ROWS + len(trace.ends) > max(trace.rows)
        assert all(trace.ends[row - NUM_ROWS] == score for row, score in ended.items())

    trace = Trace(ends=[0.1, 0.9, *[0.5] * 8])
    for place, epoch in [(0, NUM_EPOCHS), (1, NUM_EPOCHS), *((place, 1) for place in range(2, 10))]:
        trace.add(seconds=1.0, row=NUM_ROWS + place, epoch=epoch, score=0.0)
    assert wasted(trace, task) == Waste(five=0.5, tenth=0.5, five_then=0.0)
    assert own_best(trace, task) == pytest.approx(np.mean([task.regret(end) for end in (0.9, 0.5, 0.5, 0.5, 0.5)]))


@pytest.fixture(scope="module")
def runs(tasks: dict[str, Task]) -> dict[tuple[str, str], list[Trace]]:
    """Two strategies on a task, with two seeds."""
    strategies = {PROMOTION: promotion_tpe, RANDOM: optuna_random}
    return {
        (name, "lcbench-7"): [strategy(tasks["lcbench-7"], seed) for seed in range(2)]
        for name, strategy in strategies.items()
    }


def test_the_table_tells_means_and_what_random_search_comes_to(
    tasks: dict[str, Task], runs: dict[tuple[str, str], list[Trace]]
) -> None:
    chosen = [tasks["lcbench-7"]]

    found = table(runs, curves_of(runs, chosen), chosen)

    assert list(found["strategy"]) == [PROMOTION, RANDOM]
    assert found.loc[1, "share to random search's end"] <= 1.0
    assert (found["regret of what is fully trained"] <= found["regret of its five best"]).loc[1], (
        "all are trained whole"
    )
    assert ((found["regret at 100%"] >= 0) & (found["regret at 100%"] <= 1)).all()
    assert list(summary(found).index) == [PROMOTION, RANDOM]


def test_the_verdict_is_of_the_curves(tasks: dict[str, Task], runs: dict[tuple[str, str], list[Trace]]) -> None:
    chosen = [tasks["lcbench-7"]]
    better = {(PROMOTION, "lcbench-7"): np.full((2, 100), 0.1), (RANDOM, "lcbench-7"): np.full((2, 100), 0.2)}
    worse = {**better, (PROMOTION, "lcbench-7"): np.linspace(0.1, 0.3, 100)[None]}

    def told(curves: Mapping[tuple[str, str], NDArray[np.float64]], *ours: str) -> str:
        return "\n".join(verdict(table(runs, curves, chosen), curves, chosen, PROMOTION, ours))

    assert "never behind" in told(better, PROMOTION)
    assert "worst of all" not in told(better, PROMOTION)
    aim = "(at most 20% was the aim: met); 95 % interval over the seeds 1% to 1%"
    assert f"random search is reached in 1.0% of its budget, the median of tasks {aim}" in told(better, PROMOTION)
    assert "behind at 51 to 100 % of the budget, by 0.100 at most" in told(worse, PROMOTION)
    assert "worst of all on lcbench-7 at 51 to 100 % of the budget" in told(worse, PROMOTION)
    assert told(better, PROMOTION, RANDOM) == ""


def test_a_strategy_that_failed_on_a_task_is_left_out_with_a_word(
    tasks: dict[str, Task], runs: dict[tuple[str, str], list[Trace]], capsys: pytest.CaptureFixture[str]
) -> None:
    both = {**runs, (RANDOM, "taskset-net"): runs[RANDOM, "lcbench-7"]}

    found = on_all_tasks(both, list(tasks.values()))

    assert list(found) == [(RANDOM, "lcbench-7"), (RANDOM, "taskset-net")]
    assert PROMOTION in capsys.readouterr().err


def test_regrets_are_drawn(tasks: dict[str, Task], runs: dict[tuple[str, str], list[Trace]], tmp_path: Path) -> None:
    chosen = [tasks["lcbench-7"]]

    draw(curves_of(runs, chosen), chosen, [PROMOTION, RANDOM], tmp_path / "regret.png")

    assert (tmp_path / "regret.png").read_bytes().startswith(b"\x89PNG")
