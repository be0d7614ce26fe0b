"""Made-up histories of a cluster's disks, with the truth about when they will be full.

Six ways in which real disks fill. Each is a list of (day, bytes used at its end); the truth is the
number of days from the last one on until ``TOTAL`` is used, if what made the history goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import NamedTuple

GB = 10**9
TOTAL = 10_000 * GB
Points = list[tuple[int, float]]


class History(NamedTuple):
    points: Points
    truth: float  # days until TOTAL is used


def steady(days: int, random: Random) -> History:
    """20 GB a day."""
    return _history(days, random, 5600, lambda _: 20)


def dropped(days: int, random: Random) -> History:
    """The same, but tables of 1.5 TB were dropped six days ago."""
    return _history(days, random, 4100, lambda _: 20, {days - 6: -1500})


def backfilled(days: int, random: Random) -> History:
    """The same, but 1.2 TB came at once three days ago."""
    return _history(days, random, 6780, lambda _: 20, {days - 3: 1200})


def weekdays(days: int, random: Random) -> History:
    """28 GB on each of five days of a week, nothing on the other two."""
    return _history(days, random, 5620, lambda day: 28 if day % 7 < 5 else 0)


def disk_added(days: int, random: Random) -> History:
    """20 GB a day; a disk that came ten days ago, TOTAL with it, changes per cents, not bytes."""
    return _history(days, random, 5620, lambda _: 20)


def saw_tooth(days: int, random: Random) -> History:
    """18 GB come a day, and each week what expires goes at once: 3 GB a day remain."""
    return _history(days, random, 5100, lambda day: 18 - (105 if day % 7 == 6 else 0))


HISTORIES: dict[str, Callable[[int, Random], History]] = {
    "steady": steady,
    "one-off drop": dropped,
    "one-off backfill": backfilled,
    "weekday growth": weekdays,
    "disk added": disk_added,
    "saw-tooth": saw_tooth,
}


def _history(
    days: int,
    random: Random,
    end: float,
    grows: Callable[[int], float],
    steps: dict[int, float] | None = None,
) -> History:
    """Gigabytes in, bytes out, measured with an error of 3 GB. The truth is what comes if it grows
    as before.
    """
    grown = [grows(day) + (steps or {}).get(day, 0) for day in range(days)]
    used = end - sum(grown)
    points = []
    for day, growth in enumerate(grown):
        used += growth
        points.append((day, (used + random.gauss(0, 3)) * GB))
    day = days
    while used * GB < TOTAL:
        used += grows(day)
        day += 1
    return History(points, day - days)


def mean_of_seven(points: Points, limit: float) -> float | None:
    """Days until the limit by the mean growth of the last seven days; None: never."""
    last = points[-1][1]
    slope = (last - points[-8][1]) / 7
    return (limit - last) / slope if slope > 0 else None


def least_squares(points: Points, limit: float) -> float | None:
    """The same by the line through the last thirty days that is nearest in squares."""
    recent = points[-30:]
    days = [day for day, _ in recent]
    used = [size for _, size in recent]
    middle, mean = sum(days) / len(days), sum(used) / len(used)
    slope = sum((day - middle) * (size - mean) for day, size in recent) / sum(
        (day - middle) ** 2 for day in days
    )
    return (limit - used[-1]) / slope if slope > 0 else None
