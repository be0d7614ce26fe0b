"""When a disk is full: from the bytes in use at the end of each day, with a range.

The growth of a day is the median of the slopes between any two days (Theil 1950, Sen 1968): a DROP,
a load of history, expiring partitions and quiet weekends hardly move it. Its range, in which it
lies with 90 per cent, is Sen's: that of Kendall's S (Hollander and Wolfe, Nonparametric Statistical
Methods, 9.3). It is made for independent errors, so what forecasts of earlier days were worth
stands beside each: ``backtest``.

Bytes, not per cents: these fall when a disk is added. Days are UTC days since 1970, and may be
missing; growth goes on from the last day, whatever came before it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from statistics import median
from typing import NamedTuple

from gateway_assets import clock

LEAST_DAYS = 7  # with data: a week has all of its days in it
RECENT_DAYS = 60  # older growth says little about the present one
HORIZON_DAYS = 7  # of the forecasts that are looked back at
BACKTEST_DAYS = 30
FARTHEST_DAYS = 36_500  # no date beyond

_90_PER_CENT = 1.645  # standard deviations to either side of a normal distribution's middle

Points = Sequence[tuple[int, float | None]]  # day, bytes in use at its end


class State(StrEnum):
    GROWING = "growing"
    FULL = "full"
    NOT_GROWING = "not growing"
    NOT_ENOUGH_DATA = "not enough data"


class Range(NamedTuple):
    """The middle, and what it lies between with 90 per cent."""

    low: float
    middle: float
    high: float


class Forecast(NamedTuple):
    """``rate`` is in bytes a day, ``days`` counts from ``today``; None where there is none to tell.

    ``days`` and ``date`` (of the middle, YYYY-MM-DD) are None, too, without a limit: object storage
    has no capacity.
    """

    state: State
    rate: Range | None
    days: Range | None
    date: str | None
    text: str


class Backtest(NamedTuple):
    """How far forecasts for ``HORIZON_DAYS`` later were from what came: the median, in bytes and
    in days of growth; None when too few days have passed or nothing grows.
    """

    forecasts: int
    error_bytes: float | None
    error_days: float | None


def limit_of(total_bytes: float, limit_pct: float) -> float:
    """Where the storage stops taking data, in bytes."""
    return total_bytes * limit_pct / 100


def forecast(points: Points, limit: float | None, today: int | None = None) -> Forecast:
    """When a limit in bytes is reached. ``today`` is the last day with data unless it is given."""
    known = _known(points)
    if len(_recent(known)) < LEAST_DAYS:
        text = f"not enough data: {len(_recent(known))} of {LEAST_DAYS} days"
        return Forecast(State.NOT_ENOUGH_DATA, None, None, None, text)
    rate = slope(known)
    last_day, used = known[-1]
    today = last_day if today is None else today
    if limit is not None and used >= limit:
        full = Range(0.0, 0.0, 0.0)
        text = f"full: {_size(used)} of {_size(limit)} are in use"
        return Forecast(State.FULL, rate, full, clock.day_text(today), text)
    if rate.low <= 0:
        return Forecast(State.NOT_GROWING, rate, None, None, f"not growing: {_rate(rate)}")
    if limit is None:
        return Forecast(State.GROWING, rate, None, None, f"no limit; {_rate(rate)}")
    left, passed = limit - used, today - last_day
    days = Range(*(max(0.0, left / one - passed) for one in reversed(rate)))
    if days.middle > FARTHEST_DAYS:
        text = f"full in more than a hundred years; {_rate(rate)}"
        return Forecast(State.GROWING, rate, days, None, text)
    date = clock.day_text(today + round(days.middle))
    text = f"full in {days.middle:,.0f} days ({days.low:,.0f} to {days.high:,.0f}), on {date}; "
    return Forecast(State.GROWING, rate, days, date, text + _rate(rate))


def first_full(
    nodes: Mapping[str, tuple[Points, float]], limit_pct: float, today: int | None = None
) -> tuple[str, Forecast] | None:
    """Of nodes by name, each with its days and the size of its disks, the first to be full.

    None when no node will be, as far as it can be told.
    """
    found = {
        name: forecast(points, limit_of(total, limit_pct), today)
        for name, (points, total) in nodes.items()
    }
    dated = [(one.days.middle, name) for name, one in found.items() if one.days]
    if not dated:
        return None
    _, name = min(dated)
    return name, found[name]


def slope(points: Points) -> Range:
    """Growth in bytes a day over the recent days. Raises ValueError for less than two of them."""
    recent = _recent(_known(points))
    count = len(recent)
    if count < 2:
        raise ValueError("growth needs two days")
    slopes = sorted(
        (used - before) / (day - earlier)
        for place, (day, used) in enumerate(recent)
        for earlier, before in recent[:place]
    )
    # Variance of Kendall's S without ties: n(n - 1)(2n + 5) / 18.
    width = _90_PER_CENT * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    low = max(0, math.floor((len(slopes) - width) / 2))
    return Range(slopes[low], median(slopes), slopes[-1 - low])


def backtest(points: Points) -> Backtest:
    """Forecast as of each of the last days of which the outcome is known, and compare."""
    known = _known(points)
    came = dict(known)
    errors = []
    for place, (day, used) in enumerate(known):
        outcome = came.get(day + HORIZON_DAYS)
        past = known[: place + 1]
        if outcome is None or day < known[-1][0] - HORIZON_DAYS - BACKTEST_DAYS:
            continue
        if len(_recent(past)) >= LEAST_DAYS:
            errors.append(abs(used + HORIZON_DAYS * slope(past).middle - outcome))
    if not errors:
        return Backtest(0, None, None)
    error, rate = median(errors), slope(known).middle
    return Backtest(len(errors), error, error / rate if rate > 0 else None)


def _known(points: Points) -> list[tuple[int, float]]:
    """In the order of days, without those of which nothing is known."""
    return sorted((day, used) for day, used in points if used is not None)


def _recent(known: Sequence[tuple[int, float]]) -> Sequence[tuple[int, float]]:
    return [point for point in known if point[0] > known[-1][0] - RECENT_DAYS]


def _rate(rate: Range) -> str:
    low, middle, high = (_size(one) for one in rate)
    return f"grows {middle} a day ({low} to {high})"


def _size(size: float) -> str:
    for unit, power in (("TiB", 4), ("GiB", 3), ("MiB", 2)):
        if abs(size) >= 1024**power:
            return f"{size / 1024**power:,.1f} {unit}"
    return f"{size:,.0f} B"
