"""Several drivers of one study, by way of its PostgreSQL database.

Its tables are in `search.crew.tables`. The trials' logs lie in the store, a directory that all drivers see; nothing is
written to one but by who holds its claim.
"""

import math
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from search.crew.base import Lost
from search.crew.tables import COUNT, DRIVERS, ONE_AT_A_TIME, SILENCES, STUDIES, TABLES, TRIALS
from search.errors import StorageBusyError
from search.storage import patiently

BEAT_SECONDS = 5.0
GRACE_SECONDS = 30.0  # without a sign of life, after which a driver counts as dead
SECONDS_BETWEEN_LOOKS = 0.2  # whether the end of the search is this driver's still
LONGEST_TURN_SECONDS = 60  # that the database lets a silent driver have the turn

ENDING = -1  # in place of a trial: the end of the search is claimed as trials are
TURN_LOST = "The database took this driver's turn away."
NOW = sa.func.clock_timestamp()


class PostgresCrew:
    """This driver among those of a study, for as long as the `with` block lasts."""

    def __init__(
        self,
        engine: sa.Engine,
        study: str,
        *,
        beat_seconds: float = BEAT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.driver = uuid.uuid4().hex
        self._engine = engine
        self._study = study
        self._beat_seconds = beat_seconds
        self._grace_seconds = grace_seconds
        self._grace = _interval(grace_seconds)
        self._half_grace = _interval(grace_seconds / 2)
        self._seen = 0  # version of the study at this driver's last turn
        self._turn: sa.Connection | None = None
        self._stays = False
        self._asked_at: Any = None  # by the database's clock: when this driver, with nothing to do, would have left
        self._ends = False
        self._has_lost_ending = False
        self._looked_at = -math.inf
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._live, name="crew", daemon=True)

    def __enter__(self) -> "PostgresCrew":
        patiently(self._make_tables)
        patiently(self._beat)
        self._heart.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._heart.join()
        with suppress(StorageBusyError):  # else its sign of life runs out
            patiently(self._sign_off)

    @contextmanager
    def turn(self) -> Iterator[Set[int]]:
        """Wait until no other driver decides; the block has the turn. It is given the trials that others changed.

        Raises:
            Lost: From the block, where the turn was taken away because it took too long.
        """
        connection = patiently(self._begin_turn)
        self._turn = connection
        try:
            yield self._changes(connection)
        except DBAPIError as error:
            raise Lost(TURN_LOST) from error
        except BaseException:  # what was done in the turn is done: logs are written, jobs have begun
            with suppress(DBAPIError):
                connection.commit()
            raise
        else:
            _commit(connection)
        finally:
            self._turn = None
            with suppress(DBAPIError):
                connection.close()

    @contextmanager
    def writing(self, number: int) -> Iterator[None]:
        """Hold a trial while something is written to its log.

        Raises:
            Lost: If it is another driver's.
        """
        if self._turn is not None:
            owner = self._check_free(self._turn, number)
            self._note(self._turn, number, driver=owner)  # a dead one, should it wake, finds that it has lost it
            yield
            return
        with patiently(lambda: self._hold(number)) as connection:
            yield
            try:
                self._note(connection, number)
                connection.commit()
                return
            except DBAPIError:  # the log holds it already: tell the others that it does
                pass
        patiently(lambda: self._note_alone(number))

    def claim(self, number: int) -> None:
        """Take a trial that is nobody's; only in a turn.

        Raises:
            Lost: If it is another driver's.
        """
        connection = self._in_turn()
        self._check_free(connection, number)
        self._note(connection, number, driver=self.driver)
        self._asked_at = None

    def release(self, number: int) -> None:
        """Give up a trial: its worker is gone."""

        def give_up(connection: sa.Connection) -> None:
            mine = (TRIALS.c.study == self._study) & (TRIALS.c.trial == number) & (TRIALS.c.driver == self.driver)
            connection.execute(sa.update(TRIALS).where(mine).values(driver=None))

        if self._turn is not None:
            give_up(self._turn)
            return
        patiently(lambda: self._alone(give_up))

    def num_trials(self) -> int:
        """Return how many trials other drivers may have begun, whether or not their logs tell; only in a turn."""
        return int(self._in_turn().execute(sa.text(COUNT), {"study": self._study}).scalar_one())

    def claimed(self) -> Mapping[int, bool]:
        """Return the trials that living drivers have claimed, and of each whether it was this one; only in a turn."""
        held = sa.select(TRIALS.c.trial, TRIALS.c.driver).where(
            TRIALS.c.study == self._study, TRIALS.c.driver.in_(self._alive()), TRIALS.c.trial != ENDING
        )
        return {trial: driver == self.driver for trial, driver in self._in_turn().execute(held)}

    def abandoned(self) -> list[int]:
        """Return the trials that dead drivers had claimed, now nobody's; only in a turn."""
        theirs = (TRIALS.c.study == self._study) & TRIALS.c.driver.is_not(None) & TRIALS.c.driver.not_in(self._alive())
        freed = sa.update(TRIALS).where(theirs).values(driver=None).returning(TRIALS.c.trial)
        return sorted(trial for trial in self._in_turn().execute(freed).scalars() if trial != ENDING)

    def stay(self) -> None:
        """Count from here on as one that trains, and may be left the end of the search. Only in a turn."""
        self._set_staying(True)

    def leave_to_others(self) -> tuple[str, ...]:
        """Return the other drivers that stay; if any do, this one counts no more from here on. Only in a turn.

        One that was killed must be left nothing: whoever stays counts as soon as it gave a sign of life after this one
        asked first.
        """
        connection = self._in_turn()
        if self._asked_at is None:
            self._asked_at = connection.execute(sa.select(NOW)).scalar_one()
        others = self._names(connection, DRIVERS.c.stays, DRIVERS.c.beat > self._asked_at)
        if others:
            self._set_staying(False)
        return others

    def may_have_company(self) -> bool:
        """Say whether another driver stays, or was killed so lately that nobody can tell. Only in a turn."""
        return bool(self._names(self._in_turn(), DRIVERS.c.stays))

    def seconds_of_doubt(self) -> float:
        """Return for how long others may count that were killed, 0 where there are no others. Only in a turn."""
        return self._grace_seconds if self.may_have_company() else 0.0

    def begin_ending(self) -> None:
        """Take the end of the search, with all that follows the trials; only in a turn, if no other driver stays.

        Raises:
            Lost: If another driver is at it.
        """
        self.claim(ENDING)
        self._ends = True
        self._set_staying(False)

    def ender(self) -> str | None:
        """Return the other driver that is at the end of the search, as `HOST (process PID)`; only in a turn."""
        connection = self._in_turn()
        return next(iter(self._names(connection, DRIVERS.c.driver == self._owner(connection, ENDING))), None)

    def has_lost_ending(self) -> bool:
        """Say whether the end of the search, which this driver had begun, is another's, as this one was silent so long.

        Whoever wakes must not go on for a moment, so it is looked up here, if that was not done just now.
        """
        if self._ends and time.monotonic() > self._looked_at + SECONDS_BETWEEN_LOOKS:
            with suppress(DBAPIError), self._engine.connect() as connection:  # the database restarts: ask it later
                self._has_lost_ending |= self._owner(connection, ENDING) != self.driver
            self._looked_at = time.monotonic()
        return self._has_lost_ending

    def leave(self) -> None:
        """Count no more as one that trains: what is left is for the others."""
        self._stays = False
        patiently(lambda: self._alone(self._write_whether_it_stays))

    def others(self) -> tuple[str, ...]:
        """Return the other drivers that train, or end the search, as `HOST (process PID)`."""

        def ask() -> tuple[str, ...]:
            with self._engine.connect() as connection:
                return self._names(connection, DRIVERS.c.stays | (DRIVERS.c.driver == self._owner(connection, ENDING)))

        return patiently(ask)

    # What follows runs within a transaction

    def _alive(self) -> sa.Select[Any]:
        """Select the drivers with a sign of life lately; after a silence of all, those with one shortly before it."""
        silence = sa.select(SILENCES.c.began - self._grace).where(
            SILENCES.c.study == self._study, SILENCES.c.ended > NOW - self._grace
        )
        since = sa.func.least(NOW - self._grace, silence.scalar_subquery())  # which takes no notice of nothing
        return sa.select(DRIVERS.c.driver).where(DRIVERS.c.study == self._study, DRIVERS.c.beat > since)

    def _names(self, connection: sa.Connection, *conditions: sa.ColumnElement[bool]) -> tuple[str, ...]:
        """Return other drivers that are alive, as `HOST (process PID)`."""
        found = sa.select(DRIVERS.c.host, DRIVERS.c.pid).where(
            DRIVERS.c.driver.in_(self._alive()), DRIVERS.c.driver != self.driver, *conditions
        )
        return tuple(f"{host} (process {pid})" for host, pid in connection.execute(found))

    def _set_staying(self, stays: bool) -> None:
        self._stays = stays
        self._write_whether_it_stays(self._in_turn())

    def _write_whether_it_stays(self, connection: sa.Connection) -> None:
        connection.execute(sa.update(DRIVERS).where(DRIVERS.c.driver == self.driver).values(stays=self._stays))

    def _in_turn(self) -> sa.Connection:
        assert self._turn is not None, "it is this driver's turn"
        return self._turn

    def _begin_turn(self) -> sa.Connection:
        """Return a connection with a transaction that has the study's row to itself.

        Who has been silent gives a sign of life before: it must not take itself, nor others that were as silent as the
        database was, for dead.
        """
        while self._is_silent(connection := self._lock()):
            connection.close()
            self._beat()
        return connection

    def _lock(self) -> sa.Connection:
        connection = self._engine.connect()
        try:
            connection.execute(sa.text(f"SET LOCAL idle_in_transaction_session_timeout = '{LONGEST_TURN_SECONDS}s'"))
            row = sa.select(STUDIES.c.version).where(STUDIES.c.study == self._study).with_for_update()
            connection.execute(row).one()
        except BaseException:
            connection.close()
            raise
        return connection

    def _is_silent(self, connection: sa.Connection) -> bool:
        """Say whether this driver's last sign of life is so old that it would soon be taken for dead."""
        recent = (DRIVERS.c.driver == self.driver) & (DRIVERS.c.beat > NOW - self._half_grace)
        return connection.execute(sa.select(DRIVERS.c.driver).where(recent)).first() is None

    def _hold(self, number: int) -> sa.Connection:
        """Return a connection with a transaction in which a trial stays this driver's."""
        connection = self._begin_turn()
        try:
            self._check_mine(connection, number)
        except BaseException:
            connection.close()
            raise
        return connection

    def _changes(self, connection: sa.Connection) -> Set[int]:
        """Return the trials that others changed since the last turn."""
        changed = sa.select(TRIALS.c.trial).where(
            TRIALS.c.study == self._study,
            TRIALS.c.version > self._seen,
            TRIALS.c.writer != self.driver,
            TRIALS.c.trial != ENDING,
        )
        found = frozenset(connection.execute(changed).scalars())
        latest = sa.select(STUDIES.c.version).where(STUDIES.c.study == self._study)
        self._seen = connection.execute(latest).scalar_one()
        return found

    def _owner(self, connection: sa.Connection, number: int) -> str | None:
        known = sa.select(TRIALS.c.driver).where(TRIALS.c.study == self._study, TRIALS.c.trial == number)
        return connection.execute(known).scalar()

    def _check_free(self, connection: sa.Connection, number: int) -> str | None:
        """Return this driver if it has the trial, or None if nobody alive has."""
        owner = self._owner(connection, number)
        if owner in (None, self.driver):
            return owner
        if connection.execute(self._alive().where(DRIVERS.c.driver == owner)).first() is not None:
            raise Lost(f"Trial {number} is another driver's.")
        return None

    def _check_mine(self, connection: sa.Connection, number: int) -> None:
        if self._owner(connection, number) != self.driver:
            raise Lost(f"Trial {number} is no more this driver's.")

    def _note(self, connection: sa.Connection, number: int, **values: str | None) -> None:
        """Number a change of a trial, and keep who made it."""
        raised = sa.update(STUDIES).where(STUDIES.c.study == self._study).values(version=STUDIES.c.version + 1)
        version = connection.execute(raised.returning(STUDIES.c.version)).scalar_one()
        change = {"writer": self.driver, "version": version, **values}
        row = insert(TRIALS).values(study=self._study, trial=number, **change)
        connection.execute(row.on_conflict_do_update(index_elements=["study", "trial"], set_=change))

    def _note_alone(self, number: int) -> None:
        self._alone(lambda connection: self._note(connection, number))

    def _alone(self, change: Any) -> None:
        with self._engine.begin() as connection:
            change(connection)

    # Signs of life

    def _make_tables(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(sa.text(ONE_AT_A_TIME))
            TABLES.create_all(connection)
            connection.execute(insert(STUDIES).values(study=self._study, version=0).on_conflict_do_nothing())

    def _beat(self) -> None:
        row = insert(DRIVERS).values(
            driver=self.driver,
            study=self._study,
            host=socket.gethostname(),
            pid=os.getpid(),
            beat=NOW,
            stays=self._stays,
        )

        def beat(connection: sa.Connection) -> None:
            if self._is_silent(connection):
                self._note_silence(connection)
            # whether it stays is for turns to write: here it may be what was true before one
            connection.execute(row.on_conflict_do_update(index_elements=["driver"], set_={"beat": NOW}))

        self._alone(beat)

    def _note_silence(self, connection: sa.Connection) -> None:
        """Keep that this driver gave no sign of life for a while, be it that the database was away."""
        last = connection.execute(sa.select(DRIVERS.c.beat).where(DRIVERS.c.driver == self.driver)).scalar()
        if last is None:
            return  # it is new
        row = insert(SILENCES).values(study=self._study, began=last, ended=NOW)
        connection.execute(row.on_conflict_do_update(index_elements=["study"], set_={"began": last, "ended": NOW}))

    def _live(self) -> None:
        while not self._ended.wait(self._beat_seconds):
            with suppress(DBAPIError):  # the database restarts: the next one may get through
                self._beat()

    def _sign_off(self) -> None:
        self._alone(lambda c: c.execute(sa.delete(DRIVERS).where(DRIVERS.c.driver == self.driver)))


def _interval(seconds: float) -> sa.ColumnElement[Any]:
    return sa.cast(sa.literal(f"{seconds} seconds"), sa.Interval)


def _commit(connection: sa.Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        raise Lost(TURN_LOST) from error
