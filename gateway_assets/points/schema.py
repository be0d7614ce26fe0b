"""The tables of ``points.db``: series, points, what was read of the frame log, what is to roll up.

A series is a measurement, a set of tags and a field: the identity that InfluxDB gives a value,
https://docs.influxdata.com/influxdb/v2/reference/key-concepts/data-elements/#series. All times are
integer nanoseconds since 1970, UTC.

A database of its own, so that writing points never waits for the archiver of another table.

Points and their roll-ups lie in the order of series and time, without an index on the time, which
would take half of the file. A question by time alone goes from series to series.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets.hot.store import opened, writing
from gateway_assets.points.levels import LEVELS
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import has_table

# Numbers and booleans stand in ``value``; SQLite keeps whole ones in one to eight bytes. ``text``
# holds strings, and the digits of integers that a double cannot hold.
_TABLES = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    measurement TEXT NOT NULL,
    tags TEXT NOT NULL,
    field TEXT NOT NULL,
    type TEXT NOT NULL,
    device TEXT,
    metric TEXT NOT NULL,
    unit TEXT,
    first_seen INTEGER NOT NULL,
    UNIQUE (measurement, tags, field)
);
CREATE INDEX IF NOT EXISTS series_of_device ON series (device);
CREATE INDEX IF NOT EXISTS series_of_field ON series (measurement, field);
CREATE TABLE IF NOT EXISTS points (
    series INTEGER NOT NULL,
    time INTEGER NOT NULL,
    value REAL,
    text TEXT,
    quality INTEGER,
    PRIMARY KEY (series, time)
) WITHOUT ROWID;
DROP INDEX IF EXISTS points_by_time;
CREATE TABLE IF NOT EXISTS point_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    severity TEXT,
    event_data TEXT NOT NULL,
    tags TEXT NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (time, digest)
);
CREATE TABLE IF NOT EXISTS point_logs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    device_id TEXT NOT NULL,
    level TEXT NOT NULL,
    message TEXT NOT NULL,
    source TEXT,
    tags TEXT NOT NULL,
    digest BLOB NOT NULL,
    UNIQUE (time, digest)
);
CREATE TABLE IF NOT EXISTS segments (
    name TEXT PRIMARY KEY,
    instance TEXT NOT NULL,
    offset INTEGER NOT NULL,
    done INTEGER NOT NULL,
    frames INTEGER NOT NULL,
    points INTEGER NOT NULL,
    rejects INTEGER NOT NULL,
    loaded_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS point_rejects (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    time INTEGER NOT NULL,
    segment TEXT NOT NULL,
    frame INTEGER,
    line INTEGER,
    reason TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS dirty_hours (
    series INTEGER NOT NULL,
    hour INTEGER NOT NULL,
    since INTEGER NOT NULL,
    marks INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (hour, series)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS late_points (
    series INTEGER NOT NULL,
    time INTEGER NOT NULL,
    value REAL,
    text TEXT,
    quality INTEGER,
    PRIMARY KEY (series, time)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS watched_series (
    series INTEGER PRIMARY KEY,
    since INTEGER,
    marks INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS watched_series_marked ON watched_series (since)
    WHERE since IS NOT NULL;
CREATE TABLE IF NOT EXISTS floors (
    name TEXT PRIMARY KEY,
    time INTEGER NOT NULL
) WITHOUT ROWID;
"""


VERSION = 3
CACHE_KIB = 65_536  # of this connection only


def described(table: str) -> str:
    """The name of the view that adds to a table what its series are."""
    return f"{table}_described"


def _described(table: str) -> str:
    return (
        f"CREATE VIEW IF NOT EXISTS {described(table)} AS SELECT {table}.*, series.measurement, "
        "series.device, series.metric, series.tags, series.field, series.type, series.unit "
        f"FROM {table} JOIN series ON series.id = {table}.series"
    )


def has_points(settings: Settings) -> bool:
    """Whether anything was ever written: a host without points gets no database of them."""
    return settings.points_database.exists() or settings.frames.exists()


@contextmanager
def open_points(path: Path, *, any_thread: bool = False) -> Iterator[sqlite3.Connection]:
    """The database of points, created with its tables when it is not there yet.

    Raises StoreError and Busy.
    """
    with opened(path, create_tables, any_thread=any_thread) as connection:
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        yield connection


def create_tables(connection: sqlite3.Connection) -> None:
    (known,) = connection.execute("PRAGMA user_version").fetchone()
    if known == VERSION and _is_believed(connection):
        return
    with writing(connection):
        for statement in _TABLES.split(";\n"):
            connection.execute(statement)
        for level in LEVELS:
            for statement in level.create:
                connection.execute(statement)
        for name in _BY_SERIES:
            connection.execute(_described(name))
        _believe(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


# By these statistics SQLite skips from series to series, if only to ask by time alone. They are
# stated, not counted: of a table that is empty or still small it would read all rows, for ever.
# https://www.sqlite.org/optoverview.html#the_skip_scan_optimization says why, and
# https://www.sqlite.org/fileformat2.html#stat1tab how: rows, rows of a series, rows of a key.
_BY_SERIES = ("points", *(level.table for level in LEVELS))
_BELIEVED = "1000000 1000 1"


def _is_believed(connection: sqlite3.Connection) -> bool:
    """Not after somebody ran ANALYZE, or PRAGMA optimize, which counts."""
    if not has_table(connection, "sqlite_stat1"):
        return False
    query = "SELECT count(*) FROM sqlite_stat1 WHERE tbl = idx AND stat = ?"
    (tables,) = connection.execute(query, (_BELIEVED,)).fetchone()
    return bool(tables == len(_BY_SERIES))


def _believe(connection: sqlite3.Connection) -> None:
    connection.execute("ANALYZE sqlite_schema")  # makes the table of statistics, counts nothing
    for name in _BY_SERIES:
        connection.execute("DELETE FROM sqlite_stat1 WHERE tbl = ?", (name,))
        connection.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (name, name, _BELIEVED))
    connection.execute("ANALYZE sqlite_schema")  # and now they are in effect
