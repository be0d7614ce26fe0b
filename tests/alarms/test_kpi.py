"""Figures of alarms, counted by hand."""

from __future__ import annotations

import pytest

from gateway_assets.alarms.kpi import DAY, HOUR, PERIOD, SECOND, Activation, Flood, Top, report
from gateway_assets.alarms.rule import Level

START = 1_790_000_000 * SECOND


def _active(
    seconds: float,
    rule: str = "r",
    series: str = "s",
    *,
    level: Level = Level.WARNING,
    cleared: float | None = None,
    acked: float | None = None,
) -> Activation:
    def at(seconds: float | None) -> int | None:
        return None if seconds is None else START + int(seconds * SECOND)

    time = at(seconds)
    assert time is not None
    return Activation(time, rule, series, level, at(cleared), at(acked))


@pytest.mark.parametrize("length", [0, -5, 1, HOUR, 30 * DAY], ids=str)
def test_without_alarms_all_is_well(length: int) -> None:
    found = report([], START, START + length)
    assert [kpi.value for kpi in found.kpis] == [0] * len(found.kpis)
    assert {kpi.met for kpi in found.kpis} == {True, None}
    assert not (found.floods or found.top or found.chattering)


def test_rates_are_an_operators() -> None:
    # Twelve in the first ten minutes, one in the third.
    alarms = [_active(n * 40, str(n)) for n in range(12)] + [_active(1200)]
    found = report(alarms, START, START + HOUR)
    assert found["average_rate"].value == pytest.approx(13 / 6)
    assert (found["peak_rate"].value, found["peak_rate"].met) == (12, False)
    assert found["busy_periods"].value == pytest.approx(100 / 6)
    assert found["busy_hours"].met is True
    shared = report(alarms, START, START + HOUR, operators=2)
    assert shared["average_rate"].value == pytest.approx(13 / 12)
    assert (shared["peak_rate"].value, shared["peak_rate"].met) == (6, True)
    assert shared.floods == ()


def test_a_range_is_half_open_and_may_end_within_a_period() -> None:
    alarms = [_active(0), _active(900), _active(-1)]
    found = report(alarms, START, START + 900 * SECOND)
    assert found["average_rate"].value == pytest.approx(1 / 1.5)
    assert found["peak_rate"].value == 1


def test_a_flood_lasts_until_it_is_quiet() -> None:
    periods = [10, 11, 5, 7, 4, 20]
    alarms = [
        _active(number * 600 + n, f"{number}-{n}")
        for number, count in enumerate(periods)
        for n in range(count)
    ]
    found = report(alarms, START, START + 6 * PERIOD)
    assert found.floods == (
        Flood(START + PERIOD, START + 4 * PERIOD, 23),
        Flood(START + 5 * PERIOD, START + 6 * PERIOD, 20),
    )
    assert found["time_in_flood"].value == pytest.approx(100 * 4 / 6)
    assert found["time_in_flood"].met is False
    assert found["busy_hours"].value == 100


def test_the_top_ten_have_shares() -> None:
    alarms = [_active(n * 700, f"r{n % 15:02}") for n in range(20)]
    found = report(alarms, START, START + DAY)
    assert found.top[0] == Top("r00", "s", 2, 10.0)
    assert [top.rule for top in found.top] == [f"r{n:02}" for n in range(10)]
    assert found["top_ten_share"].value == pytest.approx(75)


def test_three_times_in_a_minute_is_chattering() -> None:
    chatters = [_active(second) for second in (0, 59, 60)]
    slow = [_active(second, "slow") for second in (0, 30, 61)]
    spread = [_active(second, "spread", str(second)) for second in (0, 1, 2)]
    found = report(chatters + slow + spread, START, START + HOUR)
    assert found.chattering == (("r", "s"),)
    assert (found["chattering"].value, found["chattering"].met) == (1, False)


def test_fleeting_is_gone_within_a_minute() -> None:
    alarms = [_active(0, cleared=60), _active(100, cleared=161), _active(200)]
    assert report(alarms, START, START + HOUR)["fleeting"].value == 1


@pytest.mark.parametrize(
    ("cleared", "stale"),
    [(24 * 3600, 0), (24 * 3600 + 1, 1), (None, 1)],
    ids=["a day", "more", "still"],
)
def test_stale_is_active_for_more_than_a_day(cleared: float | None, stale: int) -> None:
    assert report([_active(0, cleared=cleared)], START, START + 3 * DAY)["stale"].value == stale


def test_stale_is_of_the_worst_day() -> None:
    day = 24 * 3600
    one_a_day = [_active(n * day, str(n), cleared=(n + 1.5) * day) for n in range(8)]
    assert report(one_a_day, START, START + 10 * DAY)["stale"].value == 1
    before = [_active(-5 * day, str(n)) for n in range(5)]
    found = report(before, START, START + DAY)
    assert (found["stale"].value, found["stale"].met) == (5, False)
    assert found["average_rate"].value == 0
    assert report(before[:4], START, START + DAY)["stale"].met is True


def test_what_stands_at_the_end() -> None:
    alarms = [
        _active(0, cleared=100),
        _active(1, cleared=3600, acked=10),
        _active(2, acked=3600),
        _active(-9999, "old", acked=5),
        _active(3600, "later"),
    ]
    found = report(alarms, START, START + HOUR)
    assert found["standing"].value == 3
    assert found["unacknowledged"].value == 2


def test_levels_have_shares() -> None:
    ten = [Level.INFO] * 2 + [Level.WARNING] * 5 + [Level.CRITICAL] * 2 + [Level.FATAL]
    few = report([_active(n * 60, level=level) for n, level in enumerate(ten)], START, START + HOUR)
    assert [few[f"share_{level.lower()}"].met for level in Level] == [None] * 4
    levels = ten * 10
    found = report(
        [_active(n * 30, level=level) for n, level in enumerate(levels)], START, START + HOUR
    )
    shares = [found[f"share_{level.lower()}"] for level in Level]
    assert [kpi.value for kpi in shares] == [20, 50, 20, 10]
    assert [kpi.met for kpi in shares] == [None, None, False, False]
