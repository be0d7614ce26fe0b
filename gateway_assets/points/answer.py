"""Answering a TimeSeriesQuery from the longest buckets that answer it exactly.

Whole buckets of a roll-up stand for their points; hours that are marked, and the ends of a range
that cut a bucket, are computed from the points themselves. Because states merge exactly, the
answer is the same whatever it was put together from.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import QueryError
from gateway_assets.model import INT64_MAX
from gateway_assets.points.accessors import (
    average,
    counter_rate,
    delta,
    rate,
    stddev,
    time_weighted_average,
    total,
)
from gateway_assets.points.cover import states_of
from gateway_assets.points.fill import How, Point, fill
from gateway_assets.points.find import Series, find_series
from gateway_assets.points.line import Type
from gateway_assets.points.lttb import lttb
from gateway_assets.points.percentile import percentile
from gateway_assets.points.quality import Quality
from gateway_assets.points.query import MOST_ROWS, Aggregation, TimeSeriesQuery
from gateway_assets.points.read import Points, Reader
from gateway_assets.points.segments import Floats, Integers, bucket_starts
from gateway_assets.points.states import States

_ACCESSORS: dict[Aggregation, Callable[[States], Floats]] = {
    Aggregation.AVG: average,
    Aggregation.TIME_WEIGHTED_AVG: time_weighted_average,
    Aggregation.SUM: total,
    Aggregation.MIN: lambda states: states.min,
    Aggregation.MAX: lambda states: states.max,
    Aggregation.COUNT: lambda states: states.n.astype(np.float64),
    Aggregation.FIRST: lambda states: states.first,
    Aggregation.LAST: lambda states: states.last,
    Aggregation.STDDEV: stddev,
    Aggregation.DELTA: delta,
    Aggregation.RATE: rate,
    Aggregation.INCREASE: lambda states: states.increase,
    Aggregation.COUNTER_RATE: counter_rate,
}


Value = float | int | bool | str | None


class Found(NamedTuple):
    """What was found of one series: times (ns) and values of its type, None where not known.

    ``quality`` is there for points as they were written; 2 is good, 1 uncertain, 0 bad.
    """

    series: Series
    times: list[int]
    values: list[Value]
    quality: list[int] | None


def answer(
    connection: sqlite3.Connection, bridge: UnifiedQueryBridge, asked: TimeSeriesQuery
) -> list[Found]:
    """One entry per series that has something to tell, in the order of the registry.

    Raises QueryError for what is too much, ArchiveDamaged for a file that is needed and broken.
    """
    reader = Reader(connection, bridge)
    series = find_series(
        connection,
        measurement=asked.measurement,
        device=asked.device,
        metric=asked.metric,
        field=asked.field,
        tags=asked.tags,
    )
    if not series or asked.end <= asked.start:
        return []
    if asked.aggregation is None:
        return _raw(reader, series, asked)
    return _aggregated(reader, series, asked)


def _raw(reader: Reader, series: Sequence[Series], asked: TimeSeriesQuery) -> list[Found]:
    numbers = [one.id for one in series]
    if asked.limit is None:
        reader.check_points(numbers, asked.start, asked.end)
    points = reader.points(
        numbers,
        asked.start,
        asked.end,
        limit=asked.limit if asked.points_shown is None else None,
        newest=asked.order == "-time",
    )
    found = []
    for one, some in _by_series(series, points.series):
        times, values = points.times[some], points.values[some]
        if asked.points_shown is None or one.type == Type.STRING:
            typed = _typed(one, values, points.texts[some])
            found.append(_found(one, asked, times, typed, points.quality[some].tolist()))
        else:
            times, values = lttb(times, values, asked.points_shown)
            found.append(_found(one, asked, times, _typed(one, values), None))
    return found


def _aggregated(reader: Reader, series: Sequence[Series], asked: TimeSeriesQuery) -> list[Found]:
    assert asked.aggregation is not None
    numbers = [one.id for one in series]
    if asked.aggregation is Aggregation.PERCENTILE:
        of, times, values = _percentiles(reader, numbers, asked)
    else:
        states = states_of(reader, numbers, asked.start, asked.end, asked.bucket)
        of, times = states.series, states.time
        values = _ACCESSORS[asked.aggregation](states)
    found = []
    for one, some in _by_series(series, of, also_silent=asked.fill is not How.NONE):
        filled = _filled(reader, one, asked, times[some], values[some])
        if asked.points_shown is not None:
            filled = lttb(*filled, asked.points_shown)
        times_shown, values_shown = filled
        if len(times_shown):
            found.append(_found(one, asked, times_shown, _numbers(values_shown), None))
    return found


def _by_series(
    series: Sequence[Series], numbers: Integers, *, also_silent: bool = False
) -> Iterator[tuple[Series, slice]]:
    """Each series that is there, or all, and where its entries are."""
    for one in series:
        first, end = np.searchsorted(numbers, [one.id, one.id + 1])
        if end > first or also_silent:
            yield one, slice(first, end)


def _percentiles(
    reader: Reader, numbers: Sequence[int], asked: TimeSeriesQuery
) -> tuple[Integers, Integers, Floats]:
    """From the points: no percentile follows from others."""
    assert asked.percentile is not None
    reader.check_points(numbers, asked.start, asked.end)
    points = reader.points(numbers, asked.start, asked.end)
    used = (points.quality != Quality.BAD) & np.isfinite(points.values)
    series, times, values = points.series[used], points.times[used], points.values[used]
    starts = (
        np.full(len(times), asked.start)
        if asked.bucket is None
        else bucket_starts(times, asked.bucket)
    )
    is_first = np.ones(len(series), np.bool)
    is_first[1:] = (series[1:] != series[:-1]) | (starts[1:] != starts[:-1])
    begins = np.flatnonzero(is_first)
    parts = np.split(values, begins[1:])
    part = asked.percentile / 100
    return series[begins], starts[begins], np.array([percentile(some, part) for some in parts])


def _filled(
    reader: Reader, one: Series, asked: TimeSeriesQuery, times: Integers, values: Floats
) -> tuple[Integers, Floats]:
    if asked.bucket is None:
        return times, values
    before = after = None
    # The point before says what a mean or an extreme would be, but no count and no sum.
    is_value = asked.aggregation in _VALUES
    if is_value and asked.fill in {How.PREVIOUS, How.LINEAR}:
        first = asked.start - asked.start % asked.bucket
        before = _next_to(reader.points([one.id], EARLIEST, first, limit=1, newest=True))
    if is_value and asked.fill is How.LINEAR:
        after = _next_to(reader.points([one.id], asked.end, LATEST, limit=1))
    return fill(
        times,
        values,
        asked.start,
        asked.end,
        asked.bucket,
        asked.fill,
        asked.max_gap,
        before,
        after,
    )


def _next_to(points: Points) -> Point | None:
    """The point that was found, when it has a number that can be trusted."""
    is_there = len(points.times) and points.quality[0] != Quality.BAD
    if not is_there or np.isnan(points.values[0]):
        return None
    return int(points.times[0]), float(points.values[0])


def _typed(one: Series, values: Floats, texts: Sequence[str | None] = ()) -> list[Value]:
    """Numbers as they were written: whole ones exact, whatever their size."""
    if one.type == Type.STRING:
        return list(texts)
    if one.type == Type.BOOLEAN:
        return [bool(value) for value in values.tolist()]
    if one.type == Type.FLOAT:
        return list(values.tolist())
    exact = texts or [None] * len(values)
    return [
        int(value) if text is None else int(text)
        for value, text in zip(values.tolist(), exact, strict=True)
    ]


def _numbers(values: Floats) -> list[Value]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def _found(
    one: Series,
    asked: TimeSeriesQuery,
    times: Integers,
    values: list[Value],
    quality: list[int] | None,
) -> Found:
    if len(times) > MOST_ROWS:
        raise QueryError(
            f"{len(times):,} points of one series are more than {MOST_ROWS:,}",
            hint="ask for a shorter time, a limit, or buckets",
        )
    step = -1 if asked.order == "-time" else 1
    shown = slice(None, asked.limit)
    return Found(
        one,
        times.tolist()[::step][shown],
        values[::step][shown],
        None if quality is None else quality[::step][shown],
    )


_VALUES = {
    Aggregation.AVG,
    Aggregation.TIME_WEIGHTED_AVG,
    Aggregation.MIN,
    Aggregation.MAX,
    Aggregation.FIRST,
    Aggregation.LAST,
    Aggregation.PERCENTILE,
}
EARLIEST, LATEST = -INT64_MAX, INT64_MAX
