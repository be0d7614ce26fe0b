"""Sizes by day and forecasts, over days computed from made-up rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.capacity import Capacity, capacity
from gateway_assets.clusters.growth import growth
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources import metrics_snapshots, node_samples
from gateway_assets.starrocks.forecast import State
from gateway_assets.tables import TABLES
from tests.clusters import TICK, land_all, row_of, snapshot
from tests.clusters.lived import bring
from tests.traffic import TODAY

GB = 10**9
LAST = TODAY - 1  # the last whole day
NOW = TODAY * clock.DAY + clock.HOUR


@pytest.fixture
def bridge(settings: Settings) -> Iterator[UnifiedQueryBridge]:
    bring(settings)
    with UnifiedQueryBridge(settings) as opened:
        yield opened


def land_days(settings: Settings, days: Iterable[int], **of_day: Any) -> None:
    """A snapshot at the end of each day; values that are callable are told the day."""
    for day in days:
        values = {name: value(day) if callable(value) else value for name, value in of_day.items()}
        rows = [snapshot(day * clock.DAY + clock.DAY - TICK, **values)]
        land_all(settings.landing, metrics_snapshots.SOURCE, rows)
    bring(settings)


def land_nodes(settings: Settings, days: Iterable[int], **of_day: Any) -> None:
    usual = {"cluster": "red", "kind": "be", "is_up": 1, "is_decommissioned": 0}
    for day in days:
        values = {name: value(day) if callable(value) else value for name, value in of_day.items()}
        row = {**usual, **values, "time": day * clock.DAY + clock.DAY - TICK}
        land_all(settings.landing, node_samples.SOURCE, [row_of(node_samples.SOURCE, row)])
    bring(settings)


def used(day: int) -> int:
    return (1000 + 20 * (day - LAST)) * GB


def test_growth_is_told_with_its_gap(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    known = [LAST - 6, LAST - 5, LAST - 1, LAST]
    land_days(settings, known, disk_used_bytes=used, table_bytes=lambda day: day * GB)
    land_days(settings, [LAST - 3], tables=7)  # a day of which no size is known
    rows = growth(bridge, "red", (LAST - 6) * clock.DAY, NOW)
    assert [clock.day_of(round(row["time"].timestamp() * clock.SECOND)) for row in rows] == sorted(
        [*known, LAST - 3]
    )
    told = [(row["used_growth_bytes"], row["used_growth_days"]) for row in rows]
    assert told == [(None, None), (20 * GB, 1), (None, None), (20 * GB, 4), (20 * GB, 1)]
    assert [row["table_growth_bytes"] for row in rows] == [None, GB, None, GB, GB]
    assert {row["storage_growth_bytes"] for row in rows} == {None}
    assert growth(bridge, "blue", 0, NOW) == []


def test_objects_in_storage_grow_too(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    land_days(settings, [LAST - 9, LAST - 4, LAST - 3], storage_bytes=lambda day: day * 3 * GB)
    rows = growth(bridge, "red", (LAST - 4) * clock.DAY, NOW)
    told = [(row["storage_growth_bytes"], row["storage_growth_days"]) for row in rows]
    assert told == [(3 * GB, 5), (3 * GB, 1)]


def forecast_of(bridge: UnifiedQueryBridge, limit_pct: float = 95) -> Capacity:
    return capacity(bridge, "red", limit_pct, NOW)


@pytest.mark.parametrize("where", ["hot", "archived"])
def test_a_steady_growth_ends_on_a_day(
    bridge: UnifiedQueryBridge, settings: Settings, where: str
) -> None:
    days = range(LAST - 29, LAST + 1)
    land_days(settings, days, disk_used_bytes=used, disk_total_bytes=2000 * GB, is_shared_data=0)
    land_days(settings, [TODAY], disk_used_bytes=1999 * GB)  # not over, and not looked at
    if where == "archived":
        quick = load_settings(archive_grace_hours=0)
        for table in TABLES:
            if table.name in {"daily_snapshots", "metrics_snapshots"}:
                old = list(range(LAST - 29, LAST - 3))
                archived = UniversalArchiver(quick).archive_table(table, hot_days=0, days=old)
                assert (archived.failed, len(archived.days)) == ({}, len(old))
    found = forecast_of(bridge)
    assert (found.mode, found.day) == ("shared-nothing", clock.day_text(LAST))
    assert (found.used, found.total, found.limit) == (1000 * GB, 2000 * GB, 1900 * GB)
    assert found.forecast.state is State.GROWING
    assert found.forecast.days == pytest.approx((44, 44, 44))  # 900 / 20, a day has passed
    assert found.forecast.date == clock.day_text(LAST + 45)
    assert found.backtest.error_bytes == pytest.approx(0, abs=1)
    assert found.backtest.forecasts > 10
    sooner = forecast_of(bridge, 80).forecast.days
    assert sooner == pytest.approx((29, 29, 29))


def test_object_storage_is_never_full(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    """Though the backends state a capacity: that of their cache."""
    days = range(LAST - 20, LAST + 1)
    land_days(
        settings, days, disk_used_bytes=used, disk_total_bytes=1001 * GB, is_shared_data=1,
        storage_bytes=lambda day: 5 * used(day),
    )  # fmt: skip
    land_nodes(settings, days, node="b1:9050", disk_used_bytes=used, disk_total_bytes=1001 * GB)
    found = forecast_of(bridge)
    assert (found.mode, found.measured, found.used) == (
        "shared-data", "storage_bytes", 5000 * GB,
    )  # fmt: skip
    assert found.forecast.rate is not None
    assert found.forecast.rate.middle == 100 * GB
    assert (found.forecast.days, found.forecast.date) == (None, None)
    assert (found.total, found.limit, found.first) == (None, None, None)


def test_nothing_is_promised_while_the_mode_is_unknown(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    land_days(settings, range(LAST - 9, LAST), disk_used_bytes=used, disk_total_bytes=1001 * GB)
    found = forecast_of(bridge)
    assert (found.mode, found.forecast.days, found.first) == ("unknown", None, None)


def test_the_first_backend_to_be_full_is_named(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    days = range(LAST - 9, LAST + 1)
    land_days(settings, days, disk_used_bytes=used, disk_total_bytes=9000 * GB, is_shared_data=0)
    slow, fast = {"node": "b1:9050", "node_id": "1"}, {"node": "b2:9050", "node_id": "2"}
    land_nodes(
        settings, days, **slow, disk_total_bytes=2000 * GB,
        disk_used_bytes=lambda day: (500 + (day - LAST)) * GB,
    )  # fmt: skip
    land_nodes(
        settings, days, **fast, disk_total_bytes=2000 * GB,
        disk_used_bytes=lambda day: (500 + 10 * (day - LAST)) * GB,
    )  # fmt: skip
    gone, leaving = {"node": "b3:9050"}, {"node": "b4:9050", "is_decommissioned": 1}
    nearly = {"disk_total_bytes": 2000 * GB, "disk_used_bytes": lambda day: used(day) + 800 * GB}
    land_nodes(settings, range(LAST - 20, LAST - 4), **gone, **nearly)
    land_nodes(settings, days, **leaving, **nearly)
    found = forecast_of(bridge).first
    assert found
    assert found[0] == "b2:9050"
    assert found[1].days == pytest.approx((139, 139, 139))  # (1900 - 500) / 10, less a day


def test_what_does_not_grow_and_what_is_not_known_is_said(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    empty = forecast_of(bridge)
    assert (empty.forecast.state, empty.used, empty.day) == (State.NOT_ENOUGH_DATA, None, None)
    constant = {"disk_used_bytes": 5 * GB, "disk_total_bytes": 9 * GB, "is_shared_data": 0}
    land_days(settings, range(LAST - 9, LAST + 1), **constant)
    assert forecast_of(bridge).forecast.state is State.NOT_GROWING
    assert forecast_of(bridge, 50).forecast.state is State.FULL
