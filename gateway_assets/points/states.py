"""Buckets as mergeable states: one row per series and bucket that longer buckets are made of.

A state is of the points of one series in one range of time. ``merge`` of an earlier and a later
range gives exactly the state of both, but for the rounding of doubles; so 5 minutes come from
minutes, hours from those and days from hours, and no average is ever averaged. A point is the
state of one point, which is why points and states are put together by the same lines.

A bad point is counted and is in no statistic. A value that is infinite counts as bad. A point
whose value is NaN is a string: its bucket has times and counts only. A statistic that overflows a
double is NaN, as is what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway_assets.points.quality import Quality
from gateway_assets.points.segments import (
    Booleans,
    Floats,
    Integers,
    begins_of,
    bucket_starts,
    earliest,
    finite,
    moments,
    seams,
    spread,
)

Row = tuple[int | float | None, ...]

# What a table of states consists of, in the order of ``rows``.
COLUMNS = (
    ("series", "INTEGER"),
    ("time", "INTEGER"),
    ("n", "INTEGER"),
    ("n_bad", "INTEGER"),
    ("n_uncertain", "INTEGER"),
    ("mean", "REAL"),
    ("m2", "REAL"),
    ("min", "REAL"),
    ("min_time", "INTEGER"),
    ("max", "REAL"),
    ("max_time", "INTEGER"),
    ("first", "REAL"),
    ("first_time", "INTEGER"),
    ("last", "REAL"),
    ("last_time", "INTEGER"),
    ("integral", "REAL"),
    ("increase", "REAL"),
    ("resets", "INTEGER"),
    ("max_gap", "INTEGER"),
)
_NAMES = tuple(name for name, _ in COLUMNS)
_NULL_WITHOUT_POINTS = ("first_time", "last_time", "max_gap")
_NULL_WITHOUT_NUMBERS = ("min_time", "max_time", "resets")


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """One entry per series and bucket in every array, sorted by series and time.

    Times and distances are in nanoseconds, ``integral`` is in value times seconds. Numbers that are
    not known are NaN, times 0: those of a bucket without used points (``n`` is 0), and what a
    series of strings does not have.
    """

    series: Integers
    time: Integers  # where the bucket begins
    n: Integers  # points used: good and uncertain
    n_bad: Integers
    n_uncertain: Integers
    mean: Floats
    m2: Floats  # sum of squared deviations from the mean
    min: Floats
    min_time: Integers  # the earliest of several
    max: Floats
    max_time: Integers
    first: Floats
    first_time: Integers
    last: Floats
    last_time: Integers
    integral: Floats  # each value held until the next point, from first_time to last_time
    increase: Floats  # of a counter: a decrease is a reset and counts the new value
    resets: Integers
    max_gap: Integers  # largest distance of two neighbouring points; 0 for a single one

    def __len__(self) -> int:
        return len(self.series)

    def columns(self) -> list[npt.NDArray[Any]]:
        """The arrays in the order of ``COLUMNS``."""
        return [getattr(self, name) for name in _NAMES]

    def take(self, places: npt.NDArray[Any]) -> States:
        """The entries at these places, or where an array of booleans is true."""
        # Points have the same array in several columns: each is taken once.
        distinct = {id(column): column for column in self.columns()}
        taken = {key: column[places] for key, column in distinct.items()}
        return States(*(taken[id(column)] for column in self.columns()))


def from_points(
    series: Integers,
    times: Integers,
    values: Floats,
    quality: npt.NDArray[np.int8],
    width_ns: int,
) -> States:
    """The states of points that are sorted by series and time, a time once per series.

    Values of strings are NaN. Raises ValueError for another order or length of the arrays, and for
    a quality that is none.
    """
    _check_points(series, times, values, quality)
    is_used = (quality != Quality.BAD) & ~np.isinf(values)
    nothing = np.zeros(len(series))
    none = np.zeros(len(series), np.int64)
    points = States(
        series=series,
        time=times,
        n=is_used.astype(np.int64),
        n_bad=(~is_used).astype(np.int64),
        n_uncertain=(is_used & (quality == Quality.UNCERTAIN)).astype(np.int64),
        mean=values,
        m2=nothing,
        min=values,
        min_time=times,
        max=values,
        max_time=times,
        first=values,
        first_time=times,
        last=values,
        last_time=times,
        integral=nothing,
        increase=nothing,
        resets=none,
        max_gap=none,
    )
    return _merged(points, bucket_starts(times, width_ns))


def merge(states: States, width_ns: int) -> States:
    """The states of longer buckets, of a width that is a multiple of the present one.

    Several states of one bucket may be given, when each has other times (``join`` brings them into
    order). Raises ValueError when states overlap, are not in order, or reach over the end of a
    bucket of that width.
    """
    starts = bucket_starts(states.time, width_ns)
    _check_states(states, starts, width_ns)
    return _merged(states, starts)


def merge_all(states: States, start: int) -> States:
    """One state of each series, whatever buckets they are of; ``start`` becomes its time."""
    return _merged(states, np.full(len(states), start, np.int64))


def join(*several: States) -> States:
    """All of several states in the order that ``merge`` needs."""
    columns = zip(*(states.columns() for states in (from_rows(()), *several)), strict=True)
    whole = States(*(np.concatenate(parts) for parts in columns))
    return whole.take(np.lexsort((whole.first_time, whole.time, whole.series)))


def rows(states: States) -> Iterator[Row]:
    """One tuple per state in the order of ``COLUMNS``; what is not known is None."""
    no_points = states.n == 0
    no_numbers = np.isnan(states.min)
    columns = []
    for name, column in zip(_NAMES, states.columns(), strict=True):
        if name in _NULL_WITHOUT_POINTS:
            columns.append(_listed(column, no_points))
        elif name in _NULL_WITHOUT_NUMBERS:
            columns.append(_listed(column, no_numbers))
        else:
            columns.append(_listed(column, np.isnan(column)))
    return zip(*columns, strict=True)


def from_rows(rows: Iterable[Sequence[Any]]) -> States:
    """States from what ``rows`` gave. Raises ValueError for rows of another length."""
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays: list[npt.NDArray[Any]] = [
        np.array(column, np.float64)  # makes NaN of None
        if kind == "REAL"
        else np.array([value or 0 for value in column], np.int64)
        for column, (_, kind) in zip(columns, COLUMNS, strict=True)
    ]
    return States(*arrays)


def _check_points(
    series: Integers, times: Integers, values: Floats, quality: npt.NDArray[np.int8]
) -> None:
    if not len(series) == len(times) == len(values) == len(quality):
        raise ValueError("series, times, values and quality are of different lengths")
    if not np.isin(quality, list(Quality)).all():
        raise ValueError("a quality is 0 (bad), 1 (uncertain) or 2 (good)")
    is_next = (series[1:] > series[:-1]) | ((series[1:] == series[:-1]) & (times[1:] > times[:-1]))
    if not is_next.all():
        raise ValueError("points are not sorted by series and time, or a time is there twice")


def _check_states(states: States, starts: Integers, width_ns: int) -> None:
    """Whether the order is right, and what is merged into a bucket lies in it."""
    same = states.series[1:] == states.series[:-1]
    is_next = (states.series[1:] > states.series[:-1]) | (
        same & (states.time[1:] >= states.time[:-1])
    )
    if not is_next.all():
        raise ValueError("states are not sorted by series and time")
    used = states.take(states.n > 0)
    same = used.series[1:] == used.series[:-1]
    if (same & (used.first_time[1:] <= used.last_time[:-1])).any():
        raise ValueError("states of a series overlap: their points cannot be put in order")
    if (bucket_starts(used.last_time, width_ns) != starts[states.n > 0]).any():
        raise ValueError(f"{width_ns} ns is not a multiple of the width of these states")


def _merged(parts: States, starts: Integers) -> States:
    """The parts of each series and start as one."""
    begins = begins_of(parts.series, starts)
    n = np.add.reduceat(parts.n, begins)
    is_used = parts.n > 0
    if is_used.all():
        statistics = _statistics(parts, begins)
    else:
        used = parts.take(np.flatnonzero(is_used))
        short = _statistics(used, begins_of(used.series, starts[is_used]))
        statistics = [spread(column, n > 0) for column in short]
    return States(
        parts.series[begins],
        starts[begins],
        n,
        np.add.reduceat(parts.n_bad, begins),
        np.add.reduceat(parts.n_uncertain, begins),
        *statistics,
    )


def _statistics(parts: States, begins: Integers) -> list[npt.NDArray[Any]]:
    """The columns from ``mean`` on of buckets that begin at these places; every part has points."""
    sizes = np.diff(begins, append=len(parts))
    ends = begins + sizes - 1
    low = np.minimum.reduceat(parts.min, begins)
    # One string makes the bucket one of strings: its NaN is the smallest value, too.
    is_text = np.isnan(low)
    high = np.maximum.reduceat(parts.max, begins)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, m2 = moments(parts.n, parts.mean, parts.m2, begins, sizes)
        gap, held, grown, is_reset = seams(
            parts.first, parts.first_time, parts.last, parts.last_time, begins
        )
        integral = np.add.reduceat(parts.integral + held, begins)
        increase = np.add.reduceat(parts.increase + grown, begins)
    return [
        finite(mean),
        finite(m2),
        low,
        earliest(parts.min_time, parts.min == np.repeat(low, sizes), begins),
        high,
        earliest(parts.max_time, parts.max == np.repeat(high, sizes), begins),
        np.where(is_text, np.nan, parts.first[begins]),
        parts.first_time[begins],
        np.where(is_text, np.nan, parts.last[ends]),
        parts.last_time[ends],
        np.where(is_text, np.nan, finite(integral)),
        np.where(is_text, np.nan, finite(increase)),
        np.where(is_text, 0, np.add.reduceat(parts.resets + is_reset, begins)),
        np.maximum.reduceat(np.maximum(parts.max_gap, gap), begins),
    ]


def _listed(column: npt.NDArray[Any], is_null: Booleans) -> list[Any]:
    values: list[Any] = column.tolist()
    if not is_null.any():
        return values
    return [
        None if is_none else value for value, is_none in zip(values, is_null.tolist(), strict=True)
    ]
