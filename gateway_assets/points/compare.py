"""Whether roll-ups count the points that are there: of days that are settled."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from gateway_assets.hot.store import reading
from gateway_assets.points.cold import archived_days
from gateway_assets.points.dirty import marked_days
from gateway_assets.points.floor import raw_floor
from gateway_assets.points.levels import DAY, LEVELS, Level


class Counted(NamedTuple):
    """Points of one day: as they are, and as each level's buckets count them."""

    day: int
    points: int
    buckets: dict[str, int]  # by the level's table
    rolled_up: dict[str, int]


def counted(connection: sqlite3.Connection, days: Iterable[int]) -> list[Counted]:
    """Those of the days that can be compared, as of one moment.

    Left out is a day with a mark, because it will be computed again; one that is archived, in part
    or whole; and one below the raw floor, where points are gone and their roll-ups stay.
    """
    with reading(connection):
        floor = raw_floor(connection)
        cold = set[int]().union(
            *(archived_days(connection, table) for table in ("points", *_tables()))
        )
        settled = set(days) - set(marked_days(connection)) - cold
        return [_counted(connection, day) for day in sorted(settled) if day * DAY >= floor]


def _tables() -> list[str]:
    return [level.table for level in LEVELS]


def _counted(connection: sqlite3.Connection, day: int) -> Counted:
    query = "SELECT count(*) FROM points WHERE time >= ? AND time < ?"
    (points,) = connection.execute(query, _range(day)).fetchone()
    found = {level.table: _of_level(connection, level, day) for level in LEVELS}
    return Counted(
        day,
        points,
        {table: buckets for table, (buckets, _) in found.items()},
        {table: counts for table, (_, counts) in found.items()},
    )


def _of_level(connection: sqlite3.Connection, level: Level, day: int) -> tuple[int, int]:
    """Buckets, and points that they count: series by series, because rows lie in that order."""
    query = f"""
        SELECT count(*), ifnull(sum(rolled.n + rolled.n_bad), 0)
        FROM series CROSS JOIN {level.table} AS rolled
            ON rolled.series = series.id AND rolled.time >= ? AND rolled.time < ?
    """
    buckets, counts = connection.execute(query, _range(day)).fetchone()
    return buckets, counts


def _range(day: int) -> tuple[int, int]:
    return day * DAY, (day + 1) * DAY
