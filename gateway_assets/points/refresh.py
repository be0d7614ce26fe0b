"""Roll-ups of points are brought up to date: every marked hour, on every level.

An hour is computed again from all of its points, whichever tier they are in, and the day from its
hours. So points may come in any order, at any age and more than once; the roll-ups do not depend
on it. One process refreshes at a time; a mark that was set again meanwhile stays.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.files.lock import exclusive
from gateway_assets.hot.store import writing
from gateway_assets.model import INT64_MAX, INT64_MIN
from gateway_assets.points.cold import archived_days, bring_back
from gateway_assets.points.dirty import HOURS_OF_DAY
from gateway_assets.points.floor import raise_floor
from gateway_assets.points.levels import (
    DAILY,
    DAY,
    FIVE_MINUTELY,
    HOURLY,
    LEVELS,
    MINUTELY,
    Level,
)
from gateway_assets.points.states import States, from_points, from_rows, merge, rows
from gateway_assets.points.stored import hot_points, points_of
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings

MOST_HOURS = 4_000  # of series, in one transaction


class Mark(NamedTuple):
    series: int
    hour: int
    marks: int


class Refreshed(NamedTuple):
    hours: int = 0
    buckets: int = 0
    restored_days: int = 0


def refresh(
    connection: sqlite3.Connection,
    settings: Settings,
    progress: Progress = silent,
    *,
    days: tuple[int, int] | None = None,
) -> Refreshed:
    """Compute every marked hour again, or those of the days ``[first, end)``.

    Raises Busy while another process does it, ArchiveDamaged when archived points are needed and
    cannot be read; what was computed stays.
    """
    with (
        exclusive(settings.points_database.with_suffix(".rollups.lock"), "rolling up points"),
        UnifiedQueryBridge(settings) as bridge,
    ):
        total, done = _count(connection, days), Refreshed()
        for marks in _batches(connection, days):
            restored = 0
            while (buckets := _refresh(connection, bridge, marks)) is None:
                restored += _restored(connection, settings, marks)
            done = Refreshed(
                done.hours + len(marks), done.buckets + buckets, done.restored_days + restored
            )
            progress(min(done.hours, total), total)
        raise_floor(connection, settings)
        return done


def _count(connection: sqlite3.Connection, days: tuple[int, int] | None) -> int:
    first, end = _range(days)
    query = "SELECT count(*) FROM dirty_hours WHERE hour >= ? AND hour < ?"
    (count,) = connection.execute(query, (first, end)).fetchone()
    return int(count)


def _batches(connection: sqlite3.Connection, days: tuple[int, int] | None) -> Iterator[list[Mark]]:
    """The marks day by day; one that is set while its day is looked at waits for the next run."""
    first, end = _range(days)
    while True:
        query = "SELECT min(hour) FROM dirty_hours WHERE hour >= ? AND hour < ?"
        (hour,) = connection.execute(query, (first, end)).fetchone()
        if hour is None:
            return
        day = hour // HOURS_OF_DAY
        first = (day + 1) * HOURS_OF_DAY
        query = """
            SELECT series, hour, marks FROM dirty_hours
            WHERE hour >= ? AND hour < ? ORDER BY series, hour
        """
        found = connection.execute(query, (hour, min(first, end))).fetchall()
        for place in range(0, len(found), MOST_HOURS):
            yield [Mark(*row) for row in found[place : place + MOST_HOURS]]


def _range(days: tuple[int, int] | None) -> tuple[int, int]:
    if days is None:
        return -(2**62), 2**62
    return days[0] * HOURS_OF_DAY, days[1] * HOURS_OF_DAY


def _days_of(marks: Sequence[Mark]) -> set[int]:
    return {mark.hour // HOURS_OF_DAY for mark in marks}


def _restored(connection: sqlite3.Connection, settings: Settings, marks: Sequence[Mark]) -> int:
    """Roll-ups of these days that are archived come back: they are about to change."""
    days = {mark.hour // HOURS_OF_DAY for mark in marks}
    restored = 0
    for level in (MINUTELY, FIVE_MINUTELY, HOURLY, DAILY):
        cold = days & archived_days(connection, level.table)
        bring_back(connection, settings, level.table, cold)
        restored += len(cold)
    return restored


def _refresh(
    connection: sqlite3.Connection, bridge: UnifiedQueryBridge, marks: Sequence[Mark]
) -> int | None:
    """Compute the hours of some marks, write them and clear the marks. Returns rows written, or
    None when nothing was, because roll-ups of these days are archived and must come back first.
    """
    begun = time.time_ns()
    cold = archived_days(connection, "points")
    hours = [(mark.series, mark.hour) for mark in marks]
    is_cold = any(hour // HOURS_OF_DAY in cold for _, hour in hours)
    points = points_of(bridge, hours) if is_cold else hot_points(connection, hours)
    minutes = from_points(*points, MINUTELY.width)
    fives = merge(minutes, FIVE_MINUTELY.width)
    whole = merge(fives, HOURLY.width)
    with writing(connection):
        if any(_days_of(marks) & archived_days(connection, level.table) for level in LEVELS):
            return None
        written = sum(
            _write(connection, level, states)
            for level, states in ((MINUTELY, minutes), (FIVE_MINUTELY, fives), (HOURLY, whole))
        )
        written += _write(connection, DAILY, _days(connection, whole))
        connection.executemany(
            "DELETE FROM dirty_hours WHERE series = ? AND hour = ? AND marks = ?", marks
        )
        # What was marked again meanwhile waits since then, not since the mark that is seen to.
        connection.executemany(
            "UPDATE dirty_hours SET since = ? WHERE series = ? AND hour = ? AND since < ?",
            ((begun, mark.series, mark.hour, begun) for mark in marks),
        )
    return written


def _days(connection: sqlite3.Connection, hours: States) -> States:
    """The days of these hours, from all of their hours."""
    days = np.unique(np.stack([hours.series, hours.time // DAY], axis=1), axis=0).tolist()
    query = f"SELECT * FROM {HOURLY.table} WHERE series = ? AND time >= ? AND time < ?"
    found = (
        row
        for series, day in days
        for row in connection.execute(query, (series, *_within(day * DAY, (day + 1) * DAY)))
    )
    return merge(from_rows(found), DAILY.width)


def _within(start: int, end: int) -> tuple[int, int]:
    """A range as 64 bits hold it: the first and last days are cut."""
    return max(start, INT64_MIN), min(end, INT64_MAX)


def _write(connection: sqlite3.Connection, level: Level, states: States) -> int:
    connection.executemany(level.upsert, rows(states))
    return len(states)
