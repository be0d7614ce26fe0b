"""What is read off states, against the statistics of the standard library."""

from __future__ import annotations

import math
import statistics
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.points.accessors import (
    average,
    counter_rate,
    delta,
    rate,
    stddev,
    time_weighted_average,
    total,
)
from gateway_assets.points.segments import Floats
from gateway_assets.points.states import States, merge
from tests.points.made import DAY, MINUTE, NS, Point, states_of

_samples = st.dictionaries(
    st.integers(0, DAY // NS - 1), st.floats(-1e6, 1e6), min_size=2, max_size=30
)


def _day(values: dict[int, float]) -> tuple[list[Point], States]:
    points = [Point(1, second * NS, values[second]) for second in sorted(values)]
    return points, merge(states_of(points), DAY)


def _one(numbers: Floats) -> float:
    (number,) = numbers.tolist()
    assert isinstance(number, float)
    return number


@given(_samples)
def test_average_total_and_deviation(values: dict[int, float]) -> None:
    _, states = _day(values)
    exact = [Fraction(value) for value in values.values()]
    assert _one(average(states)) == pytest.approx(float(statistics.mean(exact)), abs=1e-6)
    assert _one(total(states)) == pytest.approx(float(sum(exact)), abs=1e-5)
    assert _one(stddev(states)) == pytest.approx(statistics.stdev(exact), abs=1e-6)


@given(_samples, st.integers(0, DAY))
def test_each_value_weighs_the_time_it_was_held(values: dict[int, float], more: int) -> None:
    points, states = _day(values)
    until = points[-1].time + more
    weighed = [
        (one.value, after - one.time)
        for one, after in zip(points, [*(p.time for p in points[1:]), until], strict=True)
    ]

    def mean(some: list[tuple[float, int]]) -> float:
        weights = sum(weight for _, weight in some)
        return float(sum(Fraction(value) * weight for value, weight in some) / weights)

    assert _one(time_weighted_average(states)) == pytest.approx(mean(weighed[:-1]), abs=1e-6)
    found = _one(time_weighted_average(states, until))
    assert found == pytest.approx(mean(weighed), abs=1e-6)


@given(_samples)
def test_rates(values: dict[int, float]) -> None:
    points, states = _day(values)
    seconds = (points[-1].time - points[0].time) / NS
    change = points[-1].value - points[0].value
    grown = sum(b.value - a.value if b.value >= a.value else b.value for a, b in pairwise(points))
    assert _one(delta(states)) == change
    assert _one(rate(states)) == pytest.approx(change / seconds)
    assert _one(counter_rate(states)) == pytest.approx(grown / seconds, abs=1e-3 / seconds)


def test_chatty_hours_do_not_outweigh_quiet_ones() -> None:
    """A value each second for two hours at 100, each minute for 22 hours at 10."""
    points = [
        *(Point(1, second * NS, 100.0) for second in range(7200)),
        *(Point(1, minute * MINUTE, 10.0) for minute in range(120, 1440)),
    ]
    states = merge(merge(states_of(points), 60 * MINUTE), DAY)
    assert _one(average(states)) == pytest.approx(statistics.mean(one.value for one in points))
    assert _one(time_weighted_average(states, DAY)) == pytest.approx(17.5)


def test_a_single_point_has_no_deviation_no_rate_and_no_time() -> None:
    states = states_of([Point(1, 10 * NS, 4.0)])
    assert _one(average(states)) == _one(total(states)) == 4.0
    assert _one(delta(states)) == 0.0
    for accessor in (stddev, time_weighted_average, rate, counter_rate):
        assert math.isnan(_one(accessor(states)))
    assert _one(time_weighted_average(states, MINUTE)) == 4.0
    assert math.isnan(_one(time_weighted_average(states, 10 * NS)))


def test_bad_points_and_strings_have_nothing() -> None:
    points = [Point(1, -1, 1.0, 0), Point(2, -NS, math.nan), Point(2, -1, math.nan)]
    states = states_of(points)
    ends = states.time + MINUTE
    for numbers in (
        *(accessor(states) for accessor in (average, total, stddev, delta, rate, counter_rate)),
        time_weighted_average(states),
        time_weighted_average(states, ends),
        time_weighted_average(states, -1),
    ):
        assert np.isnan(numbers).tolist() == [True, True]


def test_each_state_has_its_own_end() -> None:
    states = states_of([Point(1, 0, 2.0), Point(1, 30 * NS, 4.0), Point(1, MINUTE, 7.0)])
    found = time_weighted_average(states, states.time + MINUTE)
    assert found.tolist() == [3.0, 7.0]


def test_an_end_before_the_last_point_is_refused() -> None:
    states = states_of([Point(1, 0, 2.0), Point(1, 30 * NS, 4.0)])
    with pytest.raises(ValueError, match="before the last point"):
        time_weighted_average(states, 29 * NS)


def test_what_overflows_is_not_known() -> None:
    states = states_of([Point(1, 0, -1e308), Point(1, 1, 1e308)])
    for accessor in (delta, rate, stddev):
        assert math.isnan(_one(accessor(states)))
    states = states_of([Point(1, 0, 0.0), Point(1, 1, 1e300)])
    assert _one(delta(states)) == 1e300
    assert math.isnan(_one(rate(states)))
