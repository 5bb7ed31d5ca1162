"""Who drives a study: one driver alone, or with others where its database is PostgreSQL."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from search.crew import Alone, Crew, Lost
from search.errors import StorageBusyError, StudyError
from search.lease import Lease
from search.study import Study

SECONDS_FOR_ENDER = 35.0  # more than a driver without a sign of life counts as alive


def check_nobody_ends(crew: Crew, name: str) -> None:
    """Check that no other driver is at the race, the refit and the test of a study: it will not look at new trials.

    Raises:
        StudyError: If one is.
    """
    ender = crew.ender()
    if ender is not None:
        raise StudyError(
            f"{ender} is ending the search {name!r}: its finalists, its last training and its test. When it is done, "
            f"`autoclf resume {name} --trials N` goes on with more trials."
        )


def wait_for_ender(crew: Crew, name: str) -> None:
    """Wait until no other driver ends a study, as long as one that was killed counts as alive.

    Raises:
        StudyError: If one is alive and at it.
    """
    until = time.monotonic() + SECONDS_FOR_ENDER
    while True:
        with crew.turn():
            if crew.ender() is None:
                return
            if time.monotonic() > until:
                check_nobody_ends(crew, name)
        time.sleep(1.0)


@contextmanager
def driving(study: Study, directory: Path) -> Iterator[tuple[Crew, Callable[[], bool]]]:
    """Drive a study: with others where its database is PostgreSQL, alone elsewhere.

    The block is given the drivers, and what says whether another one has taken the study, or its end, away.

    Raises:
        StudyError: If another driver has the study, and it can't be shared.
        StorageBusyError: If the database took a turn away, as when it restarts; the search can be resumed.
    """
    if study.storage.engine.dialect.name == "postgresql":
        from search.crew.postgres import PostgresCrew  # which few need

        try:
            with PostgresCrew(study.storage.engine, study.name) as crew:
                yield crew, crew.has_lost_ending
        except Lost as error:
            raise StorageBusyError(f"{error} Nothing is lost: `autoclf resume {study.name}` goes on.") from error
        return
    with Lease(study, directory) as lease:
        yield Alone(), lambda: lease.is_lost
