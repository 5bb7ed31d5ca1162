"""How a portfolio is chosen from what configurations came to on several data sets."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from benchmarks.portfolio import first_difference, greedy, regrets, table
from search.trials import Trial
from trainer.config import job_config

REGRETS = arrays(np.float64, st.tuples(st.integers(1, 8), st.integers(1, 4)), elements=st.floats(0, 2))


def test_the_second_makes_up_for_what_the_first_is_bad_at() -> None:
    found = np.array([[0.2, 0.2, 1.0], [0.1, 0.3, 1.1], [2.0, 2.0, 0.0], [0.5, 0.5, 0.9]])

    assert greedy(found, 2) == [0, 2]


@given(REGRETS, st.integers(1, 10))
def test_a_portfolio_never_gets_worse_and_names_nobody_twice(found: NDArray[np.float64], size: int) -> None:
    chosen = greedy(found, size)

    assert len(chosen) == len(set(chosen)) == min(size, len(found))
    assert found[chosen[0]].mean() == found.mean(axis=1).min()
    so_far = [found[chosen[:place]].min(axis=0).mean() for place in range(1, len(chosen) + 1)]
    assert so_far == sorted(so_far, reverse=True)


def test_regret_is_0_for_the_best_1_for_the_median_and_2_for_what_failed() -> None:
    failed = -np.inf
    found = regrets([np.array([0.9, 0.5, 0.1, failed, 0.5]), np.ones(5), np.array([0.9, 0.5, failed, failed, failed])])

    assert np.allclose(found[:, 0], [0.0, 1.0, 2.0, 2.0, 1.0])
    assert np.allclose(found[:, 2], [0.0, 2.0, 2.0, 2.0, 2.0])
    assert found[:, 1].tolist() == [0.0] * 5


def test_studies_are_compared_where_they_tried_the_same() -> None:
    def study(*rates: float) -> list[Trial]:
        drawn = [{"optimizer.lr": rate} for rate in rates]
        return [
            Trial(number=number, uid=str(number), params=params, config=job_config(params), created_at=0.0)
            for number, params in enumerate(drawn)
        ]

    assert first_difference([study(0.1, 0.2), study(0.1, 0.2)]) is None
    assert first_difference([study(0.1, 0.2), study(0.1, 0.3)]) == 1
    assert first_difference([study(0.1, 0.2), study(0.1)]) == 1


def test_the_table_has_the_mean_over_splits_of_each_source() -> None:
    lines = table(np.array([[0.06, 0.5, 1.0, 2.0], [0.1, 0.1, 0.2, 0.4]]), [1, 0], ["a", "b"]).splitlines()

    assert lines[2] == "| 1 | 0.10 | 0.30 | 0.20 | 0.20 |"
    assert lines[3] == "| 0 | 0.28 | 1.50 | 0.89 | 0.19 |"
