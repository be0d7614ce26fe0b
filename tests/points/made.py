"""Points for tests, and the states of a bucket computed one by one with exact fractions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

from gateway_assets.points.states import COLUMNS, States, from_points, rows

NS = 1_000_000_000
MINUTE = 60 * NS
HOUR = 60 * MINUTE
DAY = 24 * HOUR

Expected = dict[str, Any]


class Point(NamedTuple):
    series: int
    time: int
    value: float
    quality: int = 2


def states_of(points: Iterable[Point], width_ns: int = MINUTE) -> States:
    series, times, values, quality = zip(*points, strict=True) if points else ((), (), (), ())
    return from_points(
        np.array(series, np.int64),
        np.array(times, np.int64),
        np.array(values, np.float64),
        np.array(quality, np.int8),
        width_ns,
    )


def dicts(states: States) -> list[Expected]:
    names = [name for name, _ in COLUMNS]
    return [dict(zip(names, row, strict=True)) for row in rows(states)]


def expected(points: Iterable[Point], width_ns: int) -> list[Expected]:
    """The states of each bucket, from all of its points."""
    groups = groupby(sorted(points), key=lambda one: (one.series, one.time // width_ns))
    return [
        {"series": series, "time": bucket * width_ns, **_one_bucket(list(some))}
        for (series, bucket), some in groups
    ]


def _one_bucket(points: list[Point]) -> Expected:
    used = [one for one in points if one.quality > 0]
    found = dict.fromkeys((name for name, _ in COLUMNS[2:]), None) | {
        "n": len(used),
        "n_bad": len(points) - len(used),
        "n_uncertain": sum(one.quality == 1 for one in points),
    }
    if used:
        found |= {
            "first_time": used[0].time,
            "last_time": used[-1].time,
            "max_gap": max((b.time - a.time for a, b in pairwise(used)), default=0),
        }
    if used and not any(math.isnan(one.value) for one in used):
        found |= _numbers(used)
    return found


def _numbers(used: list[Point]) -> Expected:
    exact = [Fraction(one.value) for one in used]
    mean = sum(exact) / len(exact)
    steps = [b - a if b >= a else b for a, b in pairwise(exact)]
    held = [
        value * Fraction(b.time - a.time, NS)
        for value, (a, b) in zip(exact, pairwise(used), strict=False)
    ]
    return {
        "mean": mean,
        "m2": sum((value - mean) ** 2 for value in exact),
        "min": min(one.value for one in used),
        "min_time": min(used, key=lambda one: (one.value, one.time)).time,
        "max": max(one.value for one in used),
        "max_time": min(used, key=lambda one: (-one.value, one.time)).time,
        "first": used[0].value,
        "last": used[-1].value,
        "integral": sum(held, Fraction(0)),
        "increase": sum(steps, Fraction(0)),
        "resets": sum(b < a for a, b in pairwise(exact)),
    }


ROUNDED = ("mean", "m2", "integral", "increase")


def assert_same(states: States, wanted: list[Expected], largest: float) -> None:
    """Equal; sums to 13 digits of the largest value that goes into them (``largest``)."""
    found = dicts(states)
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        exact = {name: value for name, value in other.items() if name not in ROUNDED}
        assert {name: one[name] for name in exact} == exact
        seconds = ((other["last_time"] or 0) - (other["first_time"] or 0)) / NS
        tolerance = 1e-13 * largest
        assert_near(one["mean"], other["mean"], tolerance)
        # Deviations from the mean are known to the digits of values, not of their squares.
        deviation = math.sqrt(other["n"] * (other["m2"] or 0))
        assert_near(one["m2"], other["m2"], 10 * tolerance * (deviation + other["n"] * tolerance))
        assert_near(one["integral"], other["integral"], 10 * tolerance * seconds)
        assert_near(one["increase"], other["increase"], 10 * tolerance * other["n"])


def assert_near(found: float | None, wanted: Fraction | None, tolerance: float) -> None:
    if wanted is None or found is None:
        assert (found, wanted) == (None, None)
    else:
        assert abs(Fraction(found) - wanted) <= Fraction(tolerance)
