"""Which hours of which series have points that no roll-up has seen.

Marked in the transaction that writes the points, cleared in the one that writes the roll-up. So a
late point costs the work of its own hour, at any age, and a bucket is right when its hour has no
mark.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gateway_assets.points.levels import DAY, HOUR
from gateway_assets.points.rows import Row

HOURS_OF_DAY = DAY // HOUR


def mark(connection: sqlite3.Connection, rows: Iterable[Row], now: int) -> None:
    """Mark the hours of these rows. ``now`` (ns) is kept as the time of the first mark."""
    mark_hours(connection, {(row[1] // HOUR, row[0]) for row in rows}, now)


def mark_hours(connection: sqlite3.Connection, hours: Iterable[tuple[int, int]], now: int) -> None:
    """Mark hours since 1970, each with a series, within the caller's transaction."""
    connection.executemany(
        "INSERT INTO dirty_hours (hour, series, since) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET marks = marks + 1",
        ((hour, series, now) for hour, series in sorted(hours)),
    )


def marked_days(connection: sqlite3.Connection) -> list[int]:
    """The days since 1970 that have a mark, in order; one look at the index for each."""
    query = "SELECT min(hour) FROM dirty_hours WHERE hour >= ?"
    days: list[int] = []
    first = -(2**62)
    while True:
        (hour,) = connection.execute(query, (first,)).fetchone()
        if hour is None:
            return days
        days.append(hour // HOURS_OF_DAY)
        first = (days[-1] + 1) * HOURS_OF_DAY


def oldest_mark(connection: sqlite3.Connection) -> int | None:
    """Since when (ns) the mark waits that waits for longest."""
    (since,) = connection.execute("SELECT min(since) FROM dirty_hours").fetchone()
    return None if since is None else int(since)
