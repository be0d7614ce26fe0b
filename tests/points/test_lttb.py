"""Downsampling for pictures, against the algorithm as it is written in the thesis."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.points.lttb import lttb
from tests.points.made import NS

Point = tuple[float, float]


def _area(a: Point, b: Point, c: Point) -> float:
    return abs((a[0] - c[0]) * (b[1] - a[1]) - (a[0] - b[0]) * (c[1] - a[1])) / 2


def _buckets(points: list[Point], count: int) -> list[list[Point]]:
    """The points between the first and the last one, in buckets; then the last one."""
    inner = points[1:-1]
    every = Fraction(len(inner), count - 2)
    borders = [math.floor(place * every) for place in range(count - 1)]
    return [*(inner[begin:end] for begin, end in pairwise(borders)), [points[-1]]]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(-20, 20)), min_size=1, max_size=80),
    st.sampled_from([3, 4, 6, 10]),
)
def test_as_in_the_thesis(steps: list[tuple[int, int]], count: int) -> None:
    """Each bucket gives the point of the largest triangle; of equal ones any, but for rounding."""
    times = np.cumsum([step for step, _ in steps])
    values = np.array([value for _, value in steps], np.float64)
    points = list(zip(times.tolist(), values.tolist(), strict=True))
    xs, ys = lttb(times, values, count)
    kept = list(zip(xs.tolist(), ys.tolist(), strict=True))
    if len(points) <= count:
        assert kept == points
        return
    assert len(kept) == count
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    buckets = pairwise(_buckets(points, count))
    for before, found, (bucket, following) in zip(kept, kept[1:-1], buckets, strict=False):
        middle = (fmean(x for x, _ in following), fmean(y for _, y in following))
        largest = max(_area(before, point, middle) for point in bucket)
        assert found in bucket
        assert _area(before, found, middle) == pytest.approx(largest)


def test_of_equal_triangles_the_earliest_stays() -> None:
    times, _ = lttb(np.arange(9, dtype=np.int64), np.zeros(9), 3)
    assert times.tolist() == [0, 1, 8]


def test_a_spike_stays() -> None:
    times = np.arange(10_000, dtype=np.int64) * NS + 1_790_000_000 * NS
    values = np.sin(np.arange(10_000) / 500)
    values[4321] = 50.0
    kept_times, kept_values = lttb(times, values, 100)
    assert len(kept_times) == 100
    assert kept_values.max() == 50.0
    assert kept_times[0] == times[0]
    assert kept_times[-1] == times[-1]
    assert (np.diff(kept_times) > 0).all()
    assert np.isin(kept_times, times).all()


def test_what_is_not_finite_is_left_out() -> None:
    values = np.array([1.0, math.nan, 2.0, math.inf, 3.0])
    times, kept = lttb(np.arange(5, dtype=np.int64), values, 3)
    assert (times.tolist(), kept.tolist()) == ([0, 2, 4], [1.0, 2.0, 3.0])


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_few_points_stay_as_they_are(length: int) -> None:
    times = np.arange(length, dtype=np.int64)
    kept, values = lttb(times, times.astype(np.float64), 3)
    assert kept.tolist() == values.tolist() == times.tolist()


def test_fewer_than_three_are_no_picture() -> None:
    with pytest.raises(ValueError, match="too few"):
        lttb(np.arange(5, dtype=np.int64), np.zeros(5), 2)
