"""The tables of the state database, and how an older file becomes a current one.

`PRAGMA user_version` is the number of steps a file has seen. A step is never changed once released; a new one is added
at the end.
"""

import sqlite3

STEPS = (
    """
    CREATE TABLE transitions (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,             -- seconds since 1970, UTC
        model TEXT NOT NULL,
        tier_from TEXT NOT NULL,
        tier_to TEXT NOT NULL,
        seconds REAL NOT NULL,
        bytes INTEGER NOT NULL,       -- host RAM held afterwards; 0 if not measured
        ok INTEGER NOT NULL,
        reason TEXT                   -- why it failed
    );
    CREATE TABLE cold_starts (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        model TEXT NOT NULL,
        record TEXT NOT NULL          -- JSON
    );
    CREATE TABLE arrivals (
        id INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        model TEXT NOT NULL
    );
    CREATE INDEX arrivals_by_model ON arrivals (model);  -- within a model in the order of id
    """,
)


class NewerSchema(Exception):
    """The file was written by a later version of Glowplug."""


def migrate(database: sqlite3.Connection) -> None:
    """Bring a file up to date, each step whole or not at all. Raises NewerSchema, sqlite3.Error."""
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version > len(STEPS):
        raise NewerSchema
    for number in range(version, len(STEPS)):
        database.executescript(f"BEGIN IMMEDIATE; {STEPS[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
