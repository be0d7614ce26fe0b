"""Buckets without a value: left out, shown as unknown, or filled from their neighbours.

Nothing is filled over a gap that is too long: what a silent device would have said is not known.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from gateway_assets.errors import QueryError
from gateway_assets.points.segments import Booleans, Floats, Integers, bucket_starts

MOST_BUCKETS = 10_000_000

Point = tuple[int, float]  # time in ns, value


class How(StrEnum):
    NONE = "none"  # buckets without a value are left out
    NULL = "null"  # they are NaN
    PREVIOUS = "previous"  # they have the last value before
    LINEAR = "linear"  # they are on the line between the values before and after


def fill(
    times: Integers,
    values: Floats,
    start: int,
    end: int,
    bucket: int,
    how: How,
    max_gap: int | None = None,
    before: Point | None = None,
    after: Point | None = None,
) -> tuple[Integers, Floats]:
    """Times and values of all buckets of ``[start, end)``, from the bucket that ``start`` is in.

    ``times`` are starts of buckets, sorted, each once; a value that is NaN is none. ``before`` is
    the last point that is earlier than the first bucket, ``after`` the first one at or after
    ``end``; without them there is nothing to hold at the beginning, and no line at either end.
    ``previous`` reaches as far as ``max_gap`` (ns) after a value, ``linear`` between values that
    are no further apart.

    Raises QueryError for too many buckets, ValueError for times that are not of these buckets.
    """
    grid = _grid(start, end, bucket)
    places = _places(times, grid, bucket)
    filled = np.full(len(grid), np.nan)
    filled[places] = values
    if how == How.NONE:
        is_known = ~np.isnan(filled)
        return grid[is_known], filled[is_known]
    if how == How.NULL:
        return grid, filled
    missing = np.flatnonzero(np.isnan(filled))
    known_times, known_values = _known(grid, filled, end, before, after)
    filled[missing] = _FILLED[how](grid[missing], known_times, known_values, max_gap)
    return grid, filled


def _grid(start: int, end: int, bucket: int) -> Integers:
    first = int(bucket_starts(np.array([start], np.int64), bucket)[0])
    count = max(0, -((first - end) // bucket))
    if count > MOST_BUCKETS:
        raise QueryError(
            f"{count:,} buckets are more than {MOST_BUCKETS:,}",
            hint="ask for a shorter time or longer buckets",
        )
    return np.arange(count, dtype=np.int64) * bucket + first


def _places(times: Integers, grid: Integers, bucket: int) -> Integers:
    if not len(times):
        return times
    if not len(grid) or times[0] < grid[0] or times[-1] > grid[-1]:
        raise ValueError("times are not in the range")
    if ((times - grid[0]) % bucket).any() or (times[1:] <= times[:-1]).any():
        raise ValueError("times are not starts of buckets, sorted and each once")
    places: Integers = (times - grid[0]) // bucket
    return places


def _known(
    grid: Integers, filled: Floats, end: int, before: Point | None, after: Point | None
) -> tuple[Integers, Floats]:
    """All points that have a value, with those around the range."""
    is_known = ~np.isnan(filled)
    times, values = grid[is_known], filled[is_known]
    if before is not None:
        if len(grid) and before[0] >= grid[0]:
            raise ValueError("the point before the range is not earlier than its first bucket")
        times, values = np.append(before[0], times), np.append(before[1], values)
    if after is not None:
        if after[0] < end:
            raise ValueError("the point after the range is earlier than its end")
        times, values = np.append(times, after[0]), np.append(values, after[1])
    return times, values


def _previous(wanted: Integers, times: Integers, values: Floats, max_gap: int | None) -> Floats:
    """The value before each wanted time; no value is known at a wanted time itself."""
    right = np.searchsorted(times, wanted)
    inside = np.flatnonzero(right > 0)
    left = right[inside] - 1
    near = _near(wanted[inside] - times[left], max_gap)
    filled = np.full(len(wanted), np.nan)
    filled[inside[near]] = values[left[near]]
    return filled


def _linear(wanted: Integers, times: Integers, values: Floats, max_gap: int | None) -> Floats:
    """The line between the values before and after each wanted time."""
    right = np.searchsorted(times, wanted)
    inside = np.flatnonzero((right > 0) & (right < len(times)))
    right = right[inside]
    left = right - 1
    gaps = times[right] - times[left]
    share = (wanted[inside] - times[left]) / gaps
    line = values[left] * (1 - share) + values[right] * share
    filled = np.full(len(wanted), np.nan)
    filled[inside] = np.where(_near(gaps, max_gap), line, np.nan)
    return filled


def _near(gaps: Integers, max_gap: int | None) -> Booleans:
    return np.ones(len(gaps), np.bool) if max_gap is None else gaps <= max_gap


_FILLED = {How.PREVIOUS: _previous, How.LINEAR: _linear}
