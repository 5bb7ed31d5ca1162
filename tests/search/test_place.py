"""Whose logs lie in a store: drivers that share a database must share the store, too."""

from pathlib import Path

import pytest

from search.errors import StudyError
from search.eventlog import FILE
from search.store import check_place

ELSEWHERE = "its logs are not in"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return made(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return made(tmp_path / "there")


def made(directory: Path, *, num_logs: int = 0) -> Path:
    for number in range(num_logs):
        (directory / str(number)).mkdir(parents=True, exist_ok=True)
        (directory / str(number) / FILE).touch()
    directory.mkdir(exist_ok=True)
    return directory


def test_a_new_study_is_at_home_where_it_begins(here: Path) -> None:
    uid = check_place(here, None, num_trials=0)

    assert check_place(here, uid, num_trials=0) == uid
    assert check_place(made(here, num_logs=1), uid, num_trials=1) == uid


@pytest.mark.parametrize("num_trials", [0, 7])
def test_a_driver_with_another_store_is_refused_from_the_first(here: Path, there: Path, num_trials: int) -> None:
    uid = check_place(here, None, num_trials=0)

    with pytest.raises(StudyError, match=ELSEWHERE):
        check_place(there, uid, num_trials=num_trials)


def test_a_study_that_was_killed_before_the_database_knew_its_place_begins_anew(here: Path) -> None:
    check_place(here, None, num_trials=0)

    uid = check_place(here, None, num_trials=0)

    assert check_place(here, uid, num_trials=0) == uid


def test_logs_of_another_database_are_left_alone(here: Path) -> None:
    uid = check_place(here, None, num_trials=0)
    made(here, num_logs=2)

    with pytest.raises(StudyError, match="does not know"):
        check_place(here, None, num_trials=0)
    assert check_place(here, uid, num_trials=2) == uid


def test_logs_without_a_mark_are_marked(here: Path) -> None:
    made(here, num_logs=1)

    assert check_place(here, "uid", num_trials=1) == "uid"
    with pytest.raises(StudyError, match=ELSEWHERE):
        check_place(here, "another", num_trials=1)
