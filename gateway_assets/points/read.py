"""Reading points and roll-ups of some series in a range of time, from SQLite and from files.

SQLite alone answers while nothing of the range is archived, which is most questions of a
dashboard; else the bridge does, which knows both tiers.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.where import Condition, column
from gateway_assets.errors import QueryError
from gateway_assets.hot.sql import quoted
from gateway_assets.points.cold import archived_days
from gateway_assets.points.floor import raw_floor
from gateway_assets.points.levels import DAILY, DAY, HOUR, Level
from gateway_assets.points.quality import Quality
from gateway_assets.points.segments import Floats, Integers
from gateway_assets.points.states import COLUMNS, States, from_rows

_NAMES = ("series", "time", "value", "text", "quality")


class Points(NamedTuple):
    """Sorted by series and time (ns). Values of strings are NaN, texts only there when asked."""

    series: Integers
    times: Integers
    values: Floats
    quality: npt.NDArray[np.int8]
    texts: list[str | None]


class Reader:
    """The tables of points at this moment; the bridge is asked for what is archived."""

    def __init__(self, connection: sqlite3.Connection, bridge: UnifiedQueryBridge) -> None:
        self.connection = connection
        self._bridge = bridge

    def points(
        self,
        series: Sequence[int],
        start: int,
        end: int,
        *,
        limit: int | None = None,
        newest: bool = False,
    ) -> Points:
        """Points in ``[start, end)``; with a limit the first, or newest, of each series."""
        if not self._is_cold("points", start, end):
            return _points(self._hot_points(series, start, end, limit, newest))
        if limit is None or not newest:
            return _points(self._cold_points(series, start, end, limit, newest))
        # Whatever has enough points since the last archived day needs none of the archive.
        begin = (max(archived_days(self.connection, "points")) + 1) * DAY
        rows = self._hot_points(series, max(start, begin), end, limit, newest)
        counts = Counter(row[0] for row in rows)
        rest = [number for number in series if counts[number] < limit]
        rows = [row for row in rows if counts[row[0]] == limit]
        return _points(_sorted(rows + self._cold_points(rest, start, end, limit, newest)))

    def rolled_up(self, level: Level, series: Sequence[int], start: int, end: int) -> States:
        """The buckets of a level that begin in ``[start, end)``."""
        if self._is_cold(level.table, start, end):
            found = self._bridge.query(
                level.table,
                _range(series, start, end),
                order=("series", "time"),
                columns=[name for name, _ in COLUMNS],
            ).arrow()
            return from_rows(zip(*(found[name].to_pylist() for name, _ in COLUMNS), strict=True))
        names = ", ".join(f"rolled.{quoted(name)}" for name, _ in COLUMNS)
        query = f"""
            SELECT {names} FROM json_each(?) AS wanted CROSS JOIN {level.table} AS rolled
                ON rolled.series = wanted.value AND rolled.time >= ? AND rolled.time < ?
        """
        wanted = json.dumps(sorted(series))
        return from_rows(self.connection.execute(query, (wanted, start, end)).fetchall())

    def marked_hours(self, series: Sequence[int], start: int, end: int) -> list[int]:
        """The hours since 1970 of which roll-ups of any of these series are not up to date."""
        query = """
            SELECT DISTINCT hour FROM dirty_hours
            WHERE hour >= ? AND hour < ? AND series IN (SELECT value FROM json_each(?)) ORDER BY 1
        """
        params = (start // HOUR, -(-end // HOUR), json.dumps(list(series)))
        return [hour for (hour,) in self.connection.execute(query, params)]

    def check_points(self, series: Sequence[int], start: int, end: int) -> None:
        """Raise QueryError when points of this range were removed already."""
        self._check(series, start, end, raw_floor(self.connection), "points")

    def check_level(self, level: Level, series: Sequence[int], start: int, end: int) -> None:
        """Raise QueryError when buckets of a level were removed already in this range."""
        if level.keep is not None:
            keep_days = getattr(self._bridge.settings, level.keep)
            floor = (time.time_ns() // DAY - keep_days) * DAY
            self._check(series, start, end, floor, f"roll-ups of {level.name}")

    def _check(self, series: Sequence[int], start: int, end: int, floor: int, what: str) -> None:
        if start >= floor:
            return
        # The longest roll-ups tell whether there ever was anything.
        first, last = start // DAY * DAY, min(end, floor)
        if len(self.rolled_up(DAILY, series, first, last)):
            raise QueryError(
                f"{what} before {clock.iso(floor // 1000)} were removed",
                hint="longer buckets answer for it: begin and end the range with a whole one",
            )

    def _is_cold(self, table: str, start: int, end: int) -> bool:
        days = archived_days(self.connection, table)
        return bool(days) and min(days) < -(-end // DAY) and max(days) >= start // DAY

    def _hot_points(
        self, series: Sequence[int], start: int, end: int, limit: int | None, newest: bool
    ) -> list[tuple[Any, ...]]:
        names = ", ".join(f"points.{name}" for name in _NAMES)
        if limit is None:
            query = f"""
                SELECT {names} FROM json_each(?) AS wanted CROSS JOIN points
                    ON points.series = wanted.value AND points.time >= ? AND points.time < ?
            """
            wanted = json.dumps(sorted(series))
            return self.connection.execute(query, (wanted, start, end)).fetchall()
        query = f"""
            SELECT {names} FROM points WHERE series = ? AND time >= ? AND time < ?
            ORDER BY time {"DESC" if newest else "ASC"} LIMIT ?
        """
        found = [
            row
            for number in sorted(series)
            for row in self.connection.execute(query, (number, start, end, limit)).fetchall()
        ]
        return _sorted(found) if newest else found

    def _cold_points(
        self, series: Sequence[int], start: int, end: int, limit: int | None, newest: bool
    ) -> list[tuple[Any, ...]]:
        if limit is None:
            found = self._bridge.query(
                "points", _range(series, start, end), order=("series", "time"), columns=_NAMES
            )
            return _tuples(found.arrow())
        rows: list[tuple[Any, ...]] = []
        for number in sorted(series):
            found = self._bridge.query(
                "points",
                _range([number], start, end),
                order="-time" if newest else "time",
                limit=limit,
                columns=_NAMES,
            )
            some = _tuples(found.arrow())
            rows += reversed(some) if newest else some
        return rows


def _range(series: Sequence[int], start: int, end: int) -> Condition:
    return (
        column("series").is_in(sorted(series)) & (column("time") >= start) & (column("time") < end)
    )


def _tuples(found: pa.Table) -> list[tuple[Any, ...]]:
    return list(zip(*(found[name].to_pylist() for name in _NAMES), strict=True))


def _sorted(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=itemgetter(0, 1))


def _points(rows: Sequence[Sequence[object]]) -> Points:
    series, times, values, texts, quality = zip(*rows, strict=True) if rows else ((),) * 5
    return Points(
        np.array(series, np.int64),
        np.array(times, np.int64),
        np.array(values, np.float64),  # makes NaN of None
        np.array([Quality.GOOD if given is None else given for given in quality], np.int8),
        list(texts),
    )
