"""A table of an application that keeps time series: rows by key and time, described elsewhere.

``readings`` has a composite key and times in nanoseconds, and either an index on the time or
statistics by which SQLite skips from series to series; ``series`` says what each number stands for;
the view ``described`` shows both.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from gateway_assets.settings import Settings
from tests.tiers.places import APP, declare

SECOND = 10**9
DAY = 86_400 * SECOND
DDL = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY AUTOINCREMENT, device TEXT, tags TEXT NOT NULL, scale REAL,
    UNIQUE (device, tags)
);
CREATE TABLE readings (
    series INTEGER NOT NULL, time INTEGER NOT NULL, value REAL, text TEXT,
    PRIMARY KEY (series, time)
) WITHOUT ROWID;
"""
INDEXED = "CREATE INDEX points_time ON readings (time)"
SKIPPED = """
ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 VALUES ('readings', 'readings', '1000000 1000 1')
"""
VIEW = """
CREATE VIEW described AS
    SELECT readings.*, series.device, series.tags, series.scale
    FROM readings JOIN series ON series.id = readings.series
"""
LINE: dict[str, Any] = {
    "table": "readings",
    "view": "described",
    "time": "time",
    "time_format": "epoch_ns",
    "order_by": ["series", "time"],
    "dedup": [],
}
DEVICES = [("a", '{"room":"1"}', 0.5), ("b", '{"room":"2"}', None), ("c", '{"room":"é"}', 2.0)]
Point = tuple[int, int, float | None, str | None]


def make_series(view: str = VIEW, readings: Iterable[Point] = (), found_by: str = INDEXED) -> None:
    with closing(sqlite3.connect(APP)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(f"{DDL};{view};{found_by}")
        connection.executemany("INSERT INTO series (device, tags, scale) VALUES (?, ?, ?)", DEVICES)
        put(connection, readings)


def put(connection: sqlite3.Connection, readings: Iterable[Point]) -> None:
    """As a loader does: a later value of the same series and time wins."""
    connection.executemany(
        "INSERT INTO readings VALUES (?, ?, ?, ?) ON CONFLICT (series, time) "
        "DO UPDATE SET value = excluded.value, text = excluded.text",
        readings,
    )


def declare_series(name: str = "readings", **line: Any) -> Settings:
    return declare(name, **{**LINE, **line})


def ns(day: int, second: float = 0) -> int:
    return day * DAY + int(second * SECOND)
