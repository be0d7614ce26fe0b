"""Buckets without a value, against a plain loop over the grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.errors import QueryError
from gateway_assets.points import fill as module
from gateway_assets.points.fill import How, Point, fill

NAN = math.nan


def _filled(
    known: dict[int, float],
    how: How,
    max_gap: int | None = None,
    before: Point | None = None,
    after: Point | None = None,
    span: tuple[int, int] = (0, 60),
) -> dict[int, float]:
    times, values = fill(
        np.array(sorted(known), np.int64),
        np.array([known[time] for time in sorted(known)], np.float64),
        *span,
        10,
        how,
        max_gap,
        before,
        after,
    )
    assert times.dtype == np.int64
    return dict(zip(times.tolist(), values.tolist(), strict=True))


def _same(found: dict[int, float], wanted: dict[int, float]) -> None:
    assert list(found) == list(wanted)
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), rtol=1e-12)


def _reference(
    known: dict[int, float], how: How, max_gap: int | None, end: int, around: list[Point]
) -> dict[int, float]:
    points = sorted([*((t, v) for t, v in known.items() if not math.isnan(v)), *around])
    whole = {}
    for time in range(0, end, 10):
        left = [one for one in points if one[0] <= time]
        right = [one for one in points if one[0] >= time]
        whole[time] = NAN
        near = max_gap if max_gap is not None else 10**9
        held = left and time - left[-1][0] <= (near if how is How.PREVIOUS else 0)
        if held:
            whole[time] = left[-1][1]
        elif how is How.LINEAR and left and right:
            (t1, v1), (t2, v2) = left[-1], right[0]
            if t2 - t1 <= near:
                whole[time] = v1 + (v2 - v1) * (time - t1) / (t2 - t1)
    if how is How.NONE:
        return {time: value for time, value in whole.items() if not math.isnan(value)}
    return whole


@given(
    st.dictionaries(
        st.integers(0, 11).map(lambda place: place * 10), st.floats(-1, 1) | st.just(NAN)
    ),
    st.sampled_from(How),
    st.none() | st.integers(0, 60),
    st.none() | st.tuples(st.integers(-50, -1), st.floats(-1, 1)),
    st.none() | st.tuples(st.integers(120, 170), st.floats(-1, 1)),
)
def test_filled_as_a_plain_loop_does(
    known: dict[int, float],
    how: How,
    max_gap: int | None,
    before: Point | None,
    after: Point | None,
) -> None:
    found = _filled(known, how, max_gap, before, after, span=(0, 120))
    around = [one for one in (before, after) if one]
    wanted = _reference(known, how, max_gap, 120, around)
    assert list(found) == list(wanted)
    np.testing.assert_allclose(list(found.values()), list(wanted.values()), atol=1e-12)


def test_each_way_by_hand() -> None:
    known = {10: 1.0, 40: 4.0}
    _same(_filled(known, How.NONE), {10: 1.0, 40: 4.0})
    _same(_filled(known, How.NULL), {0: NAN, 10: 1.0, 20: NAN, 30: NAN, 40: 4.0, 50: NAN})
    _same(_filled(known, How.PREVIOUS), {0: NAN, 10: 1.0, 20: 1.0, 30: 1.0, 40: 4.0, 50: 4.0})
    _same(_filled(known, How.LINEAR), {0: NAN, 10: 1.0, 20: 2.0, 30: 3.0, 40: 4.0, 50: NAN})


def test_points_around_the_range_reach_into_it() -> None:
    before, after = (-5, 7.0), (70, 5.0)
    held = _filled({20: 1.0}, How.PREVIOUS, before=before)
    _same(held, {0: 7.0, 10: 7.0, 20: 1.0, 30: 1.0, 40: 1.0, 50: 1.0})
    line = _filled({20: 2.0}, How.LINEAR, before=before, after=after)
    _same(line, {0: 6.0, 10: 4.0, 20: 2.0, 30: 2.6, 40: 3.2, 50: 3.8})


def test_long_gaps_stay_gaps() -> None:
    known = {0: 1.0, 30: 4.0}
    held = {0: 1.0, 10: 1.0, 20: NAN, 30: 4.0, 40: 4.0, 50: NAN}
    _same(_filled(known, How.PREVIOUS, max_gap=10), held)
    line = {0: 1.0, 10: 2.0, 20: 3.0, 30: 4.0, 40: NAN, 50: NAN}
    _same(_filled(known, How.LINEAR, max_gap=30, after=(61, 9.0)), line)
    _same(_filled(known, How.LINEAR, max_gap=29), dict.fromkeys(range(0, 60, 10), NAN) | known)


def test_a_range_begins_with_the_bucket_its_start_is_in() -> None:
    assert list(_filled({}, How.NULL, span=(-15, 15))) == [-20, -10, 0, 10]
    assert list(_filled({}, How.NULL, span=(0, 20))) == [0, 10]
    assert _filled({}, How.PREVIOUS, before=(-1, 1.0), span=(20, 20)) == {}


def test_nanoseconds_of_these_days_are_exact() -> None:
    start, bucket = 1_790_000_000_123_456_789 // 10 * 10, 10
    times, values = fill(
        np.array([start, start + 30], np.int64),
        np.array([0.0, 3.0]),
        start,
        start + 40,
        bucket,
        How.LINEAR,
    )
    assert times.tolist() == [start, start + 10, start + 20, start + 30]
    assert values.tolist() == pytest.approx([0.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([5], "starts of buckets"),
        ([20, 10], "starts of buckets"),
        ([10, 10], "starts of buckets"),
        ([-10], "range"),
        ([60], "range"),
    ],
    ids=["between", "order", "twice", "early", "late"],
)
def test_times_that_are_no_buckets_of_the_range_are_refused(times: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fill(np.array(times, np.int64), np.ones(len(times)), 0, 60, 10, How.NULL)


def test_points_around_the_range_are_not_within() -> None:
    with pytest.raises(ValueError, match="before the range"):
        _filled({}, How.PREVIOUS, before=(0, 1.0))
    with pytest.raises(ValueError, match="after the range"):
        _filled({}, How.LINEAR, after=(59, 1.0))


def test_too_many_buckets_are_refused() -> None:
    nothing = np.array([], np.int64)
    with pytest.raises(QueryError, match="buckets are more than"):
        fill(nothing, np.array([]), 0, module.MOST_BUCKETS + 1, 1, How.NULL)
