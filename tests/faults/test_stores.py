"""Databases that are locked, or made by several processes at once. Numbers as in docs/faults.md."""

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from tests.books import assert_books_agree
from tests.command import Desk, make_desk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seconds", [5, pytest.param(60, marks=pytest.mark.thorough)])
def test_f9_a_locked_study_database_costs_time_and_nothing_else(desk: Desk, seconds: float) -> None:
    with desk.started("search", "--space", "tiny.yaml", "--trials", "4", "--workers", "1") as running:
        running.wait_for("started", trial=1)
        holder = threading.Thread(target=_lock, args=(desk.store / "optuna.db", seconds))
        holder.start()
        outcome = running.finish()
        holder.join()

    assert outcome["finished"]
    assert_books_agree(desk.store, "tiny", num_trials=4)


@pytest.mark.thorough
def test_f12_four_first_starts_at_once_make_one_sound_database(tmp_path: Path) -> None:
    desk = make_desk(tmp_path)
    names = [f"study-{number}" for number in range(4)]
    done: dict[str, int] = {}

    def search(name: str) -> None:
        found = desk.run("search", "--space", "tiny.yaml", "--trials", "2", "--workers", "1", "--study", name)
        done[name] = found.returncode

    threads = [threading.Thread(target=search, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert done == dict.fromkeys(names, 0)
    for name in names:
        assert_books_agree(desk.store, name, num_trials=2)


def _lock(path: Path, seconds: float) -> None:
    """Hold the database as a foreign writer does."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    time.sleep(seconds)
    connection.execute("ROLLBACK")
    connection.close()
