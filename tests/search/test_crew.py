"""Several drivers of one study, on a real PostgreSQL server."""

import os
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from search.crew import Lost
from search.crew.postgres import PostgresCrew
from search.crew.tables import STUDIES, TRIALS
from tests.postgres import Server

GRACE = 0.6
Join = Callable[..., PostgresCrew]


@pytest.fixture
def join(engine: sa.Engine, request: pytest.FixtureRequest) -> Join:
    """Make a driver of this test's study, that is signed off in the end."""

    def make(*, beats: bool = True) -> PostgresCrew:
        crew = PostgresCrew(engine, request.node.name, beat_seconds=0.1 if beats else 3600.0, grace_seconds=GRACE)
        crew.__enter__()
        request.addfinalizer(lambda: crew.__exit__())
        return crew

    return make


def wait_until_dead(crew: PostgresCrew, number: int) -> None:
    """Wait until another driver finds that the one that holds a trial is dead."""
    for _ in range(100):
        with crew.turn():
            if number not in crew.claimed():
                return
        threading.Event().wait(0.05)
    raise AssertionError("it lives on")


def leaves(crew: PostgresCrew) -> bool:
    """Say whether a driver leaves the search to another one, as soon as that gives a sign of life."""
    for _ in range(20):
        with crew.turn():
            if crew.leave_to_others():
                return True
        threading.Event().wait(0.05)
    return False


def cut_off(engine: sa.Engine) -> None:
    """End the connections that are within a transaction, as the database does when they stay silent."""
    with engine.begin() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        connection.execute(sa.text(ended))


def test_a_trial_has_one_driver(join: Join) -> None:
    one, other = join(), join()

    with one.turn():
        one.claim(3)

    with other.turn():
        assert other.claimed() == {3: False}
        with pytest.raises(Lost, match="Trial 3 is another driver's"):
            other.claim(3)
    with pytest.raises(Lost), other.writing(3):
        raise AssertionError("it wrote")
    with one.writing(3):
        pass


def test_a_trial_that_was_released_is_anybodys(join: Join) -> None:
    one, other = join(), join()
    with one.turn():
        one.claim(3)

    one.release(3)

    with other.turn():
        other.claim(3)
        assert other.claimed() == {3: True}
    with pytest.raises(Lost, match="no more this driver's"), one.writing(3):
        raise AssertionError("it wrote")


def test_each_turn_tells_what_others_wrote_since_the_last_one(join: Join) -> None:
    one, other = join(), join()
    with one.turn():
        one.claim(3)
        with one.writing(4):
            pass
    with other.turn() as changed:
        assert changed == {3, 4}
    with other.turn() as changed:
        assert changed == frozenset()

    with one.writing(3):
        pass

    with other.turn() as changed:
        assert changed == {3}
    with one.turn() as changed:
        assert changed == frozenset(), "its own it knows"


def test_turns_are_taken_one_after_the_other(join: Join) -> None:
    crews = [join() for _ in range(4)]
    inside, most, count = [], [], []

    def decide(crew: PostgresCrew) -> None:
        for _ in range(10):
            with crew.turn():
                inside.append(crew)
                most.append(len(inside))
                count.append(1)
                inside.remove(crew)

    threads = [threading.Thread(target=decide, args=[crew]) for crew in crews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert max(most) == 1
    assert len(count) == 40


def test_no_trial_is_claimed_twice_by_drivers_that_race(join: Join) -> None:
    crews = [join() for _ in range(3)]
    taken: list[tuple[int, str]] = []

    def grab(crew: PostgresCrew) -> None:
        for number in range(60):
            with crew.turn():
                if number not in crew.claimed():
                    crew.claim(number)
                    taken.append((number, crew.driver))

    threads = [threading.Thread(target=grab, args=[crew]) for crew in crews]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(number for number, _ in taken) == list(range(60))


def test_what_a_dead_driver_had_is_anybodys(join: Join) -> None:
    dead, other = join(beats=False), join()
    with dead.turn():
        dead.claim(3)
        dead.claim(5)

    wait_until_dead(other, 3)

    with other.turn():
        assert other.abandoned() == [3, 5]
        assert other.abandoned() == []
        other.claim(3)


def test_a_driver_that_was_taken_for_dead_finds_its_trials_lost(join: Join) -> None:
    """Such as one that slept: its report is refused, what the new owner wrote stands."""
    slept, other = join(beats=False), join()
    with slept.turn():
        slept.claim(3)
    wait_until_dead(other, 3)
    with other.turn(), other.writing(3):
        pass

    slept._beat()

    with pytest.raises(Lost), slept.writing(3):
        raise AssertionError("it wrote")
    with slept.turn() as changed:
        assert changed == {3}
        slept.claim(3)  # it is nobody's now


def test_who_does_not_train_yet_is_left_nothing(join: Join) -> None:
    one, newcomer = join(), join()

    with one.turn():
        assert not one.leave_to_others()
        assert not one.others(), "it still reads its images"
    with newcomer.turn():
        newcomer.stay()
    assert leaves(one)


def test_one_driver_is_at_the_end_of_a_search_and_others_see_it(join: Join) -> None:
    one, other = join(), join()
    with one.turn():
        one.stay()
        one.begin_ending()
        assert one.ender() is None
        assert one.claimed() == {}, "it is no trial"

    with other.turn() as changed:
        assert changed == set()
        assert other.ender() is not None
        assert str(os.getpid()) in (other.ender() or "")
        assert not other.leave_to_others(), "it does not look at trials any more"
        with pytest.raises(Lost):
            other.begin_ending()
    one.__exit__()
    with other.turn():
        assert other.ender() is None
        assert other.abandoned() == []
        other.begin_ending()


def test_a_driver_that_was_taken_for_dead_finds_the_end_of_the_search_lost(join: Join) -> None:
    slept, other = join(beats=False), join()
    with slept.turn():
        slept.begin_ending()
    slept._beat()
    assert not slept.has_lost_ending()

    for _ in range(100):
        threading.Event().wait(0.05)
        with other.turn():
            if other.ender() is None:
                break
    with other.turn():
        other.abandoned()
        other.begin_ending()
    slept._beat()

    assert slept.has_lost_ending()
    assert not other.has_lost_ending()


def test_the_last_driver_ends_the_search(join: Join) -> None:
    one, other = join(), join()
    for driver in (one, other):
        with driver.turn():
            driver.stay()

    assert leaves(one)
    with other.turn():
        assert not other.leave_to_others()
        assert not other.may_have_company()
        assert not other.others(), "it lets its workers go"
    with one.turn():
        one.claim(1)
    with other.turn():
        assert not all(other.claimed().values())


def test_a_driver_that_was_killed_is_left_nothing(join: Join) -> None:
    killed, other = join(beats=False), join()
    for driver in (killed, other):
        with driver.turn():
            driver.stay()

    with other.turn():
        assert other.may_have_company(), "it may be alive"
        assert other.seconds_of_doubt() == GRACE, "and the end of the search waits for that"
    assert not leaves(other), "it gives no sign of life"
    with other.turn():
        assert not other.may_have_company()
        assert other.seconds_of_doubt() == 0.0


def test_a_driver_that_had_more_to_do_wants_a_new_sign_of_life(join: Join) -> None:
    one, other = join(), join(beats=False)
    for driver in (one, other):
        with driver.turn():
            driver.stay()
    with one.turn():
        assert not one.leave_to_others()
    other._beat()
    with one.turn():
        one.claim(3)

    with one.turn():
        assert not one.leave_to_others()
    other._beat()
    assert leaves(one)


def test_a_driver_that_is_gone_is_gone_at_once(join: Join) -> None:
    one, other = join(), join()
    with one.turn():
        one.claim(3)

    one.__exit__()

    with other.turn():
        assert other.abandoned() == [3]
        assert not other.leave_to_others()
        assert other.others() == ()


def test_what_was_decided_stands_when_a_turn_ends_in_an_error(join: Join) -> None:
    one, other = join(), join()

    def decide() -> None:
        with one.turn():
            one.claim(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        decide()
    with other.turn():
        assert other.claimed() == {3: False}


def test_a_turn_that_the_database_took_away_is_lost(join: Join, engine: sa.Engine) -> None:
    one, other = join(), join()

    def decide() -> None:
        with one.turn():
            cut_off(engine)
            one.claim(3)

    with pytest.raises(Lost, match="took this driver's turn away"):
        decide()
    with other.turn():
        assert other.claimed() == {}
    with one.turn():
        one.claim(3)


def test_what_is_in_the_log_is_told_though_the_database_was_away(join: Join, engine: sa.Engine) -> None:
    one, other = join(), join()
    with one.turn():
        one.claim(3)
    with other.turn():
        pass

    with one.writing(3), engine.begin() as connection:
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction'"
        connection.execute(sa.text(ended))

    with other.turn() as changed:
        assert changed == {3}


def test_drivers_live_through_a_restart_of_the_database(join: Join, server: Server) -> None:
    one, other = join(), join()
    with one.turn():
        one.claim(3)

    server.control("restart", "-m", "immediate")

    with one.writing(3):
        pass
    with other.turn() as changed:
        assert changed == {3}
        assert other.claimed() == {3: False}


def test_studies_of_one_database_do_not_meet(engine: sa.Engine) -> None:
    with PostgresCrew(engine, "one") as one, PostgresCrew(engine, "other") as other, one.turn(), other.turn():
        one.claim(1)
        other.claim(1)
        assert not one.leave_to_others()


def test_tables_are_made_once_by_drivers_that_begin_together(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        for table in (TRIALS, STUDIES):
            table.drop(connection)
    failed: list[DBAPIError] = []

    def begin(name: str) -> None:
        try:
            with PostgresCrew(engine, name) as crew, crew.turn():
                crew.claim(0)
        except DBAPIError as error:
            failed.append(error)

    threads = [threading.Thread(target=begin, args=[f"together-{number}"]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
