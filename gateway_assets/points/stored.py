"""Stored points of some hours of some series as arrays, whichever tier they are in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.where import column
from gateway_assets.model import INT64_MAX, INT64_MIN
from gateway_assets.points.levels import HOUR
from gateway_assets.points.quality import Quality
from gateway_assets.points.segments import Floats, Integers

Hours = Sequence[tuple[int, int]]  # series and hour since 1970


_ROW = np.dtype([("series", "i8"), ("time", "i8"), ("value", "f8"), ("quality", "i1")])


class Points(NamedTuple):
    """Sorted by series and time (ns). Values of strings are NaN."""

    series: Integers
    times: Integers
    values: Floats
    quality: np.ndarray[tuple[int], np.dtype[np.int8]]


def hot_points(connection: sqlite3.Connection, hours: Hours) -> Points:
    """Points of hours of which nothing is archived."""
    # Infinity, which is never stored, stands for the NULL of a string.
    query = f"""
        WITH hours (series, begins) AS MATERIALIZED (
            SELECT value ->> 0, (value ->> 1) * {HOUR} FROM json_each(?)
        )
        SELECT points.series, points.time, ifnull(points.value, 9e999),
            ifnull(points.quality, {Quality.GOOD})
        FROM hours CROSS JOIN points ON points.series = hours.series
            AND points.time >= hours.begins AND points.time < hours.begins + {HOUR}
    """
    rows = np.fromiter(connection.execute(query, (json.dumps(sorted(hours)),)), _ROW)
    values = np.where(np.isinf(rows["value"]), np.nan, rows["value"])
    return Points(rows["series"].copy(), rows["time"].copy(), values, rows["quality"].copy())


def points_of(bridge: UnifiedQueryBridge, hours: Hours) -> Points:
    """Points of these hours from both tiers, as of now. Raises ArchiveDamaged."""
    begins = [hour * HOUR for _, hour in hours]
    found = bridge.query(
        "points",
        column("series").is_in(sorted({series for series, _ in hours}))
        & (column("time") >= max(min(begins), INT64_MIN))
        & (column("time") <= min(max(begins) + HOUR - 1, INT64_MAX)),
        order=("series", "time"),
        columns=("series", "time", "value", "quality"),
    ).arrow()
    series, times = (found[name].to_numpy() for name in ("series", "time"))
    values = found["value"].to_numpy()  # makes NaN of NULL
    quality = found["quality"].fill_null(int(Quality.GOOD)).to_numpy().astype(np.int8)
    # Ranges of hours were asked for; some in between may not be meant.
    wanted = np.array(sorted((series, hour) for series, hour in hours), np.int64)
    asked = np.stack([series, times // HOUR], axis=1)
    is_wanted = np.isin(asked.view("i8,i8").ravel(), wanted.view("i8,i8").ravel())
    return Points(*(column[is_wanted] for column in (series, times, values, quality)))
