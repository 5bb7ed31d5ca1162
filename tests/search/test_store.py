"""Where things lie, and what a study may be called."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from search_samples import NAME, new_trial

from search import eventlog, trials
from search.errors import StudyError
from search.store import Store, check_model_name, check_study_name, open_existing_store, open_store
from trainer.config import JobConfig, flat

GOOD = ["a", "0", "cifar10-2", "A.b_c-D", "x" * 64, "1.5"]
BAD = ["", ".", "..", ".hidden", "-x", "_x", "a b", "a/b", "a\\b", "../x", "a..b", "ä", "x" * 65, "a\n", "a\0", "a:b"]


@pytest.mark.parametrize("name", GOOD)
def test_a_plain_name_is_taken(name: str) -> None:
    assert check_study_name(name) == name
    assert check_model_name(name) == name


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("check", [check_study_name, check_model_name])
def test_a_name_that_can_not_name_files_and_experiments_is_refused(name: str, check: Callable[[str], str]) -> None:
    with pytest.raises(StudyError, match=r"can't be called .*1 to 64 letters"):
        check(name)


def test_a_refused_name_is_shown_but_not_at_any_length() -> None:
    with pytest.raises(StudyError) as caught:
        check_study_name("x" * 100_000)

    assert "'xxxx" in str(caught.value)
    assert len(str(caught.value)) < 400


@given(name=st.text(max_size=70))
def test_a_name_that_is_taken_is_one_part_of_a_path(name: str) -> None:
    try:
        check_study_name(name)
    except StudyError:
        return

    assert Path(name).parts == (name,)
    assert name.isascii()


def test_everything_of_a_store_lies_in_its_directory(tmp_path: Path) -> None:
    store = Store(tmp_path)

    places = [store.study("s"), store.job("s", 3), store.log("s", 3), store.artifacts]

    assert all(place.is_relative_to(tmp_path) for place in places)
    assert store.log("s", 3).parent == store.job("s", 3)
    assert store.job("s", 3).parent == store.study("s")


def test_the_databases_are_named_by_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(Path("mine"))

    assert store.study_url == f"sqlite:///{tmp_path}/mine/optuna.db"
    assert store.tracking_uri == f"sqlite:///{tmp_path}/mine/mlflow.db"


def test_a_missing_directory_is_made(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a" / "b")

    assert store.root.is_dir()
    assert list(store.root.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_store_that_is_a_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StudyError, match=r"The store '.*' is a file\. Name a directory with --store\."):
        open_store(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)

    with pytest.raises(StudyError, match=r"can't be written \(Permission denied\)"):
        open_store(tmp_path / "locked")


def test_a_store_that_is_only_read_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"There is no store at .*Search first"):
        open_existing_store(tmp_path / "none")

    assert not (tmp_path / "none").exists()
    assert open_existing_store(tmp_path).root == tmp_path


def test_trials_are_read_in_the_order_of_their_numbers(store: Store) -> None:
    for number in (10, 2, 0):
        _log_trial(store, number)

    assert store.trials(NAME) == [new_trial(number) for number in (0, 2, 10)]


def test_a_study_without_jobs_has_no_trials(store: Store) -> None:
    assert store.trials(NAME) == []


def test_a_trial_whose_log_was_torn_in_its_first_line_is_none(store: Store) -> None:
    _log_trial(store, 0)
    _log_trial(store, 1)
    with store.log(NAME, 1).open("r+b") as file:
        file.truncate(20)

    assert [trial.number for trial in store.trials(NAME)] == [0]


def test_what_else_lies_in_the_directory_of_a_study_is_no_trial(store: Store) -> None:
    _log_trial(store, 0)
    (store.study(NAME) / "driver.lock").touch()
    shutil.copytree(store.job(NAME, 0), store.study(NAME) / "copy of 0")
    (store.study(NAME) / "1").mkdir()

    assert [trial.number for trial in store.trials(NAME)] == [0]


def _log_trial(store: Store, number: int) -> None:
    store.job(NAME, number).mkdir(parents=True)
    record = trials.created(number=number, uid=f"uid-{number}", params={}, config=flat(JobConfig()), at=100.0)
    eventlog.append(store.log(NAME, number), record)
