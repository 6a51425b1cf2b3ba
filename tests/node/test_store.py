"""What the state database remembers, and for how long."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from glowplug.node.store import Store
from glowplug.node.store_schema import STEPS
from glowplug.scheduler.values import Tier

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    """Where the database lies."""
    return tmp_path / "state.sqlite"


@pytest.fixture
def store(path):
    """An open store."""
    store = Store(path)
    yield store
    store.close()


def _rows(path, query):
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def test_costs_are_the_wakes_that_succeeded(store):
    store.transition("a", Tier.CACHED, Tier.RUNNING, seconds=4.5, ram=100)
    store.transition("a", Tier.RUNNING, Tier.PARKED, seconds=0.1, ram=90)
    store.transition("a", Tier.PARKED, Tier.RUNNING, seconds=0.2, reason="the canary differs")
    store.transition("b", Tier.PARKED, Tier.RUNNING, seconds=0.3)
    store.flush()
    assert store.costs() == [("a", Tier.CACHED, 4.5, 100), ("b", Tier.PARKED, 0.3, 0)]


def test_a_failed_transition_is_kept_with_its_reason_and_time(store, path):
    before = time.time()
    store.transition("a", Tier.CACHED, Tier.RUNNING, seconds=1.0, reason="exited with code 1")
    store.flush()
    ((at, ok, reason),) = _rows(path, "SELECT at, ok, reason FROM transitions")
    assert before <= at <= time.time()
    assert (ok, reason) == (0, "exited with code 1")


def test_cold_starts_come_back_newest_first_as_they_were(store):
    records = [{"model": "a", "total": number, "spans": [{"phase": "canary"}], "reason": None} for number in range(5)]
    for record in records:
        store.cold_start("a", record)
    store.flush()
    assert store.cold_starts(3) == records[:1:-1]


def test_arrivals_are_thinned_per_model(store):
    for tenth in range(30):
        store.arrival("a", 1000 + tenth / 10)
        store.arrival("b", 2000 + tenth)
    store.flush()
    assert store.arrivals("a") == [1000, 1001, 1002]
    assert len(store.arrivals("b")) == 30
    assert store.arrivals("c") == []


def test_only_the_newest_rows_are_kept_and_a_busy_model_does_not_push_out_a_quiet_one(path):
    store = Store(path, rows_kept=100)
    store.arrival("quiet", 1.0)
    for number in range(2000):
        store.arrival("busy", float(number))
        store.transition("busy", Tier.CACHED, Tier.RUNNING, seconds=float(number))
    store.close()
    assert len(store.arrivals("busy")) < 700
    assert store.arrivals("busy")[-1] == 1999.0
    assert store.arrivals("quiet") == [1.0]
    assert len(store.costs()) < 700
    assert store.costs()[-1].seconds == 1999.0


def test_what_was_written_is_there_after_a_restart(path):
    for number in range(3):
        store = Store(path)
        assert len(store.costs()) == number
        store.transition("a", Tier.CACHED, Tier.RUNNING, seconds=1.0)
        store.close()


def test_the_file_is_in_wal_mode_and_of_the_current_version(store, path):
    assert _rows(path, "PRAGMA journal_mode") == [("wal",)]
    assert _rows(path, "PRAGMA user_version") == [(len(STEPS),)]


def test_a_file_of_the_first_version_is_brought_up_to_date_with_its_rows(path):
    with closing(sqlite3.connect(path)) as database:
        database.executescript(f"{STEPS[0]}; PRAGMA user_version = 1;")
        database.execute(
            "INSERT INTO transitions (at, model, tier_from, tier_to, seconds, bytes, ok)"
            " VALUES (1, 'old', 'cached', 'running', 2, 3, 1)"
        )
        database.commit()
    store = Store(path)
    assert store.costs() == [("old", Tier.CACHED, 2.0, 3)]
    store.close()
    assert _rows(path, "PRAGMA user_version") == [(len(STEPS),)]


WRITER = """
import sys
from pathlib import Path
from glowplug.node.store import Store
from glowplug.scheduler.values import Tier
store = Store(Path(sys.argv[1]))
number = 0
while True:
    for _ in range(50):
        number += 1
        store.transition("a", Tier.CACHED, Tier.RUNNING, seconds=float(number))
        store.cold_start("a", {"number": number, "padding": "x" * 500})
    store.flush()
    print(number, flush=True)
"""


@pytest.mark.parametrize("batches", [1, 2, 7, 20])
def test_a_writer_killed_in_the_middle_leaves_a_sound_file_with_all_it_had_written(path, batches):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert writer.stdout is not None
    for _ in range(batches):
        written = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    assert _rows(path, "PRAGMA integrity_check") == [("ok",)]
    store = Store(path)
    seconds = [cost.seconds for cost in store.costs()]
    assert len(seconds) >= written
    assert seconds == [float(number) for number in range(1, len(seconds) + 1)]
    store.close()
