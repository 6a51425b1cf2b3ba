"""What is remembered across restarts: transitions, cold starts, arrivals. SQLite in the state directory.

One thread writes what a bounded queue holds, many rows in one transaction; the event loop never waits for a disk. In
WAL mode with synchronous=NORMAL a kill of the server at any moment loses at most the last transactions and never the
file. When the disk is full or may not be written, rows are dropped and serving goes on; each batch tries again.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from glowplug.node.store_writer import BUSY_TIMEOUT, Row, StoreWriter, open_database
from glowplug.scheduler.values import Tier

log = logging.getLogger(__name__)

ROWS_KEPT = 10_000
"""Newest rows kept of each table, of arrivals for each model: about a megabyte each, and more than any policy reads."""

ARRIVAL_SPACING = 1.0
"""Seconds. Of arrivals closer together only the first is kept: so short a gap never decides whether a model rests, and
a thousand requests a second would only push out the history that does."""

_TRANSITION = ("at", "model", "tier_from", "tier_to", "seconds", "bytes", "ok", "reason")
_COLD_START = ("at", "model", "record")
_ARRIVAL = ("at", "model")


class Cost(NamedTuple):
    """One measured wake that succeeded: `seconds` from `tier` to running; `ram` bytes held then, 0 if not measured."""

    model: str
    tier: Tier
    seconds: float
    ram: int


class Store:
    """The state database. Reads take a millisecond or so of the calling thread: for start-up and for display."""

    def __init__(
        self,
        path: Path,
        *,
        rows_kept: int = ROWS_KEPT,
        open_file: Callable[[Path], sqlite3.Connection] = open_database,
    ) -> None:
        """Open or make the file; a damaged one is moved aside. Never fails: at worst nothing is remembered."""
        self._path = path
        self._last_arrival: dict[str, float] = {}
        self._writer = StoreWriter(path, rows_kept, open_file)

    def transition(
        self,
        model: str,
        tier_from: Tier,
        tier_to: Tier,
        *,
        seconds: float,
        ram: int = 0,
        reason: str | None = None,
    ) -> None:
        """A wake or rest ended; `reason` says why it failed, None that it did not."""
        values = (time.time(), model, tier_from.value, tier_to.value, seconds, ram, int(reason is None), reason)
        self._writer.put(Row("transitions", _TRANSITION, values))

    def cold_start(self, model: str, record: Mapping[str, Any]) -> None:
        """A cold start was recorded."""
        self._writer.put(Row("cold_starts", _COLD_START, (time.time(), model, json.dumps(record))))

    def arrival(self, model: str, at: float | None = None) -> None:
        """A request for a model came in at `at` (seconds since 1970; None: now)."""
        at = time.time() if at is None else at
        if at - self._last_arrival.get(model, float("-inf")) >= ARRIVAL_SPACING:
            self._last_arrival[model] = at
            self._writer.put(Row("arrivals", _ARRIVAL, (at, model)))

    def costs(self) -> Sequence[Cost]:
        """All measured wakes that succeeded, oldest first."""
        rows = self._read(
            "SELECT model, tier_from, seconds, bytes FROM transitions WHERE ok AND tier_to = ? ORDER BY id",
            (Tier.RUNNING.value,),
        )
        return [Cost(model, Tier(tier), seconds, ram) for model, tier, seconds, ram in rows]

    def cold_starts(self, limit: int = 100) -> Sequence[Mapping[str, Any]]:
        """Recorded cold starts, newest first."""
        rows = self._read("SELECT record FROM cold_starts ORDER BY id DESC LIMIT ?", (limit,))
        return [json.loads(record) for (record,) in rows]

    def arrivals(self, model: str) -> Sequence[float]:
        """When requests for a model came, in seconds since 1970, oldest first, thinned to `ARRIVAL_SPACING`."""
        return [at for (at,) in self._read("SELECT at FROM arrivals WHERE model = ? ORDER BY id", (model,))]

    def flush(self) -> None:
        """Wait until everything given so far is written or dropped."""
        self._writer.flush()

    def close(self) -> None:
        """Write what waits and close the file."""
        self._writer.close()

    def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        try:
            with closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=BUSY_TIMEOUT)) as database:
                return database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            log.warning("%s cannot be read: %s", self._path, error)
            return []
