"""The study database: shared by processes, waited for, and never shown with its password."""

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError
from search_samples import open_study
from sqlalchemy.exc import OperationalError

from search.errors import StorageBusyError, StudyError
from search.storage import hide_password, open_storage, patiently
from search.store import Store
from search.study import study_names
from tests.postgres import Server

SECRET = "hunter2"
BUSY = OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))
ADD_TRIALS = """
import sys
from pathlib import Path
from optuna.distributions import FloatDistribution
from search.storage import open_storage
from search.store import Store
from search.study import create_study
study = create_study(open_storage(Store(Path(sys.argv[1])).study_url), "study", "val/accuracy")
for n in range(5):
    study.add_trial({"x": 0.5}, {"x": FloatDistribution(0, 1)}, uid=f"{sys.argv[2]}-{n}")
"""


@contextmanager
def _locked(path: Path, *, seconds: float = 60) -> Iterator[None]:
    """Keep the database to somebody else for a while, at most as long as the block lasts."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            is_held.set()
            is_over.wait(seconds)
            connection.execute("COMMIT")

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    yield
    is_over.set()
    thread.join()


def _pragma(store: Store, name: str) -> object:
    with closing(sqlite3.connect(store.root / "optuna.db")) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_missing_database_is_made_with_write_ahead_logging(store: Store) -> None:
    storage = open_storage(store.study_url)

    assert study_names(storage) == []
    assert _pragma(store, "journal_mode") == "wal"


def test_connections_wait_and_leave_flushing_to_the_system(stocked: Store) -> None:
    storage = open_storage(stocked.study_url)

    with storage.engine.connect() as connection:
        synchronous = connection.execute(sqlalchemy.text("PRAGMA synchronous")).scalar()
        busy_timeout = connection.execute(sqlalchemy.text("PRAGMA busy_timeout")).scalar()

    assert (synchronous, busy_timeout) == (1, 5000)


def test_two_processes_that_add_trials_make_no_duplicates(stocked: Store, python_environment: dict[str, str]) -> None:
    study = open_study(stocked)
    processes = [
        subprocess.Popen([sys.executable, "-c", ADD_TRIALS, str(stocked.root), name], env=python_environment)
        for name in ("a", "b")
    ]
    codes = [process.wait() for process in processes]

    assert codes == [0, 0]
    assert [trial.number for trial in study.trials()] == list(range(10))
    assert len({trial.user_attrs["autoclf.uid"] for trial in study.trials()}) == 10


def test_a_database_that_is_locked_for_two_seconds_only_delays(stocked: Store) -> None:
    study = open_study(stocked)

    begin = time.monotonic()
    with _locked(stocked.root / "optuna.db", seconds=2):
        study.remember("note", "kept")
        waited = time.monotonic() - begin

    assert study.attributes["note"] == "kept"
    assert waited > 1.5


def test_a_database_that_stays_locked_is_given_up_after_the_patience(stocked: Store) -> None:
    study = open_study(stocked)
    with study.storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout=50")

    with (
        _locked(stocked.root / "optuna.db"),
        pytest.raises(StorageBusyError, match=r"did not answer for 1 s: .*database is locked"),
    ):
        patiently(lambda: study.study.set_user_attr("note", 1), patience_seconds=0.6)


def test_a_call_is_repeated_until_it_succeeds() -> None:
    answers: list[Exception | str] = [BUSY, StorageInternalError("away"), "there"]

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(call) == "there"


def test_what_waiting_does_not_mend_is_raised_at_once() -> None:
    def call() -> None:
        raise KeyError("no such trial")

    with pytest.raises(KeyError, match="no such trial"):
        patiently(call)


@pytest.mark.parametrize("fault", ["no such column: studies.study_id", "attempt to write a readonly database"])
def test_a_database_that_no_patience_mends_is_not_waited_for(fault: str) -> None:
    def call() -> None:
        raise OperationalError("UPDATE", {}, sqlite3.OperationalError(fault))

    with pytest.raises((OperationalError, StudyError), match=fault):
        patiently(call, patience_seconds=0.1)


# Addresses


@pytest.mark.parametrize("name", ["50%", "{SCHEMA_VERSION}", "it's a b&c=d+e@f:g#ä"])
def test_a_path_may_hold_other_letters(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    store = Store(tmp_path / name)

    open_study(store, name="there")

    assert (tmp_path / name / "optuna.db").exists()
    assert study_names(open_storage(store.study_url, read_only=True)) == ["there"]


@pytest.mark.parametrize("name", ["a%20b", "what?"])
def test_a_path_may_look_like_a_part_of_an_address(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()

    open_study(Store(tmp_path / name))

    assert (tmp_path / name / "optuna.db").exists()


def test_a_database_in_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"The directory of the study database .*/none/x\.db does not exist"):
        open_storage(f"sqlite:///{tmp_path}/none/x.db")

    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database at all, but long enough to be looked at" * 20)

    with pytest.raises(StudyError, match=r"can't be opened: .*file is not a database"):
        open_storage(f"sqlite:///{tmp_path}/notes.db")

    assert (tmp_path / "notes.db").read_text().startswith("not a database")


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()

    with pytest.raises(StudyError, match=r"can't be opened: .*unable to open database file"):
        open_storage(f"sqlite:///{tmp_path}/x.db")


def test_who_only_reads_makes_no_database(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"There is no study database at .*x\.db"):
        open_storage(f"sqlite:///{tmp_path}/x.db", read_only=True)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_who_only_reads_needs_no_right_to_write(stocked: Store) -> None:
    open_study(stocked).storage.engine.dispose()
    stocked.root.chmod(0o500)

    try:
        assert study_names(open_storage(stocked.study_url, read_only=True)) == ["study", "template"]
    finally:
        stocked.root.chmod(0o700)


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(StudyError, match="needs a database in a file"):
        open_storage("sqlite:///:memory:")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///"])
def test_an_address_without_a_file_is_refused(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(StudyError, match="needs a database in a file"):
        open_storage(url)


BAD_URLS = [
    f"postgresql://user:{SECRET}@127.0.0.1:1/db",
    f"postgresql+psycopg://user:{SECRET}@127.0.0.1:1/db",
    f"postgresql+nodriver://user:{SECRET}@host/db",
    f"mysql://user:{SECRET}@host/db",
    f"mongodb://user:{SECRET}@host/db",
    f"https://user:{SECRET}@host/db",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_an_address_that_can_not_be_used_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StudyError, match=r"user:.*@") as caught:
        open_storage(url)

    assert SECRET not in str(caught.value)
    assert "Write it as sqlite:///FILE or postgresql+psycopg" in str(caught.value) or "opened" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgres//user:{SECRET}@host/db",  # a slip of the pen
        f"postgresql:/user:{SECRET}@host/db",
        f"user:{SECRET}@host/db",
        f"postgresql://user:{SECRET}@host:port/db",
    ],
)
def test_an_address_that_can_not_be_read_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StudyError) as caught:
        open_storage(url)

    assert SECRET not in str(caught.value)


def test_a_password_with_a_sign_of_an_address_in_it_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(host: str, *_: object, **__: object) -> None:
        raise OSError(f"there is no host {host}")

    monkeypatch.setattr("socket.getaddrinfo", fail)

    with pytest.raises(StudyError, match="can't be opened") as caught:
        open_storage(f"postgresql+psycopg://user:p@{SECRET}@host/db")  # an @ that should be %40

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mlruns/optuna.db", "://"])
def test_an_address_that_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StudyError, match="Write it as sqlite:///FILE or postgresql"):
        open_storage(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"postgresql://user:{SECRET}@host:5432/db", "postgresql://user:***@host:5432/db"),
        ("postgresql://user@host/db", "postgresql://user@host/db"),
        ("sqlite:////srv/optuna.db", "sqlite:////srv/optuna.db"),
        ("mlruns/optuna.db", "mlruns/optuna.db"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert hide_password(url) == shown


def test_optuna_says_nothing_of_its_own(stocked: Store, capfd: pytest.CaptureFixture[str]) -> None:
    open_study(stocked)

    assert optuna.logging.get_verbosity() == optuna.logging.ERROR
    assert capfd.readouterr() == ("", "")


def test_processes_that_make_the_tables_of_a_server_at_once_all_open_it(server: Server) -> None:
    engine = sqlalchemy.create_engine(server.url(), isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("CREATE DATABASE together"))
    failed: list[StudyError] = []

    def open_it() -> None:
        try:
            open_storage(server.url("together")).engine.dispose()
        except StudyError as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
