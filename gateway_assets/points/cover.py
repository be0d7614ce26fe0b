"""States of a range of time, put together from the longest buckets that lie whole within it.

Exact, because states merge exactly: what no bucket covers (the ends of the range, hours that are
marked) comes from shorter ones, in the end from the points.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway_assets.points.levels import HOUR, LEVELS, MINUTELY, Level
from gateway_assets.points.read import Reader
from gateway_assets.points.states import States, from_points, join, merge, merge_all

Span = tuple[int, int]


def states_of(
    reader: Reader, series: Sequence[int], start: int, end: int, bucket: int | None
) -> States:
    """The states of the points of ``[start, end)``: per bucket, or one of each series."""
    levels = [level for level in LEVELS if bucket is None or bucket % level.width == 0]
    marked = set(reader.marked_hours(series, start, end))
    # Points are cut as finely as the shortest buckets, so that all parts come in one order.
    width = MINUTELY.width if bucket is None or levels else bucket
    parts = join(*_cover(reader, series, start, end, width, levels, marked))
    return merge_all(parts, start) if bucket is None else merge(parts, bucket)


def _cover(
    reader: Reader,
    series: Sequence[int],
    start: int,
    end: int,
    width: int,
    levels: Sequence[Level],
    marked: set[int],
) -> Iterator[States]:
    """States that together have every point of the range once, each within a bucket."""
    if start >= end:
        return
    if not levels:
        reader.check_points(series, start, end)
        points = reader.points(series, start, end)
        yield from_points(points.series, points.times, points.values, points.quality, width)
        return
    *shorter, level = levels
    first, last = -(-start // level.width) * level.width, end // level.width * level.width
    if first >= last:
        yield from _cover(reader, series, start, end, width, shorter, marked)
        return
    reader.check_level(level, series, first, last)
    stale = _stale(first, last, level.width, marked)
    rolled_up = reader.rolled_up(level, series, first, last)
    for begin, until in stale:
        rolled_up = rolled_up.take((rolled_up.time < begin) | (rolled_up.time >= until))
    yield rolled_up
    for begin, until in ((start, first), *stale, (last, end)):
        yield from _cover(reader, series, begin, until, width, shorter, marked)


def _stale(start: int, end: int, width: int, marked: set[int]) -> list[Span]:
    """The spans of whole buckets in ``[start, end)`` that marked hours touch, in order."""
    step = max(width, HOUR)
    spans: list[Span] = []
    for hour in sorted(marked):
        begin = hour * HOUR // step * step
        span = max(begin, start), min(begin + step, end)
        if span[0] >= span[1]:
            continue
        if spans and spans[-1][1] >= span[0]:
            span = spans.pop()[0], span[1]
        spans.append(span)
    return spans
