"""The thread that writes the state database, and what it does when the file or the disk fails."""

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glowplug.node.store_schema import NewerSchema, migrate

log = logging.getLogger(__name__)

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another program that holds the file, such as a backup."""

_QUEUE_LENGTH = 10_000
_BATCH = 1000
_TRIM_EVERY = 500
_UNUSABLE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Row:
    """One row for one table."""

    table: str
    columns: Sequence[str]
    values: Sequence[Any]

    @property
    def statement(self) -> str:
        """SQL with a placeholder per value. All names are our own constants."""
        marks = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES ({marks})"  # noqa: S608


def open_database(path: Path) -> sqlite3.Connection:
    """Open or make the file, checked and migrated. Raises sqlite3.Error, NewerSchema."""
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    try:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            error = sqlite3.DatabaseError(verdict)
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database


class StoreWriter:
    """Takes rows at once and writes them soon, or drops them with one warning per failure."""

    def __init__(
        self, path: Path, rows_kept: int, open_file: Callable[[Path], sqlite3.Connection] = open_database
    ) -> None:
        """Start the thread and wait until the file is open or known not to open."""
        self._path = path
        self._rows_kept = rows_kept
        self._open_file = open_file
        self._queue: queue.Queue[Row | None] = queue.Queue(_QUEUE_LENGTH)
        self._database: sqlite3.Connection | None = None
        self._dropped = 0
        self._failing = False
        self._untrimmed = 0
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._run, name="glowplug-store", daemon=True)
        self._thread.start()
        self._opened.wait()

    def put(self, row: Row) -> None:
        """Write the row soon. Never blocks."""
        try:
            self._queue.put_nowait(row)
        except queue.Full:
            self._fail("rows come faster than the disk takes them", 1)

    def flush(self) -> None:
        """Wait until all rows given so far are written or dropped."""
        self._queue.join()

    def close(self) -> None:
        """Write what waits, close the file and end the thread."""
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            self._database = self._open()
        except (sqlite3.Error, OSError) as error:
            self._fail(str(error), 0)
        self._opened.set()
        while (first := self._queue.get()) is not None:
            rows, ending = self._gather(first)
            self._write(rows)
            for _ in rows:
                self._queue.task_done()
            if ending:
                break
        self._queue.task_done()
        self._close_database()

    def _gather(self, first: Row) -> tuple[list[Row], bool]:
        """What waits in the queue, up to a batch, and whether the end was reached."""
        rows = [first]
        with suppress(queue.Empty):
            while len(rows) < _BATCH:
                if (row := self._queue.get_nowait()) is None:
                    return rows, True
                rows.append(row)
        return rows, False

    def _write(self, rows: Sequence[Row]) -> None:
        try:
            database = self._database = self._database or self._open()
            database.execute("BEGIN IMMEDIATE")
            for row in rows:
                database.execute(row.statement, row.values)
            self._trim(database, rows)
            database.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            # Closing rolls back. The next batch starts afresh, so it notices by itself when things are well again.
            self._close_database()
            self._fail(str(error), len(rows))
            if _unusable(error):
                with suppress(OSError):  # the next batch finds it damaged again
                    self._move_aside("corrupt")
            return
        except Exception as error:
            # Whatever it is, this thread goes on: without it nobody would empty the queue, and `close` would wait.
            log.exception("%s cannot be written", self._path)
            self._close_database()
            self._fail(f"unexpected {type(error).__name__}", len(rows))
            return
        if self._failing:
            log.info("%s is written again; %d rows were dropped meanwhile", self._path, self._dropped)
            self._failing, self._dropped = False, 0

    def _trim(self, database: sqlite3.Connection, rows: Sequence[Row]) -> None:
        self._untrimmed += len(rows)
        if self._untrimmed < _TRIM_EVERY:
            return
        self._untrimmed = 0
        for table in ("transitions", "cold_starts"):
            database.execute(
                f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?",  # noqa: S608
                (self._rows_kept,),
            )
        for (model,) in database.execute("SELECT DISTINCT model FROM arrivals").fetchall():
            database.execute(
                "DELETE FROM arrivals WHERE model = ?1 AND id <= "
                "(SELECT id FROM arrivals WHERE model = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                (model, self._rows_kept),
            )

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_file(self._path)
        except sqlite3.DatabaseError as error:
            if not _unusable(error):
                raise
            self._move_aside("corrupt")
            log.warning("%s was damaged (%s); it was moved aside and a new one is begun", self._path, error)
        except NewerSchema:
            self._move_aside("newer")
            log.warning("%s was written by a later version of Glowplug; it was moved aside", self._path)
        return self._open_file(self._path)

    def _move_aside(self, why: str) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        for suffix in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + suffix)
            with suppress(FileNotFoundError):
                part.rename(self._path.with_name(f"{self._path.name}.{why}-{stamp}{suffix}"))

    def _close_database(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error), closing(self._database):
                self._database = None

    def _fail(self, reason: str, dropped: int) -> None:
        if not self._failing:
            log.warning("%s cannot be written (%s); measurements are dropped until it can", self._path, reason)
        self._failing = True
        self._dropped += dropped


def _unusable(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code & 0xFF) in _UNUSABLE
