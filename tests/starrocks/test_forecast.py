"""Forecasts of full disks against histories whose future is known."""

from __future__ import annotations

import runpy
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway_assets.starrocks.forecast import (
    LEAST_DAYS,
    RECENT_DAYS,
    Backtest,
    Points,
    Range,
    State,
    backtest,
    first_full,
    forecast,
    limit_of,
    slope,
)

MADE: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "made_growth.py"))
GB, TOTAL = MADE["GB"], MADE["TOTAL"]


def linear(days: int, rate: float = 10 * GB, start: float = 1000 * GB) -> Points:
    return [(day, start + day * rate) for day in range(days)]


# Errors in days: what a Theil-Sen line makes of thirty days and of all there are.
@pytest.mark.parametrize(
    ("name", "truth", "of_30", "of_120"),
    [
        ("steady", 220, 4, 2),
        ("one-off drop", 295, 20, 4),
        ("one-off backfill", 161, 4, 2),
        ("weekday growth", 219, 6, 4),
        ("disk added", 219, 6, 2),
        ("saw-tooth", 1614, 670, 100),
    ],
)
def test_made_up_histories(name: str, truth: float, of_30: float, of_120: float) -> None:
    for seed in range(5):
        for days, tolerance in ((30, of_30), (120, of_120)):
            history = MADE["HISTORIES"][name](days, Random(seed))
            assert history.truth == pytest.approx(truth, abs=10)
            found = forecast(history.points, TOTAL)
            assert found.state is State.GROWING
            assert found.days
            assert found.days.middle == pytest.approx(history.truth, abs=tolerance)
            assert found.days.low <= found.days.middle <= found.days.high


def test_what_simpler_ways_make_of_a_drop_and_a_backfill() -> None:
    dropped = MADE["dropped"](30, Random(1)).points
    assert MADE["mean_of_seven"](dropped, TOTAL) is None
    assert MADE["least_squares"](dropped, TOTAL) is None
    filled = MADE["backfilled"](30, Random(1))
    assert MADE["mean_of_seven"](filled.points, TOTAL) < filled.truth / 5
    assert MADE["least_squares"](filled.points, TOTAL) < filled.truth / 1.5


def test_a_straight_line_is_told_exactly() -> None:
    found = forecast(linear(20), 2000 * GB)
    assert found.rate == Range(10 * GB, 10 * GB, 10 * GB)
    assert found.days == Range(81, 81, 81)
    assert found.date == "1970-04-11"  # 81 days after day 19
    assert found.text.startswith("full in 81 days (81 to 81), on 1970-04-11; grows 9.3 GiB a day")
    assert forecast(linear(20), 2000 * GB, today=29).days == Range(71, 71, 71)
    assert forecast(linear(20), 2000 * GB, today=900).days == Range(0, 0, 0)


def test_the_range_is_that_of_sen() -> None:
    """Hollander and Wolfe: of n = 7, 90 per cent: the 5th of 21 slopes from either end."""
    points: Points = [(day, float(day * day)) for day in range(7)]
    slopes = sorted(a + b for a in range(7) for b in range(a))
    assert slope(points) == Range(slopes[4], slopes[10], slopes[16])


@pytest.mark.parametrize("days", range(LEAST_DAYS))
def test_less_than_a_week_is_not_enough(days: int) -> None:
    found = forecast([*linear(days), (9, None), (10, None)], 2000 * GB)
    assert (found.state, found.rate, found.days) == (State.NOT_ENOUGH_DATA, None, None)
    assert found.text == f"not enough data: {days} of 7 days"


def test_a_week_is_enough_also_with_days_between() -> None:
    found = forecast([(3 * day, used) for day, used in linear(LEAST_DAYS)], 2000 * GB)
    assert found.rate
    assert found.rate.middle == pytest.approx(10 * GB / 3)


def test_days_of_long_ago_do_not_count() -> None:
    old = linear(300, rate=100 * GB, start=0)
    now = [(day + 300, 30_000 * GB + day * GB) for day in range(RECENT_DAYS)]
    found = forecast([*old, *now], 10**15)
    assert found.rate == Range(GB, GB, GB)
    assert forecast([*old, (300 + RECENT_DAYS, 1.0)], 10**15).state is State.NOT_ENOUGH_DATA


@pytest.mark.parametrize("rate", [0, -GB])
def test_what_does_not_grow_has_no_date(rate: int) -> None:
    found = forecast(linear(30, rate=rate), 2000 * GB)
    assert (found.state, found.days, found.date) == (State.NOT_GROWING, None, None)
    assert found.text.startswith("not growing")


def test_noise_alone_is_no_growth() -> None:
    random = Random(3)
    noise = [(day, 1000 * GB + random.gauss(0, GB)) for day in range(60)]
    assert forecast(noise, 2000 * GB).state is State.NOT_GROWING


def test_beyond_the_limit_it_is_full() -> None:
    found = forecast(linear(30, rate=-GB), 900 * GB)
    assert (found.state, found.days) == (State.FULL, Range(0, 0, 0))


def test_object_storage_grows_without_a_date() -> None:
    found = forecast(linear(30), None)
    assert (found.state, found.days, found.date) == (State.GROWING, None, None)
    assert found.rate == Range(10 * GB, 10 * GB, 10 * GB)


def test_a_far_future_has_no_date() -> None:
    found = forecast(linear(30, rate=1), 10**18)
    assert (found.state, found.date) == (State.GROWING, None)
    assert "more than a hundred years" in found.text


def test_storage_stops_before_it_is_full() -> None:
    assert limit_of(1000, 95) == 950


def test_the_fullest_node_is_not_always_the_first() -> None:
    nodes = {
        "fullest": (linear(30, rate=GB, start=800 * GB), 1000.0 * GB),
        "fastest": (linear(30, rate=10 * GB, start=100 * GB), 1000.0 * GB),
        "new": (linear(3, rate=500 * GB, start=0), 1000.0 * GB),
        "shrinking": (linear(30, rate=-GB), 2000.0 * GB),
    }
    found = first_full(nodes, 95)
    assert found
    assert found[0] == "fastest"
    assert found[1].days
    assert found[1].days.middle == pytest.approx((950 - 390) / 10)
    assert first_full({name: nodes[name] for name in ("new", "shrinking")}, 95) is None


def test_past_forecasts_are_compared_with_what_came() -> None:
    assert backtest(linear(40)) == Backtest(27, 0, 0)
    assert backtest(linear(13)) == Backtest(0, None, None)
    assert backtest(linear(14)) == Backtest(1, 0, 0)
    assert backtest([*linear(100), (106, 2500 * GB)]).forecasts == 31 - 7 + 1
    kinked = [*linear(8), *((day, 1070 * GB + (day - 7) * 20 * GB) for day in range(8, 16))]
    # As of days 6 to 8: 10 GB a day foretold, and 10 more than that came on 6, 7 and 7 days.
    compared = backtest(kinked)
    assert (compared.forecasts, compared.error_bytes) == (3, 70 * GB)
    assert compared.error_days == pytest.approx(5, rel=0.4)
    steps = [(day, 1000 * GB + 100 * GB * (day // 10)) for day in range(60)]
    assert backtest(steps).error_bytes == pytest.approx(30 * GB, rel=0.3)
    assert backtest(linear(40, rate=-GB)).error_days is None
