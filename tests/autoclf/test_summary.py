import pytest

from autoclf.summary import short_columns
from search.leaderboard import COLUMNS
from search.trials import OBJECTIVES


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_short_table_shows_what_decided(objective: str) -> None:
    columns = short_columns(objective)

    assert objective.replace("/", "_") in columns
    assert "val_accuracy" in columns
    assert set(columns) <= COLUMNS.keys()
