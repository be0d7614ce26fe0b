"""Series that somebody watches: which of them got points since they were last looked at.

The loader marks a watched series in the transaction that writes its points, so that whoever
evaluates them looks at these series only, misses none whenever it is killed, and never waits for
the loader. A mark goes when nothing was added to it since it was read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from gateway_assets.points.rows import Row


class Mark(NamedTuple):
    """Series ``series`` got points, the earliest of them at ``since`` (ns)."""

    series: int
    since: int
    marks: int


NOTHING_LATE = 2**63 - 1  # later than every point


def watch(connection: sqlite3.Connection, series: Iterable[int]) -> None:
    """Watch these, too: what is written from now on marks them. In the caller's transaction.

    They are marked at once, because nobody knows of the points that came before.
    """
    connection.executemany(
        "INSERT INTO watched_series (series, since, marks) VALUES (?, ?, 1) ON CONFLICT DO NOTHING",
        ((one, NOTHING_LATE) for one in series),
    )


def watch_only(connection: sqlite3.Connection, series: Iterable[int]) -> None:
    """Forget every other series. Within the caller's transaction."""
    kept = set(series)
    watched = connection.execute("SELECT series FROM watched_series").fetchall()
    connection.executemany(
        "DELETE FROM watched_series WHERE series = ?",
        [row for row in watched if row[0] not in kept],
    )


def mark_watched(connection: sqlite3.Connection, rows: Iterable[Row]) -> None:
    """Mark the watched ones of these rows, which are sorted, within the caller's transaction."""
    watched = {series for (series,) in connection.execute("SELECT series FROM watched_series")}
    if not watched:
        return
    first: dict[int, int] = {}
    for series, time, *_ in rows:
        if series in watched and series not in first:
            first[series] = time
    connection.executemany(
        "UPDATE watched_series SET since = min(ifnull(since, ?1), ?1), marks = marks + 1"
        " WHERE series = ?2",
        ((time, series) for series, time in first.items()),
    )


def marked(connection: sqlite3.Connection, most: int = -1) -> list[Mark]:
    """Up to ``most`` series that got points; all of them unless given."""
    query = "SELECT series, since, marks FROM watched_series WHERE since IS NOT NULL LIMIT ?"
    return [Mark(*row) for row in connection.execute(query, (most,))]


def unmark(connection: sqlite3.Connection, marks: Iterable[Mark]) -> None:
    """These were looked at; what got points meanwhile stays marked. In the caller's transaction."""
    connection.executemany(
        "UPDATE watched_series SET since = NULL WHERE series = ? AND marks = ?",
        ((mark.series, mark.marks) for mark in marks),
    )
