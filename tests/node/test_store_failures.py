"""The state database on a disk that fails, and a file that is damaged."""

import errno
import logging
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from glowplug.node.store import Store
from glowplug.node.store_schema import STEPS
from glowplug.node.store_writer import open_database
from glowplug.scheduler.values import Tier


@pytest.fixture
def path(tmp_path):
    """Where the database lies."""
    return tmp_path / "state.sqlite"


def _transition(store, seconds=1.0):
    store.transition("a", Tier.CACHED, Tier.RUNNING, seconds=seconds)
    store.flush()


def _warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class _Disk:
    """A disk that is full from when `full` is set, for files that are open (`opens` true) or at their opening."""

    def __init__(self, opens):
        self.full = False
        self._opens = opens

    def open(self, path):
        """Stands in for `open_database`."""
        if not self._opens:
            self._refuse()
        self._database = open_database(path)
        return self

    def execute(self, statement, *values):
        """Stands in for the connection's method."""
        if statement.startswith("INSERT") or not self._opens:
            self._refuse()
        return self._database.execute(statement, *values)

    def close(self):
        """Stands in for the connection's method."""
        self._database.close()

    def _refuse(self):
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("opens", [True, False])
def test_rows_are_dropped_with_one_warning_while_writing_fails_and_kept_again_afterwards(path, caplog, opens):
    caplog.set_level(logging.INFO)
    disk = _Disk(opens)
    store = Store(path, open_file=disk.open)
    _transition(store, 1.0)
    disk.full = True
    for _ in range(5):
        _transition(store, 2.0)
    assert len(_warnings(caplog)) == 1
    assert "state.sqlite cannot be written (database or disk is full)" in _warnings(caplog)[0]
    disk.full = False
    _transition(store, 3.0)
    store.close()
    assert [cost.seconds for cost in store.costs()] == [1.0, 3.0]
    assert "is written again; 5 rows were dropped" in caplog.records[-1].getMessage()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk_stops_nothing_and_writing_resumes_when_there_is_room(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]).returncode:
        pytest.skip("this machine does not allow mounting")
    try:
        store = Store(tmp_path / "state.sqlite")
        _transition(store, 1.0)
        filler = tmp_path / "filler"
        with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while True:
                file.write(b"x" * 4096)
        for _ in range(200):
            store.cold_start("a", {"padding": "x" * 2000})
        store.flush()
        assert len(_warnings(caplog)) == 1
        filler.unlink()
        _transition(store, 2.0)
        store.close()
        assert [cost.seconds for cost in store.costs()] == [1.0, 2.0]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("damage", [b"this is no database at all, but long enough to have a header" * 40, b"\0" * 8192])
def test_a_damaged_file_is_moved_aside_and_a_new_one_begun(path, tmp_path, caplog, damage):
    path.write_bytes(damage)
    store = Store(path)
    _transition(store)
    store.close()
    assert len(store.costs()) == 1
    (aside,) = tmp_path.glob("state.sqlite.corrupt-*")
    assert aside.read_bytes() == damage
    assert "damaged" in _warnings(caplog)[0]


def test_a_file_damaged_in_the_middle_is_noticed_when_it_is_opened(path, tmp_path):
    store = Store(path)
    for number in range(500):
        store.cold_start("a", {"number": number, "padding": "x" * 500})
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 8 : 4096 * 20] = b"\xff" * 4096 * 12
    path.write_bytes(content)
    store = Store(path)
    assert store.cold_starts() == []
    store.close()
    assert len(list(tmp_path.glob("state.sqlite.corrupt-*"))) == 1


@pytest.mark.timeout(20)
def test_a_damaged_file_that_cannot_be_moved_aside_does_not_end_the_thread(path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    damaged = sqlite3.DatabaseError("database disk image is malformed")
    damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT

    class Damaged:
        """Opens well, but cannot be written."""

        def execute(self, _statement, *_values):
            raise damaged

        def close(self):
            pass

    def refuse(_path, _target):
        raise OSError(errno.EROFS, "Read-only file system")

    databases = iter([Damaged()])
    store = Store(path, open_file=lambda path: next(databases, None) or open_database(path))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refuse)
        _transition(store, 1.0)
    _transition(store, 2.0)
    store.close()
    assert [cost.seconds for cost in store.costs()] == [2.0]
    assert len(_warnings(caplog)) == 1
    assert "state.sqlite cannot be written (database disk image is malformed)" in _warnings(caplog)[0]


@pytest.mark.timeout(20)
def test_a_damaged_file_in_a_directory_that_cannot_be_written_is_one_warning(path, caplog, monkeypatch):
    def refuse(_path, _target):
        raise OSError(errno.EROFS, "Read-only file system")

    path.write_bytes(b"\0" * 8192)
    monkeypatch.setattr(Path, "rename", refuse)
    store = Store(path)
    for _ in range(3):
        _transition(store)
    store.close()
    assert len(_warnings(caplog)) == 1
    assert "Read-only file system" in _warnings(caplog)[0]


@pytest.mark.timeout(20)
def test_an_unforeseen_failure_costs_its_rows_and_not_the_server_its_end(path, caplog):
    class Broken:
        """Fails in a way that no database should."""

        def execute(self, _statement, *_values):
            raise RuntimeError("unforeseen")

        def close(self):
            pass

    databases = iter([Broken()])
    store = Store(path, open_file=lambda path: next(databases, None) or open_database(path))
    _transition(store, 1.0)
    _transition(store, 2.0)
    store.close()
    assert [cost.seconds for cost in store.costs()] == [2.0]
    assert "unforeseen" in caplog.text


def test_a_file_of_a_later_version_is_kept_for_that_version(path, tmp_path):
    Store(path).close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    database.close()
    store = Store(path)
    _transition(store)
    store.close()
    assert len(store.costs()) == 1
    assert len(list(tmp_path.glob("state.sqlite.newer-*"))) == 1


def test_without_a_place_to_write_the_store_remembers_nothing_and_says_so_once(tmp_path, caplog):
    store = Store(tmp_path / "missing" / "state.sqlite")
    for _ in range(3):
        _transition(store)
    store.close()
    assert len(_warnings(caplog)) == 1
    assert store.costs() == []


def test_rows_that_come_faster_than_the_disk_takes_them_do_not_hold_the_caller_up(path, caplog):
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    store = Store(path)
    database.execute("BEGIN IMMEDIATE")  # nobody else may write now
    for _ in range(20_000):
        store.transition("a", Tier.CACHED, Tier.RUNNING, seconds=1.0)
    assert any("faster than the disk" in line for line in _warnings(caplog))
    database.rollback()
    database.close()
    store.close()
    assert 10_000 <= len(store.costs()) < 20_000
