"""States of buckets: computed at once or merged, they are what the points say."""

from __future__ import annotations

import math
import sqlite3
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.points.segments import bucket_starts
from gateway_assets.points.states import (
    COLUMNS,
    States,
    from_points,
    from_rows,
    join,
    merge,
    rows,
)
from tests.points.made import (
    DAY,
    HOUR,
    MINUTE,
    NS,
    Point,
    assert_same,
    dicts,
    expected,
    states_of,
)

LARGEST = 1e12
CHAIN = (MINUTE, 5 * MINUTE, HOUR, DAY)
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

# Close together, about the same minute, hour and day, and on both sides of 1970.
_times = st.one_of(
    st.integers(-3 * MINUTE, 3 * MINUTE),
    st.integers(-3 * HOUR // NS, 3 * HOUR // NS).map(lambda second: second * NS),
    st.integers(-3 * DAY, 3 * DAY),
)
_values = st.one_of(
    st.integers(-3, 3).map(float),
    st.floats(-LARGEST, LARGEST),
    st.floats(0, 1).map(lambda value: 1e9 + value),
)
_qualities = st.sampled_from([2, 2, 2, 1, 0])


@st.composite
def _points(draw: st.DrawFn) -> list[Point]:
    """Points of a few series in order, each series of numbers or of strings."""
    keys = draw(st.sets(st.tuples(st.integers(1, 3), _times), max_size=25))
    strings = draw(st.sampled_from([0, 0, 2]))
    return [
        Point(
            series,
            time,
            math.nan if series == strings else draw(_values),
            draw(_qualities),
        )
        for series, time in sorted(keys)
    ]


@st.composite
def _chains(draw: st.DrawFn) -> list[int]:
    """Widths, each a multiple of the one before."""
    chain = [draw(st.sampled_from([1, 7, NS, MINUTE]))]
    for factor in draw(st.lists(st.integers(1, 60), max_size=4)):
        chain.append(chain[-1] * factor)
    return chain


@given(_points())
def test_minutes_days_and_what_lies_between_are_what_all_points_say(points: list[Point]) -> None:
    states = states_of(points, CHAIN[0])
    assert_same(states, expected(points, CHAIN[0]), LARGEST)
    for width in CHAIN[1:]:
        states = merge(states, width)
        assert_same(states, expected(points, width), LARGEST)
        assert_same(states_of(points, width), expected(points, width), LARGEST)


@given(_points(), _chains())
def test_any_chain_of_merges_is_what_all_points_say(points: list[Point], chain: list[int]) -> None:
    states = states_of(points, chain[0])
    for width in chain:
        states = merge(from_rows(rows(states)), width)
    assert_same(states, expected(points, chain[-1]), LARGEST)


@given(_points(), st.sets(_times), st.sampled_from(CHAIN), st.randoms())
def test_any_partition_in_time_merges_to_the_same(
    points: list[Point], cuts: set[int], width: int, random: Random
) -> None:
    borders = [INT64_MIN, *sorted(cuts), INT64_MAX]
    chunks = [
        states_of([one for one in points if start <= one.time < end], width)
        for start, end in pairwise(borders)
    ]
    random.shuffle(chunks)
    assert_same(merge(join(*chunks), width), expected(points, width), LARGEST)


@given(_points(), _points())
def test_late_points_are_merged_when_their_bucket_is_computed_again(
    early: list[Point], late: list[Point]
) -> None:
    points = sorted({(one.series, one.time): one for one in early + late}.values())
    touched = {(one.series, one.time // MINUTE) for one in late}
    states = states_of(sorted(early))
    stays = [
        (series, time // MINUTE) not in touched
        for series, time in zip(states.series.tolist(), states.time.tolist(), strict=True)
    ]
    again = states_of([one for one in points if (one.series, one.time // MINUTE) in touched])
    states = join(states.take(np.array(stays, bool)), again)
    assert_same(merge(states, DAY), expected(points, DAY), LARGEST)


def test_one_bucket_by_hand() -> None:
    points = [
        Point(7, -10 * NS, 5.0),
        Point(7, -8 * NS, 9.0, 1),
        Point(7, -7 * NS, 1000.0, 0),
        Point(7, -2 * NS, 4.0),
        Point(7, -1 * NS, 4.0),
    ]
    (found,) = dicts(states_of(points))
    assert found == {
        "series": 7,
        "time": -MINUTE,
        "n": 4,
        "n_bad": 1,
        "n_uncertain": 1,
        "mean": 5.5,
        "m2": 17.0,
        "min": 4.0,
        "min_time": -2 * NS,
        "max": 9.0,
        "max_time": -8 * NS,
        "first": 5.0,
        "first_time": -10 * NS,
        "last": 4.0,
        "last_time": -1 * NS,
        "integral": 2 * 5.0 + 6 * 9.0 + 1 * 4.0,
        "increase": 4.0 + 4.0 + 0.0,
        "resets": 1,
        "max_gap": 6 * NS,
    }


def test_a_seam_holds_the_value_counts_the_increase_and_is_a_gap() -> None:
    points = [Point(1, 10 * NS, 8.0), Point(1, 5 * MINUTE, 3.0), Point(2, 0, 50.0)]
    (found, _) = dicts(merge(states_of(points), HOUR))
    assert found["integral"] == 8.0 * 290
    assert (found["increase"], found["resets"], found["max_gap"]) == (3.0, 1, 290 * NS)


def test_a_large_offset_keeps_the_deviation() -> None:
    """The sum of squares less the square of the sum would give 789 in place of 0.8165."""
    values = [1e9 + value for value in (-1.0, 0.0, 1.0)] * 10_000
    points = [Point(1, place * NS, value) for place, value in enumerate(values)]
    for states in (states_of(points, DAY), merge(merge(states_of(points), HOUR), DAY)):
        assert states.mean.tolist() == [1e9]
        assert math.sqrt(states.m2[0] / len(values)) == pytest.approx(math.sqrt(2 / 3), rel=1e-12)


def test_a_steady_value_has_no_deviation() -> None:
    points = [Point(1, second * NS, 0.1) for second in range(600)]
    states = merge(states_of(points), HOUR)
    assert (states.mean[0], states.m2[0]) == (0.1, pytest.approx(0, abs=1e-30))


def test_a_deviation_is_never_below_zero() -> None:
    """Squares of numbers as small as these lose their digits, each in its own way."""
    value = 0.3 * 10.0**-146
    states = states_of([Point(1, time, value) for time in range(10)])
    assert states.m2.tolist() == [0.0]


def test_states_of_one_bucket_are_joined_in_order_of_their_points() -> None:
    late, early = [Point(1, 40 * NS, 5.0)], [Point(1, 10 * NS, 2.0), Point(1, 20 * NS, 3.0)]
    whole = merge(join(states_of(late), states_of(early)), MINUTE)
    assert_same(whole, expected(early + late, MINUTE), 5.0)


def test_a_bucket_of_bad_points_only_has_counts_and_no_statistic() -> None:
    points = [Point(1, 0, 1.0, 0), Point(1, MINUTE, 2.0), Point(1, 2 * MINUTE, math.nan, 0)]
    states = states_of(points)
    first, _, third = rows(states)
    assert first == (1, 0, 0, 1, 0, *[None] * 14)
    assert third == (1, 2 * MINUTE, 0, 1, 0, *[None] * 14)
    assert_same(merge(states, HOUR), expected(points, HOUR), 2.0)


def test_an_infinite_value_is_bad() -> None:
    points = [Point(1, 0, 1.0), Point(1, 1, math.inf), Point(1, 2, -math.inf, 1)]
    (found,) = dicts(states_of(points))
    assert (found["n"], found["n_bad"], found["n_uncertain"], found["max"]) == (1, 2, 0, 1.0)


def test_strings_have_times_and_counts() -> None:
    points = [Point(1, second * NS, math.nan) for second in (1, 2, 90)]
    for found in (dicts(merge(states_of(points), HOUR)), dicts(states_of(points, HOUR))):
        known = {name: value for name, value in found[0].items() if value is not None}
        assert known == {
            "series": 1,
            "time": 0,
            "n": 3,
            "n_bad": 0,
            "n_uncertain": 0,
            "first_time": NS,
            "last_time": 90 * NS,
            "max_gap": 88 * NS,
        }


def test_a_string_among_numbers_leaves_no_number_standing() -> None:
    values = (5.0, 4.0, math.nan, 3.0)
    points = [Point(1, place * MINUTE, value) for place, value in enumerate(values)]
    states = merge(states_of(points), HOUR)
    assert_same(states, expected(points, HOUR), 5.0)
    assert (dicts(states)[0]["min"], states.resets.tolist()) == (None, [0])


def test_what_overflows_is_not_known_and_the_rest_is() -> None:
    points = [Point(1, 0, 1e308), Point(1, NS, -1e308), Point(1, 90 * NS, 1e308)]
    for states in (states_of(points, HOUR), merge(states_of(points), HOUR)):
        (found,) = dicts(states)
        assert (found["m2"], found["integral"]) == (None, None)
        assert (found["min"], found["max"], found["resets"]) == (-1e308, 1e308, 1)
    (found,) = dicts(states_of([Point(1, 0, 1e200), Point(1, NS, -1e200)]))
    assert (found["mean"], found["m2"], found["integral"]) == (0.0, None, 1e200)


def test_a_mean_whose_sum_overflows_is_not_known() -> None:
    for values in ([1.7e308, 1.7e308], [-1.7e308, -1.7e308, 1.7e308]):
        points = [Point(1, time, value) for time, value in enumerate(values)]
        assert np.isnan(states_of(points).mean).all()


def test_buckets_begin_at_multiples_before_1970_too() -> None:
    times = np.array([-DAY - 1, -DAY, -1, 0, DAY - 1, DAY], np.int64)
    assert bucket_starts(times, DAY).tolist() == [-2 * DAY, -DAY, -DAY, 0, 0, DAY]


def test_the_ends_of_time_have_buckets() -> None:
    points = [Point(1, INT64_MIN, 1.0), Point(1, INT64_MIN + NS, 2.0), Point(1, INT64_MAX, 3.0)]
    states = merge(states_of(points), DAY)
    assert states.time.tolist() == [INT64_MIN, INT64_MAX // DAY * DAY]
    assert states.n.tolist() == [2, 1]
    assert states.integral.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    ("series", "times", "quality", "message"),
    [
        ([1, 1], [2, 1], [2, 2], "not sorted"),
        ([2, 1], [1, 2], [2, 2], "not sorted"),
        ([1, 1], [1, 1], [2, 2], "twice"),
        ([1, 1], [1, 2], [2, 3], "quality"),
        ([1, 1], [1, 2], [-1, 2], "quality"),
        ([1, 1], [1, 2, 3], [2, 2], "lengths"),
    ],
    ids=["times", "series", "twice", "above", "below", "lengths"],
)
def test_points_that_cannot_be_are_refused(
    series: list[int], times: list[int], quality: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        from_points(
            np.array(series, np.int64),
            np.array(times, np.int64),
            np.zeros(2),
            np.array(quality, np.int8),
            MINUTE,
        )


@pytest.mark.parametrize("width", [0, -MINUTE])
def test_a_width_is_above_zero(width: int) -> None:
    with pytest.raises(ValueError, match="no width"):
        states_of([Point(1, 0, 1.0)], width)


def test_a_width_that_is_no_multiple_is_refused() -> None:
    points = [Point(1, 80 * NS, 1.0), Point(1, 100 * NS, 2.0)]
    with pytest.raises(ValueError, match="not a multiple"):
        merge(states_of(points), 90 * NS)


def test_states_that_overlap_are_refused() -> None:
    outer = states_of([Point(1, 0, 1.0), Point(1, 2 * NS, 3.0)])
    inner = states_of([Point(1, NS, 2.0)])
    with pytest.raises(ValueError, match="overlap"):
        merge(join(outer, inner), MINUTE)


def test_states_out_of_order_are_refused() -> None:
    states = states_of([Point(1, 0, 1.0), Point(1, MINUTE, 3.0), Point(2, 0, 1.0)])
    for order in ([1, 0, 2], [2, 0, 1]):
        with pytest.raises(ValueError, match="not sorted"):
            merge(states.take(np.array(order)), HOUR)


def test_no_points_are_no_states() -> None:
    nothing = states_of([])
    assert len(nothing) == len(merge(nothing, HOUR)) == len(from_rows(())) == len(join()) == 0
    assert list(rows(nothing)) == []


def test_columns_are_those_of_the_arrays() -> None:
    kinds = {"INTEGER": np.int64, "REAL": np.float64}
    names = [name for name, _ in COLUMNS]
    for states in (states_of([Point(1, 0, 1.0, 0), Point(1, MINUTE, 2.0)]), from_rows(())):
        assert list(States.__slots__) == names
        assert [column.dtype for column in states.columns()] == [kinds[kind] for _, kind in COLUMNS]


def test_rows_survive_sqlite() -> None:
    points = [
        Point(1, 0, 0.1),
        Point(1, 30 * NS, 1e9, 1),
        Point(1, MINUTE, 5.0, 0),
        Point(2, 7, math.nan),
    ]
    states = states_of(points)
    connection = sqlite3.connect(":memory:")
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS)
    connection.execute(
        f"CREATE TABLE minutes ({columns}, PRIMARY KEY (series, time)) WITHOUT ROWID"
    )
    marks = ", ".join("?" * len(COLUMNS))
    connection.executemany(f"INSERT INTO minutes VALUES ({marks})", rows(states))
    found = list(connection.execute("SELECT * FROM minutes ORDER BY series, time"))
    connection.close()
    assert found == list(rows(states)) == list(rows(from_rows(found)))
    for column, other in zip(states.columns(), from_rows(found).columns(), strict=True):
        np.testing.assert_array_equal(column, other)


def test_rows_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        from_rows([(1, 2, 3)])
