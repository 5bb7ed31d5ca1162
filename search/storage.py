"""The study database: opened so that several processes can use it, and written with patience."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
import sqlalchemy
from filelock import FileLock
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from search.errors import StorageBusyError, StudyError

T = TypeVar("T")
PATIENCE_SECONDS = 180.0  # that a locked or restarting database is waited for
LONGEST_SILENCE = "30s"  # within a transaction: a process that was stopped in one must not stop the others
LONGEST_STATEMENT = "150s"  # the turn of another driver, which a statement may wait for, included
OF_CONNECTIONS = {  # of libpq, seconds: a server that has vanished is missed
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # milliseconds
}
BUSY_MILLISECONDS = 5000  # that SQLite itself waits; short, so that waiting shows


def open_storage(url: str, *, read_only: bool = False) -> RDBStorage:
    """Open the database of studies, and make it if it is missing.

    Args:
        url: As SQLAlchemy reads it, such as `sqlite:///mlruns/optuna.db` or `postgresql+psycopg://host/name`.
        read_only: Do not make a missing SQLite file.

    Raises:
        StudyError: If the URL is none, its driver is not installed, or the database can't be opened.
    """
    shown = hide_password(url)
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(url, parsed.database, read_only=read_only)
        return _open_server(url)
    except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as error:
        if isinstance(error, StudyError):
            raise
        raise StudyError(
            f"The storage {shown!r} can't be used{_reason(error, url)}. "
            f"Write it as sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME."
        ) from None
    except (SQLAlchemyError, StorageInternalError, RuntimeError) as error:
        raise StudyError(
            f"The study database {shown} can't be opened: {_without_secrets(_first_line(error), url)}. "
            f"If its file is damaged, restore a copy or start anew with another --store."
        ) from None


def hide_password(url: str) -> str:
    """Return a database URL without its password, for messages and logs; it need not be a sound one."""
    before, at, place = url.rpartition("@")
    scheme, slashes, user = before.rpartition("/")
    return f"{scheme}{slashes}{user.partition(':')[0]}:***@{place}" if at and ":" in user else url


def patiently(call: Callable[[], T], *, patience_seconds: float = PATIENCE_SECONDS) -> T:
    """Call until the database answers.

    Raises:
        StorageBusyError: If it is still locked or away after the time; the search can be resumed.
    """
    deadline = time.monotonic() + patience_seconds
    pause = 0.1
    while True:
        try:
            return call()
        except (StorageInternalError, OperationalError) as error:
            if not _may_pass(error):
                raise StudyError(f"The study database can't be used: {_first_line(error)}") from error
            if time.monotonic() > deadline:
                raise StorageBusyError(
                    f"The study database did not answer for {patience_seconds:.0f} s: {_first_line(error)}"
                ) from error
        time.sleep(pause)
        pause = min(2.0, 2 * pause)


def _may_pass(error: Exception) -> bool:
    """Say whether waiting may help: a lock or a lost connection, not a foreign or read-only SQLite file."""
    text = str(error.__cause__ or error)
    return "sqlite3." not in text or any(word in text for word in ("locked", "busy", "disk I/O"))


def _reason(error: Exception, url: str) -> str:
    """Return what a library says of a URL, unless it says the URL itself, password and all."""
    text = str(error)
    return "" if "@" in url and any(part in text for part in re.split("[:/@]+", url)[1:] if part) else f": {text}"


def _without_secrets(text: str, url: str) -> str:
    """Return what a library says without any part of a URL that may be of its password, wherever that ends."""
    before = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    for part in filter(None, re.split("[:/@]+", before)):
        text = re.sub(rf"(?<!\w){re.escape(part)}(?!\w)", "***", text)
    return text


def _open_sqlite(url: str, database: str | None, *, read_only: bool) -> RDBStorage:
    path = Path(database or "")
    if not database or database == ":memory:":
        raise StudyError("A study needs a database in a file, such as --storage sqlite:///studies.db.")
    if read_only and not path.exists():
        raise StudyError(f"There is no study database at {path}.")
    if not path.parent.is_dir():
        raise StudyError(f"The directory of the study database {path} does not exist.")
    with FileLock(f"{path}.lock"):  # two processes that create the tables at once both fail
        storage = RDBStorage(_escape(url), skip_table_creation=False)
    _share(storage.engine)
    return storage


def _open_server(url: str) -> RDBStorage:
    kwargs: dict[str, Any] = {"pool_pre_ping": True}
    engine = sqlalchemy.create_engine(url)
    if engine.dialect.driver in ("psycopg", "psycopg2"):
        limits = f"-c idle_in_transaction_session_timeout={LONGEST_SILENCE} -c statement_timeout={LONGEST_STATEMENT}"
        kwargs["connect_args"] = {"options": limits, **OF_CONNECTIONS}
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "postgresql":  # two processes that create the tables at once both fail
                connection.execute(sqlalchemy.text("SELECT pg_advisory_lock(hashtext('autoclf storage'))"))
            return RDBStorage(_escape(url), engine_kwargs=kwargs)
    finally:
        engine.dispose()


def _share(engine: sqlalchemy.Engine) -> None:
    """Let readers and one writer work at once, and begin each transaction as a writer.

    Optuna claims trials with `SELECT ... FOR UPDATE`, which SQLite ignores; BEGIN IMMEDIATE takes its place.
    """

    @sqlalchemy.event.listens_for(engine, "connect")
    def _set_pragmas(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # SQLAlchemy begins transactions, not the driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")

    @sqlalchemy.event.listens_for(engine, "begin")
    def _begin_immediate(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()  # connections made before the listeners


def _escape(url: str) -> str:
    """Double the braces: Optuna formats the URL to fill in `{SCHEMA_VERSION}`."""
    return url.replace("{", "{{").replace("}", "}}")


def _first_line(error: Exception) -> str:
    cause = error.__cause__ or error
    return str(cause).strip().splitlines()[0]


optuna.logging.set_verbosity(optuna.logging.ERROR)
