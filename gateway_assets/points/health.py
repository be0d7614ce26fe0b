"""What is to be known of points at one look: what waits, what was rejected, what came last."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

MOST_REASONS, MOST_SERIES = 20, 10


class Newest(NamedTuple):
    """A series that was seen for the first time lately, and its last point."""

    metric: str
    device: str | None
    type: str
    first_seen: int  # ns since 1970, as the points say
    last_time: int | None


def rejects_since(connection: sqlite3.Connection, moment: int) -> tuple[int, dict[str, int]]:
    """How many rejects came since a moment (ns), and the most frequent reasons with their number.

    Reasons may quote what was sent, so there may be as many as rejects.
    """
    since = "FROM point_rejects WHERE time >= ?"
    (total,) = connection.execute(f"SELECT count(*) {since}", (moment,)).fetchone()
    query = f"SELECT reason, count(*) AS times {since} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"
    return total, dict(connection.execute(query, (moment, MOST_REASONS)))


def last_load(connection: sqlite3.Connection) -> int | None:
    """When (ns) frames were loaded last, by whomever."""
    (moment,) = connection.execute("SELECT max(loaded_at) FROM segments").fetchone()
    return None if moment is None else int(moment)


def newest_series(connection: sqlite3.Connection, limit: int = MOST_SERIES) -> list[Newest]:
    """The series that were registered last, the newest first."""
    query = """
        SELECT metric, device, type, first_seen,
            (SELECT max(time) FROM points WHERE points.series = series.id)
        FROM series ORDER BY id DESC LIMIT ?
    """
    return [Newest(*row) for row in connection.execute(query, (limit,))]


def counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Series, and marked hours."""
    (series,) = connection.execute("SELECT count(*) FROM series").fetchone()
    (marked,) = connection.execute("SELECT count(*) FROM dirty_hours").fetchone()
    return {"series": series, "marked_hours": marked}
