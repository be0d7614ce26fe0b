"""Points that come when those of their time were removed already: they are added to the roll-ups.

Nothing there can be computed again. A point before or behind those of its bucket merges exactly,
as buckets do. In the middle of them count, mean, deviation and extremes are exact; the time
integral, the increase and the largest gap stay as they were. Each is kept in ``late_points``, so
that one that comes twice counts once; a later value of the same moment is not applied. A point that
was counted before it was removed, and comes again, counts again: nothing is left to tell by.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gateway_assets.model import INT64_MIN
from gateway_assets.points.levels import LEVELS, Level
from gateway_assets.points.quality import Quality
from gateway_assets.points.rows import Row
from gateway_assets.points.segments import finite
from gateway_assets.points.states import States, from_points, from_rows, join, merge, rows

_INSERT = """
INSERT INTO late_points (series, time, value, text, quality) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


def add_late(connection: sqlite3.Connection, late: Iterable[Row]) -> int:
    """Within the caller's transaction. Returns how many points were not known yet."""
    added = 0
    for row in late:
        if connection.execute(_INSERT, row).rowcount:
            added += 1
            for level in LEVELS:
                _add(connection, level, row)
    return added


def _add(connection: sqlite3.Connection, level: Level, row: Row) -> None:
    series, time, value, _, quality = row
    start = max(time // level.width * level.width, INT64_MIN)
    query = f"SELECT * FROM {level.table} WHERE series = ? AND time = ?"
    found = connection.execute(query, (series, start)).fetchone()
    known = Quality.GOOD if quality is None else Quality(quality)
    number = math.nan if value is None else float(value)
    connection.executemany(level.upsert, rows(merged(found, (series, time, number, known), level)))


def merged(
    state: Sequence[Any] | None, point: tuple[int, int, float, Quality], level: Level
) -> States:
    """A row of ``states.rows`` with one point more; the value of a string is NaN."""
    series, time, value, quality = point
    alone = from_points(
        np.array([series]),
        np.array([time]),
        np.array([value], np.float64),
        np.array([quality], np.int8),
        level.width,
    )
    if state is None:
        return alone
    known = from_rows([state])
    is_within = known.n[0] and known.first_time[0] <= time <= known.last_time[0]
    if alone.n[0] and is_within:
        return _within(known, alone)
    # Parts without used points have no times, and may stand anywhere.
    parts = join(known, alone)
    return merge(parts.take(np.argsort(parts.first_time, kind="stable")), level.width)


def _within(known: States, alone: States) -> States:
    """A point between the first and the last: what neither needs its neighbours is exact."""
    n = known.n + alone.n
    with np.errstate(over="ignore", invalid="ignore"):
        away = alone.mean - known.mean
        mean = finite(known.mean + away / n)
        m2 = finite(known.m2 + away * (alone.mean - mean))
    is_least, is_most = alone.min < known.min, alone.max > known.max
    return replace(
        known,
        n=n,
        n_uncertain=known.n_uncertain + alone.n_uncertain,
        mean=mean,
        m2=m2,
        min=np.where(is_least, alone.min, known.min),
        min_time=np.where(is_least, alone.min_time, known.min_time),
        max=np.where(is_most, alone.max, known.max),
        max_time=np.where(is_most, alone.max_time, known.max_time),
    )
