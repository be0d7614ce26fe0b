"""Days of which every roll-up is computed again, although nothing has marked them."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.hot.store import writing
from gateway_assets.points.cold import archived_days
from gateway_assets.points.dirty import HOURS_OF_DAY, mark_hours
from gateway_assets.points.floor import raw_floor
from gateway_assets.points.levels import DAY, HOUR
from gateway_assets.settings import Settings

MOST_MARKS = 20_000  # in one transaction

Hours = list[tuple[int, int]]  # hour since 1970 and series


def mark_again(connection: sqlite3.Connection, settings: Settings, days: Iterable[int]) -> int:
    """Mark the hours that have points, in either tier; how many.

    An hour without points is not marked, nor one below the raw floor: of what was removed nothing
    is computed again. Raises ArchiveDamaged and Busy.
    """
    cold, floor = archived_days(connection, "points"), raw_floor(connection)
    marked = 0
    for day in days:
        if day * DAY < floor:
            continue
        hours = _hours(settings, day) if day in cold else _hot_hours(connection, day)
        for place in range(0, len(hours), MOST_MARKS):
            with writing(connection):
                mark_hours(connection, hours[place : place + MOST_MARKS], time.time_ns())
        marked += len(hours)
    return marked


def _hot_hours(connection: sqlite3.Connection, day: int) -> Hours:
    """One look at the key for each hour of each series, however many points there are."""
    query = f"""
        WITH RECURSIVE hours (hour) AS (
            SELECT ? UNION ALL SELECT hour + 1 FROM hours LIMIT {HOURS_OF_DAY}
        )
        SELECT hours.hour, series.id FROM series CROSS JOIN hours WHERE EXISTS (
            SELECT 1 FROM points WHERE points.series = series.id
                AND points.time >= hours.hour * {HOUR} AND points.time < (hours.hour + 1) * {HOUR}
        )
    """
    return connection.execute(query, (day * HOURS_OF_DAY,)).fetchall()


def _hours(settings: Settings, day: int) -> Hours:
    """The same from both tiers."""
    query = f"""
        SELECT DISTINCT ? + (time - ?) // {HOUR} AS hour, series FROM points
        WHERE time >= ? AND time < ?
    """
    begin = day * DAY
    with UnifiedQueryBridge(settings) as bridge:
        found = bridge.sql(query, (day * HOURS_OF_DAY, begin, begin, begin + DAY)).to_pylist()
    return [(row["hour"], row["series"]) for row in found]
