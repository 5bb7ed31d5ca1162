"""Drivers of one study that could not give signs of life, on a real PostgreSQL server."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from search.crew.postgres import PostgresCrew
from search.crew.tables import DRIVERS

GRACE = 2.0
NEVER = 3600.0


@pytest.fixture
def two(engine: sa.Engine, request: pytest.FixtureRequest) -> Iterator[tuple[PostgresCrew, PostgresCrew]]:
    """Two drivers of this test's study whose hearts don't beat by themselves; each has a trial."""
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(PostgresCrew(engine, request.node.name, beat_seconds=NEVER, grace_seconds=GRACE))
            for _ in range(2)
        )
        for number, crew in enumerate((one, other)):
            with crew.turn():
                crew.claim(number)
                crew.stay()
        yield one, other


def be_silent(engine: sa.Engine, *drivers: PostgresCrew, seconds: float = 10.0) -> None:
    """Let it be so long since the last signs of life."""
    with engine.begin() as connection:
        for crew in drivers:
            past = DRIVERS.c.beat - sa.cast(sa.literal(f"{seconds} seconds"), sa.Interval)
            connection.execute(sa.update(DRIVERS).where(DRIVERS.c.driver == crew.driver).values(beat=past))


def test_after_a_silence_of_all_nobody_is_taken_for_dead(
    two: tuple[PostgresCrew, PostgresCrew], engine: sa.Engine
) -> None:
    """As when the database was away: whoever comes back first must bury neither itself nor the others."""
    one, other = two
    be_silent(engine, one, other)

    with one.turn():
        assert one.abandoned() == []
        assert one.claimed() == {0: True, 1: False}
    with other.turn(), other.writing(1):
        assert other.claimed() == {0: False, 1: True}


def test_who_does_not_come_back_after_a_silence_is_dead_in_the_end(
    two: tuple[PostgresCrew, PostgresCrew], engine: sa.Engine
) -> None:
    one, _ = two
    be_silent(engine, *two)

    for _ in range(100):
        with one.turn():
            if (found := one.abandoned()) == [1]:
                return
            assert found == []
        threading.Event().wait(0.1)
    raise AssertionError("it lives on")


def test_who_was_dead_before_a_silence_is_dead(two: tuple[PostgresCrew, PostgresCrew], engine: sa.Engine) -> None:
    one, other = two
    be_silent(engine, one)
    be_silent(engine, other, seconds=100.0)

    with one.turn():
        assert one.abandoned() == [1]


def test_a_sign_of_life_says_nothing_of_whether_one_stays(two: tuple[PostgresCrew, PostgresCrew]) -> None:
    """It may have been made up before the turn in which this driver left."""
    one, other = two
    with one.turn():
        one.leave_to_others()
        one._set_staying(False)
    one._stays = True

    one._beat()

    assert other.others() == ()


def test_who_leaves_is_left_nothing(two: tuple[PostgresCrew, PostgresCrew]) -> None:
    one, other = two
    with other.turn():
        other.leave_to_others()
    assert other.others()

    one.leave()
    one._beat()

    assert other.others() == ()
    with other.turn():
        assert not other.leave_to_others()
        assert not other.may_have_company()
