"""Days of a cluster: what a plain look at all rows says, whenever and wherever the rows are."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.compact import expire_day
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.source import Source
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.reconcile import difference
from gateway_assets.errors import UsageError
from gateway_assets.files.landing import Row
from gateway_assets.hot import schema
from gateway_assets.hot.dirty import mark_days, waiting_days
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store, writing
from gateway_assets.rollups import drain as drain_module
from gateway_assets.rollups.drain import RollupResult, drain
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources import collection_ticks, latency_histogram, metrics_snapshots
from gateway_assets.starrocks.histogram import bucket_of, percentile
from gateway_assets.summaries import daily_snapshots
from gateway_assets.table import Table
from gateway_assets.tables import (
    COLLECTION_TICKS,
    DAILY_SNAPSHOTS,
    LATENCY_HISTOGRAM,
    METRICS_SNAPSHOTS,
    TABLES,
)
from gateway_assets.tiers import catalog
from tests.clusters import TICK, land_all, land_day, latencies, row_of, snapshot, tick, times
from tests.traffic import TODAY, seen

DAY = TODAY - 3
SNAPSHOTS, TICKS, HISTOGRAM = (
    metrics_snapshots.SOURCE,
    collection_ticks.SOURCE,
    latency_histogram.SOURCE,
)
COUNTERS = [state.column.name for state in DAILY_SNAPSHOTS.states[1:]]
BELOW = (METRICS_SNAPSHOTS, COLLECTION_TICKS, LATENCY_HISTOGRAM)


def load_all(store: sqlite3.Connection, settings: Settings) -> None:
    for table in BELOW:
        assert load(store, table, settings).quarantined == []


def brought(store: sqlite3.Connection, settings: Settings) -> RollupResult:
    load_all(store, settings)
    result = drain(store, DAILY_SNAPSHOTS, settings)
    assert result.failed == {}
    return result


def days(settings: Settings) -> dict[tuple[int, str], dict[str, Any]]:
    """All rows, of both tiers, by day and cluster."""
    found = UnifiedQueryBridge(settings).rows(
        "SELECT *, epoch_us(time) // 86400000000 AS day FROM daily_snapshots ORDER BY time, cluster"
    )
    return {(row["day"], row["cluster"]): row for row in found}


def values(rows: list[Row], column: str) -> list[Any]:
    place = [one.name for one in SNAPSHOTS.columns].index(column)
    return [row[place] for row in rows if row[place] is not None]


def assert_is_sum(day: dict[str, Any], rows: list[Row]) -> None:
    """The same by plain Python."""
    assert day["samples"] == len(rows)
    for counter in COUNTERS:
        known = values(rows, counter)
        assert day[counter] == (sum(known) if known else None), counter
    for end in ("disk_used_bytes", "table_bytes", "tables", "replicas"):
        known = values(rows, end)
        assert day[end] == (known[-1] if known else None), end
    for name, of in (("qps", "qps"), ("cpu_pct", "cpu_avg_pct"), ("heap_pct", "heap_max_pct")):
        known = values(rows, of)
        expected = (min(known), sum(known) / len(known), max(known)) if known else (None,) * 3
        assert [day[f"{name}_{end}"] for end in ("min", "avg", "max")] == pytest.approx(expected)
    total, failed = sum(values(rows, "query_total")), sum(values(rows, "query_error"))
    assert day["success_pct"] == pytest.approx(100 * (1 - failed / total))
    assert day["p99_max"] == max(values(rows, "p99"))
    down = sum(3 - alive for alive in values(rows, "be_alive"))
    assert day["node_down_seconds"] == 30 * down


@pytest.mark.parametrize("where", ["hot", "archived", "mixed", "hidden"])
def test_a_day_is_the_plain_sum_of_its_rows_wherever_they_are(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "24" if where == "hidden" else "0")
    settings = load_settings()
    rows = land_day(settings.landing, DAY, times(DAY, 0, 300), cluster="red")
    blue = land_day(settings.landing, DAY, times(DAY, 100, 200), cluster="blue")
    brought(store, settings)
    before = days(settings)
    if where != "hot":
        for table in BELOW:
            result = UniversalArchiver(settings).archive_table(table, hot_days=0, days=[DAY])
            assert (result.failed, result.days) == ({}, [clock.day_text(DAY)])
    if where == "mixed":
        rows += land_day(settings.landing, DAY, times(DAY, 300, 400), cluster="red")
    else:
        with writing(store):
            mark_days(store, DAILY_SNAPSHOTS, [DAY])
    assert brought(store, settings).computed_rows == 2
    after = days(settings)
    assert_is_sum(after[DAY, "red"], rows)
    assert_is_sum(after[DAY, "blue"], blue)
    assert after[DAY, "blue"] == before[DAY, "blue"]
    if where != "mixed":
        assert after == before
    assert {key: row["id"] for key, row in after.items()} == {
        key: row["id"] for key, row in before.items()
    }
    # What was read in the archive stays there.
    if where in {"archived", "mixed"}:
        query = "SELECT count(*) FROM metrics_snapshots"
        assert store.execute(query).fetchone() == (100 if where == "mixed" else 0,)


def test_percentiles_are_those_of_all_queries_of_the_day(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """In the busy hour they take a second, else ten milliseconds."""
    quiet = [latencies(moment, {bucket_of(10): 2}) for moment in times(DAY, step=10)]
    busy = latencies(times(DAY)[1200], {bucket_of(1000): 5000, bucket_of(3000): 100})
    land_all(settings.landing, HISTOGRAM, [*quiet, busy])
    brought(store, settings)
    (day,) = days(settings).values()
    counts = {bucket_of(10): 2 * 288, bucket_of(1000): 5000, bucket_of(3000): 100}
    assert day["p50"] == percentile(counts, 0.5) == pytest.approx(1000, rel=0.02)
    assert day["p99"] == pytest.approx(3000, rel=0.02)
    assert day["samples"] == 0
    assert day["query_total"] is None


def test_percentiles_are_unknown_where_a_row_cannot_be_read(
    store: sqlite3.Connection, settings: Settings
) -> None:
    moments = times(DAY)
    good = [latencies(moments[0], {7: 2}, name) for name in ("red", "blue")]
    land_all(settings.landing, HISTOGRAM, [*good, (moments[10], "red", 2, '{"7":"2"}')])
    brought(store, settings)
    told = {row["cluster"]: row["p50"] for row in days(settings).values()}
    assert told == {"red": None, "blue": percentile({7: 2}, 0.5)}


def test_unknown_is_null(store: sqlite3.Connection, settings: Settings) -> None:
    land_all(settings.landing, SNAPSHOTS, [snapshot(moment) for moment in times(DAY)])
    land_all(settings.landing, TICKS, [tick(moment) for moment in times(DAY)])
    brought(store, settings)
    (day,) = days(settings).values()
    known = {name for name, value in day.items() if value is not None}
    assert known == {
        "id", "time", "day", "cluster", "samples", "coverage_pct", "gap_seconds", "first_seen",
        "last_seen", "availability_pct",
    }  # fmt: skip
    assert (day["samples"], day["coverage_pct"], day["gap_seconds"]) == (2880, 100, 0)


def test_no_queries_are_no_success(store: sqlite3.Connection, settings: Settings) -> None:
    rows = [snapshot(moment, query_total=0, query_error=0) for moment in times(DAY, 0, 10)]
    land_all(settings.landing, SNAPSHOTS, rows)
    brought(store, settings)
    (day,) = days(settings).values()
    assert (day["query_total"], day["success_pct"], day["service_success_pct"]) == (0, None, None)


def ticked(store: sqlite3.Connection, settings: Settings, rows: list[Row]) -> dict[str, Any]:
    land_all(settings.landing, TICKS, rows)
    brought(store, settings)
    return days(settings)[DAY, "red"]


def test_gaps_and_coverage(store: sqlite3.Connection, settings: Settings) -> None:
    """Down from 00:00 to 01:00, for one tick (which is late, not a gap), and from 23:30 on."""
    moments = [*times(DAY, 120, 1000), *times(DAY, 1001, 2820)]
    day = ticked(store, settings, [tick(moment) for moment in moments])
    assert day["gap_seconds"] == 3600 + 1800
    assert day["coverage_pct"] == pytest.approx(100 * (2880 - 120 - 1 - 60) / 2880)
    assert day["availability_pct"] == 100
    assert clock.parse_moment(str(day["first_seen"])) == moments[0]
    assert clock.parse_moment(str(day["last_seen"])) == moments[-1]


def test_two_and_a_half_intervals_are_no_gap(store: sqlite3.Connection, settings: Settings) -> None:
    near = [DAY * clock.DAY + number * TICK * 5 // 2 for number in range(1152)]
    assert ticked(store, settings, [tick(moment) for moment in near])["gap_seconds"] == 0
    far = near[:10] + [moment + 1 for moment in near[10:]]
    more = ticked(store, settings, [tick(moment, "blue") for moment in far])
    assert more["gap_seconds"] == 0
    assert days(settings)[DAY, "blue"]["gap_seconds"] == 45


def test_a_cluster_that_does_not_answer_is_no_gap(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """For a quarter of the day no frontend answered, for another one no backend was alive."""
    states = {0: "failed", 1: "partial", 2: "ok", 3: "ok"}
    moments = times(DAY)
    land_all(
        settings.landing,
        SNAPSHOTS,
        [snapshot(m, fe_alive=1, be_alive=0) for m in moments[720:1440]]
        + [snapshot(m, fe_alive=1, be_alive=0, cn_alive=1) for m in moments[1440:2160]]
        + [snapshot(m, fe_alive=1) for m in moments[2160:]],
    )
    rows = [tick(moment, status=states[place // 720]) for place, moment in enumerate(moments)]
    day = ticked(store, settings, rows)
    assert (day["coverage_pct"], day["availability_pct"], day["gap_seconds"]) == (75, 50, 0)


@pytest.mark.parametrize("seconds", [10, 45, 60, 300])
def test_a_day_of_another_interval_is_covered_as_well(
    store: sqlite3.Connection, settings: Settings, seconds: int
) -> None:
    """But for one tick in ten at which no frontend answers, and a node that is down all the day."""
    start, end = clock.day_range(DAY)
    moments = range(start, end, seconds * clock.SECOND)
    land_all(settings.landing, SNAPSHOTS, [snapshot(m, be_total=3, be_alive=2) for m in moments])
    rows = [
        tick(moment, status="ok" if number % 10 else "failed", interval=seconds)
        for number, moment in enumerate(moments)
    ]
    day = ticked(store, settings, rows)
    part = 100 * (1 - -(-len(rows) // 10) / len(rows))
    assert day["coverage_pct"] == pytest.approx(part, abs=1e-6)
    assert day["availability_pct"] == pytest.approx(part, abs=1e-6)
    assert (day["gap_seconds"], day["node_down_seconds"]) == (0, 86_400)


def test_a_day_on_which_the_interval_was_changed(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """To 06:00 each 30 seconds, not yet said; to 12:00 each 10; from 13:00 on each 300. The first
    of those, at 12:00, nobody saw, and a look by hand at 15:01 begins its interval again.
    """
    start, end = clock.day_range(DAY)
    marks = [start, start + 6 * clock.HOUR, start + 12 * clock.HOUR, start + 13 * clock.HOUR]
    looks: list[tuple[int, int | None]]
    looks = [(moment, None) for moment in range(marks[0], marks[1], TICK)]
    looks += [(moment, 10) for moment in range(marks[1], marks[2], 10 * clock.SECOND)]
    looks += [(moment, 300) for moment in range(marks[3], end, 300 * clock.SECOND)]
    looks += [(start + 15 * clock.HOUR + 60 * clock.SECOND, 300)]
    down = [moment for moment, _ in looks if marks[1] - clock.HOUR <= moment < marks[3]]
    land_all(
        settings.landing,
        SNAPSHOTS,
        [snapshot(m, be_total=1, be_alive=0 if m in down else 1) for m, _ in looks],
    )
    day = ticked(store, settings, [tick(m, interval=seconds) for m, seconds in looks])
    assert day["coverage_pct"] == pytest.approx(100 * 23 / 24, abs=1e-6)
    assert day["gap_seconds"] == 3600
    assert day["node_down_seconds"] == 7 * 3600
    assert day["availability_pct"] == pytest.approx(100 * 16 / 23, abs=1e-6)


def test_an_interval_that_cannot_be_is_that_of_rows_without_one(
    store: sqlite3.Connection, settings: Settings
) -> None:
    rows = [tick(moment, interval=number % 3 - 2) for number, moment in enumerate(times(DAY))]
    day = ticked(store, settings, rows)
    assert (day["coverage_pct"], day["gap_seconds"]) == (100, 0)


def test_a_collector_that_is_down_over_midnight(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """From 22:00 to 03:00: the gap is divided at midnight, and each day has its own rows only."""
    late = land_day(settings.landing, DAY, times(DAY, 0, 2640))
    early = land_day(settings.landing, DAY + 1, times(DAY + 1, 360))
    brought(store, settings)
    found = days(settings)
    assert found[DAY, "red"]["gap_seconds"] == 2 * 3600
    assert found[DAY + 1, "red"]["gap_seconds"] == 3 * 3600
    assert_is_sum(found[DAY, "red"], late)
    assert_is_sum(found[DAY + 1, "red"], early)


def test_a_row_at_midnight_is_of_the_day_that_begins(
    store: sqlite3.Connection, settings: Settings
) -> None:
    midnight = (DAY + 1) * clock.DAY
    rows = [snapshot(midnight - 1, query_total=1), snapshot(midnight, query_total=10)]
    land_all(settings.landing, SNAPSHOTS, rows)
    brought(store, settings)
    assert {day: row["query_total"] for (day, _), row in days(settings).items()} == {
        DAY: 1,
        DAY + 1: 10,
    }


@pytest.fixture
def _in_berlin() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as moved:
        moved.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize("changes", ["2026-03-29", "2026-10-25"])
@pytest.mark.usefixtures("_in_berlin")
def test_days_are_of_24_hours_where_clocks_change(
    store: sqlite3.Connection, settings: Settings, changes: str
) -> None:
    """In Berlin these have 23 and 25 hours, and the zone of this machine is nobody's business."""
    day = clock.parse_day(changes)
    rows = {one: land_day(settings.landing, one, times(one, step=8)) for one in (day - 1, day)}
    for one in rows:
        land_all(settings.landing, TICKS, [tick(moment) for moment in times(one)])
    brought(store, settings)
    found = days(settings)
    for one, its in rows.items():
        assert_is_sum(found[one, "red"], its)
        assert (found[one, "red"]["coverage_pct"], found[one, "red"]["gap_seconds"]) == (100, 0)


def test_doing_it_again_changes_nothing(store: sqlite3.Connection, settings: Settings) -> None:
    for day in (DAY, DAY + 1):
        land_day(settings.landing, day, times(day, 0, 100))
    brought(store, settings)
    before = store.execute("SELECT * FROM daily_snapshots").fetchall()
    assert brought(store, settings).days == []
    with writing(store):
        mark_days(store, DAILY_SNAPSHOTS, [DAY, DAY + 1])
    store.execute("CREATE TEMP TABLE written (what TEXT)")
    for what in ("INSERT", "UPDATE", "DELETE"):
        store.execute(
            f"CREATE TEMP TRIGGER on_{what} AFTER {what} ON main.daily_snapshots "
            f"BEGIN INSERT INTO written VALUES ('{what}'); END"
        )
    assert brought(store, settings).computed_rows == 2
    assert store.execute("SELECT * FROM daily_snapshots").fetchall() == before
    assert store.execute("SELECT * FROM written").fetchall() == []


def test_today_is_computed_again_until_it_is_over(
    store: sqlite3.Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when no row comes any more: a collector that stopped at noon must not look covered."""
    noon = TODAY * clock.DAY + clock.DAY // 2
    monkeypatch.setattr(clock, "now", lambda: noon + clock.SECOND)
    land_all(settings.landing, TICKS, [tick(moment) for moment in times(TODAY, 0, 1439)])
    brought(store, settings)
    (day,) = days(settings).values()
    assert (day["coverage_pct"], day["gap_seconds"]) == (100, 0)
    monkeypatch.setattr(clock, "now", lambda: noon + clock.HOUR)
    brought(store, settings)
    (day,) = days(settings).values()
    assert day["coverage_pct"] == pytest.approx(100 * 1439 / 1560)
    assert day["gap_seconds"] == 3600 + 30
    monkeypatch.setattr(clock, "now", lambda: noon + clock.DAY)
    brought(store, settings)
    (day,) = days(settings).values()
    assert (day["coverage_pct"], day["gap_seconds"]) == (pytest.approx(49.965278), 43230)
    assert waiting_days(store, DAILY_SNAPSHOTS) == []


def test_late_rows(store: sqlite3.Connection, settings: Settings) -> None:
    rows = land_day(settings.landing, DAY, times(DAY, 0, 50))
    brought(store, settings)
    assert_is_sum(days(settings)[DAY, "red"], rows)
    land_all(settings.landing, SNAPSHOTS, late := [snapshot(DAY * clock.DAY + 1, query_total=7)])
    brought(store, settings)
    day = days(settings)[DAY, "red"]
    assert day["query_total"] == sum(values([*rows, *late], "query_total"))
    assert day["id"] == 1


def test_of_two_rows_of_one_tick_the_later_tells_the_end(
    store: sqlite3.Connection, settings: Settings
) -> None:
    moment = DAY * clock.DAY
    for tables in (5, 6, None):
        land_all(settings.landing, SNAPSHOTS, [snapshot(moment, tables=tables, tablets=tables)])
    brought(store, settings)
    assert days(settings)[DAY, "red"]["tables"] == 6


def ended(settings: Settings, day: int, used: int | None, cluster: str = "red") -> None:
    rows = [snapshot(day * clock.DAY, cluster, disk_used_bytes=used, table_bytes=used)]
    land_all(settings.landing, SNAPSHOTS, rows)


def growths(settings: Settings) -> dict[int, tuple[int | None, int | None]]:
    return {
        day: (row["used_growth_bytes"], row["growth_days"])
        for (day, cluster), row in days(settings).items()
        if cluster == "red"
    }


def test_growth_over_a_gap_is_no_double_step(store: sqlite3.Connection, settings: Settings) -> None:
    first = TODAY - 300
    for day, used in ((0, 100), (1, 110), (4, 170), (5, None), (6, 180), (120, 999)):
        ended(settings, first + day, used)
        ended(settings, first + day, 5, "blue")
    brought(store, settings)
    assert growths(settings) == {
        first: (None, None),
        first + 1: (10, 1),
        first + 4: (20, 3),
        first + 5: (None, None),
        first + 6: (5, 2),
        first + 120: (None, None),  # nobody knows what happened in 114 days
    }
    assert all(
        (row["table_growth_bytes"], row["table_growth_days"])
        == (row["used_growth_bytes"], row["growth_days"])
        for row in days(settings).values()
    )


def test_the_day_after_is_brought_right_too(store: sqlite3.Connection, settings: Settings) -> None:
    for day, used in ((0, 100), (3, 130), (4, 140)):
        ended(settings, DAY + day - 10, used)
    brought(store, settings)
    ended(settings, DAY + 1 - 10, 70)
    load_all(store, settings)
    result = drain(store, DAILY_SNAPSHOTS, settings, [DAY + 1 - 10])
    assert result.days == [clock.day_text(DAY + day - 10) for day in (1, 3)]
    assert growths(settings) == {
        DAY - 10: (None, None),
        DAY - 9: (-30, 1),
        DAY - 7: (30, 2),
        DAY - 6: (10, 1),
    }
    assert waiting_days(store, DAILY_SNAPSHOTS) == []


@pytest.mark.parametrize("grace", ["0", "24"])
def test_late_rows_of_days_whose_summary_is_archived(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, grace: str
) -> None:
    """They are restored, and so is the day after, whose growth changes; ids stay."""
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", grace)
    settings = load_settings()
    for day in range(4):
        ended(settings, DAY + day - 10, 100 + 10 * day)
    brought(store, settings)
    ids = {key: row["id"] for key, row in days(settings).items()}
    for table in (*BELOW, DAILY_SNAPSHOTS):
        UniversalArchiver(settings).archive_table(table, hot_days=0).raise_failures()
    assert len(manifest.live_files(store, seen(store, DAILY_SNAPSHOTS))) == 4
    rows = [snapshot((DAY - 9) * clock.DAY + 1, disk_used_bytes=115, table_bytes=115)]
    land_all(settings.landing, SNAPSHOTS, rows)
    result = brought(store, settings)
    assert result.restored_days == [clock.day_text(DAY - 9), clock.day_text(DAY - 8)]
    assert growths(settings) == {
        DAY - 10: (None, None),
        DAY - 9: (15, 1),  # since an archived day
        DAY - 8: (5, 1),
        DAY - 7: (10, 1),
    }
    assert {key: row["id"] for key, row in days(settings).items()} == ids
    for table in (*BELOW, DAILY_SNAPSHOTS):
        UniversalArchiver(settings).archive_table(table, hot_days=0).raise_failures()
        assert difference(table, settings) == ""


def expire(store: sqlite3.Connection, settings: Settings, table: Table) -> int:
    """What retention does with the day, once it is archived."""
    UniversalArchiver(settings).archive_table(table, hot_days=0, days=[DAY]).raise_failures()
    return expire_day(Source(store, seen(store, table), settings.archive), DAY)


@pytest.mark.parametrize("table", BELOW, ids=[table.name for table in BELOW])
def test_a_day_whose_rows_have_expired_stays_as_it_is(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, table: Table
) -> None:
    """Whichever table they were in; and it is no reason to keep anything hot."""
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    settings = load_settings()
    land_day(settings.landing, DAY, times(DAY, 0, 50), cluster="red")
    land_day(settings.landing, DAY, times(DAY, 0, 50), cluster="blue")
    ended(settings, DAY + 1, 10**15)
    brought(store, settings)
    before = days(settings)
    gone = expire(store, settings, table)
    land_all(settings.landing, SNAPSHOTS, [snapshot(DAY * clock.DAY, "blue", query_total=1)])
    land_all(settings.landing, SNAPSHOTS, [snapshot(DAY * clock.DAY, "green", query_total=1)])
    result = brought(store, settings)
    assert result.kept == {
        clock.day_text(DAY): f"{gone} rows of {table.name} have expired since; its rows stay"
    }
    after = days(settings)
    assert {key: after[key] for key in before} == before
    assert after[DAY, "green"]["query_total"] == 1
    for archived in (*BELOW, DAILY_SNAPSHOTS):
        UniversalArchiver(settings).archive_table(archived, hot_days=0).raise_failures()


def test_erased_rows_leave_the_figures_and_others_go_on(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster of which nothing is left below keeps its row until that is erased, too."""
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    settings = load_settings()
    land_day(settings.landing, DAY, times(DAY, 0, 50), cluster="red")
    rows = land_day(settings.landing, DAY, times(DAY, 0, 50), cluster="blue")
    brought(store, settings)
    before = days(settings)
    archiver = UniversalArchiver(settings)
    for table in BELOW:
        archiver.erase(table, {"cluster": "red"})
    archiver.erase(METRICS_SNAPSHOTS, {"cluster": "blue", "time": str(rows[-1][0])})
    late = land_day(settings.landing, DAY, times(DAY, 50, 100), cluster="blue")
    assert brought(store, settings).kept == {}
    after = days(settings)
    assert after[DAY, "red"] == before[DAY, "red"]
    assert_is_sum(after[DAY, "blue"], [*rows[:-1], *late])
    for table in (*BELOW, DAILY_SNAPSHOTS):
        archiver.archive_table(table, hot_days=0).raise_failures()


def test_rows_of_a_summary_are_erased_after_those_below(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, the next computation would bring them back, and they would count twice."""
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    settings = load_settings()
    for cluster in ("red", "blue"):
        land_day(settings.landing, DAY, times(DAY, 0, 50), cluster=cluster)
    brought(store, settings)
    archiver = UniversalArchiver(settings)
    archiver.archive_table(COLLECTION_TICKS, hot_days=0).raise_failures()
    red = {"cluster": "red"}
    for table in BELOW:
        with pytest.raises(UsageError, match=f"computed again from {table.name}"):
            archiver.erase(DAILY_SNAPSHOTS, red)
        with pytest.raises(UsageError, match=f"computed again from {table.name}"):
            archiver.matching(DAILY_SNAPSHOTS, red)
        archiver.erase(table, red)
    with pytest.raises(UsageError, match="computed from other tables"):
        archiver.erase(DAILY_SNAPSHOTS, {"samples": "50"})
    assert archiver.erase(DAILY_SNAPSHOTS, red).hot_rows == 1
    with writing(store):
        mark_days(store, DAILY_SNAPSHOTS, [DAY])
    brought(store, settings)
    assert list(days(settings)) == [(DAY, "blue")]
    for table in (*BELOW, DAILY_SNAPSHOTS):
        archiver.archive_table(table, hot_days=0).raise_failures()


def test_two_at_the_same_time(
    store: sqlite3.Connection, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process computes the day, and clears the mark, when this one has just begun."""
    settings = load_settings(archive_grace_hours=0)
    rows = land_day(settings.landing, DAY, times(DAY, 0, 50))
    brought(store, settings)
    UniversalArchiver(settings).archive_table(METRICS_SNAPSHOTS, hot_days=0)
    with writing(store):
        mark_days(store, DAILY_SNAPSHOTS, [DAY])
    first = iter([True])

    def other_first(connection: sqlite3.Connection) -> AbstractContextManager[None]:
        if next(first, False):
            with open_store(settings.hot_database) as other:
                assert drain(other, DAILY_SNAPSHOTS, settings).computed_rows == 1
        return writing(connection)

    monkeypatch.setattr(drain_module, "writing", other_first)
    assert drain(store, DAILY_SNAPSHOTS, settings).computed_rows == 0
    assert_is_sum(days(settings)[DAY, "red"], rows)


def computing(before: Callable[[], None]) -> Table:
    """The table, of which something happens each time before a day is computed."""
    summary = DAILY_SNAPSHOTS.summary
    assert summary

    def compute(
        connection: sqlite3.Connection, below: Mapping[str, str], day: int, now: int
    ) -> Any:
        found = list(summary.compute(connection, below, day, now))
        before()
        return found

    return replace(DAILY_SNAPSHOTS, summary=replace(summary, compute=compute))


def test_rows_that_come_while_a_day_is_computed(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """They need not wait for it, and are in its figures."""
    rows = land_day(settings.landing, DAY, times(DAY, 0, 50))
    load_all(store, settings)
    late = iter([times(DAY, 50, 70)])

    def load_more() -> None:
        for moments in late:
            rows.extend(land_day(settings.landing, DAY, moments))
            with open_store(settings.hot_database) as other:
                other.execute("PRAGMA busy_timeout = 0")
                load_all(other, settings)

    result = drain(store, computing(load_more), settings)
    assert (result.failed, len(rows)) == ({}, 70)
    assert waiting_days(store, DAILY_SNAPSHOTS) == []
    assert_is_sum(days(settings)[DAY, "red"], rows)


def test_another_process_is_done_and_more_rows_come_while_a_day_is_computed(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """The day is marked as it was before, but by another mark."""
    rows = land_day(settings.landing, DAY, times(DAY, 0, 50))
    load_all(store, settings)
    first = iter([True])

    def others() -> None:
        if next(first, False):
            with open_store(settings.hot_database) as other:
                brought(other, settings)
                rows.extend(land_day(settings.landing, DAY, times(DAY, 50, 70)))
                load_all(other, settings)

    assert drain(store, computing(others), settings).failed == {}
    assert waiting_days(store, DAILY_SNAPSHOTS) == []
    assert_is_sum(days(settings)[DAY, "red"], rows)


def test_a_day_of_which_rows_come_all_the_time_is_done(
    store: sqlite3.Connection, settings: Settings
) -> None:
    rows = land_day(settings.landing, DAY, times(DAY, 0, 50))
    load_all(store, settings)
    had_to_wait = []

    def load_more() -> None:
        first = 50 + len(rows)
        more = land_day(settings.landing, DAY, times(DAY, first, first + 1))
        with open_store(settings.hot_database) as other:
            other.execute("PRAGMA busy_timeout = 0")
            try:
                load_all(other, settings)
            except sqlite3.OperationalError:
                had_to_wait.append(first)
            else:
                rows.extend(more)

    result = drain(store, computing(load_more), settings)
    assert (result.failed, len(rows), len(had_to_wait)) == ({}, 50 + 4, 1)
    assert_is_sum(days(settings)[DAY, "red"], rows)


def test_columns_that_come_later_are_computed_of_days_that_have_rows(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever those are; a day whose rows have expired keeps NULL."""
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    settings = load_settings()
    gone, archived, hot = DAY - 9, DAY - 1, DAY
    rows = {
        day: land_day(settings.landing, day, times(day, 0, 50)) for day in (gone, archived, hot)
    }
    older = without_columns(3)
    store.execute("DROP TABLE daily_snapshots")
    with monkeypatch.context() as release:
        tables = tuple(older if table is DAILY_SNAPSHOTS else table for table in TABLES)
        release.setattr(schema, "TABLES", tables)
        release.setattr(catalog, "TABLES", tables)
        with open_store(settings.hot_database) as its:
            load_all(its, settings)
            assert drain(its, older, settings).failed == {}
            for table in (*BELOW, older):
                archiver = UniversalArchiver(settings)
                archiver.archive_table(table, hot_days=0, days=[gone, archived]).raise_failures()
            for table in BELOW:
                assert expire_day(Source(its, seen(its, table), settings.archive), gone)
            before = days(settings)
    with open_store(settings.hot_database) as again:
        assert waiting_days(again, DAILY_SNAPSHOTS) == [archived, hot]
        result = drain(again, DAILY_SNAPSHOTS, settings)
        assert (result.failed, result.restored_days) == ({}, [clock.day_text(archived)])
    after = days(settings)
    for day in (archived, hot):
        assert_is_sum(after[day, "red"], rows[day])
        assert before[day, "red"].items() <= after[day, "red"].items()
    last = [column.name for column in DAILY_SNAPSHOTS.columns[-3:]]
    assert after[gone, "red"] == {**before[gone, "red"], **dict.fromkeys(last)}
    for table in (*BELOW, DAILY_SNAPSHOTS):
        UniversalArchiver(settings).archive_table(table, hot_days=0).raise_failures()


def without_columns(number: int) -> Table:
    """The table as a release had it that did not know its last columns."""
    summary, columns = DAILY_SNAPSHOTS.summary, DAILY_SNAPSHOTS.columns[:-number]
    assert summary
    states = tuple(state for state in summary.states if state.column in columns)
    return replace(DAILY_SNAPSHOTS, columns=columns, summary=replace(summary, states=states))


def test_a_summary_that_is_younger_than_its_rows(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    settings = load_settings()
    rows = {day: land_day(settings.landing, day, times(day, 0, 50)) for day in (DAY, DAY + 1)}
    brought(store, settings)
    UniversalArchiver(settings).archive_table(METRICS_SNAPSHOTS, hot_days=0, days=[DAY])
    store.execute("DROP TABLE daily_snapshots")
    with open_store(settings.hot_database) as again:
        assert waiting_days(again, DAILY_SNAPSHOTS) == [DAY, DAY + 1]
        brought(again, settings)
    for day, its in rows.items():
        assert_is_sum(days(settings)[day, "red"], its)


def test_rows_of_one_table_wait_for_the_summary_of_all(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_day(settings.landing, DAY - 20, times(DAY - 20, 0, 20))
    load_all(store, settings)
    archiver = UniversalArchiver(settings)
    for table in BELOW:
        kept = archiver.archive_table(table).kept
        assert "gateway rollup" in kept[clock.day_text(DAY - 20)]
    drain(store, DAILY_SNAPSHOTS, settings)
    for table in BELOW:
        assert archiver.archive_table(table).days == [clock.day_text(DAY - 20)]


def test_rows_do_not_leave_before_the_summary_adds_up(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_day(settings.landing, DAY - 20, times(DAY - 20, 0, 20))
    brought(store, settings)
    store.execute("UPDATE daily_snapshots SET load_bytes = load_bytes + 1")
    result = UniversalArchiver(settings).archive_table(METRICS_SNAPSHOTS)
    assert "daily_snapshots has" in result.failed[clock.day_text(DAY - 20)]


def test_every_counter_of_the_snapshots_is_summed() -> None:
    summed = [column.name for column in SNAPSHOTS.columns if column.summed]
    assert summed == COUNTERS
    assert DAILY_SNAPSHOTS.summed == ("samples", *COUNTERS)


def test_what_a_table_is_made_from_stands_before_it() -> None:
    names = [table.name for table in TABLES]
    for table in TABLES:
        assert all(names.index(below) < names.index(table.name) for below in table.below)


def test_killed_before_any_statement(settings: Settings, tmp_path: Path) -> None:
    """The day stays dirty and as it was, or is done; the next run makes it right."""
    with open_store(settings.hot_database) as store:
        land_day(settings.landing, DAY, times(DAY, 0, 40))
        brought(store, settings)
        land_day(settings.landing, DAY, times(DAY, 40, 60))
        load_all(store, settings)
    number = kills = 0
    while kills == number:
        number += 1
        trial = load_settings(data_dir=tmp_path / f"trial{number}")
        shutil.copytree(settings.data_dir, trial.data_dir)
        kills += killed_at_statement(number, trial)
        with open_store(trial.hot_database) as store:
            state = (samples(store), waiting_days(store, DAILY_SNAPSHOTS))
            assert state in [(40, [DAY]), (60, [])]
            drain(store, DAILY_SNAPSHOTS, trial)
            assert (samples(store), waiting_days(store, DAILY_SNAPSHOTS)) == (60, [])
            assert store.execute("SELECT id FROM daily_snapshots").fetchall() == [(1,)]
        shutil.rmtree(trial.data_dir)
    assert kills > 20


def samples(store: sqlite3.Connection) -> int:
    (number,) = store.execute("SELECT sum(samples) FROM daily_snapshots").fetchone()
    return int(number)


def killed_at_statement(number: int, settings: Settings) -> bool:
    """Drain in a fork that ends itself with SIGKILL before its n-th statement; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            with open_store(settings.hot_database) as connection:
                connection.set_trace_callback(killer(number))
                drain(connection, DAILY_SNAPSHOTS, settings)
                connection.set_trace_callback(None)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def killer(number: int) -> Callable[[str], None]:
    calls = itertools.count(1)

    def count(statement: str) -> None:
        if next(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return count


def test_every_column_but_those_of_growth_is_computed() -> None:
    """Also the other way round: a name that is not declared would be lost without a word."""
    connection = sqlite3.connect(":memory:")
    filled = {column.name: 1 for column in SNAPSHOTS.columns} | {"cluster": "red"}
    made = {
        SNAPSHOTS: row_of(SNAPSHOTS, {**filled, "time": DAY * clock.DAY}),
        TICKS: tick(DAY * clock.DAY),
        HISTOGRAM: latencies(DAY * clock.DAY, {1: 1}),
    }
    for source, row in made.items():
        columns = ", ".join(f'"{column.name}"' for column in source.columns)
        connection.execute(f"CREATE TABLE {source.name} (id, {columns})")
        marks = ", ".join("?" * len(row))
        connection.execute(f"INSERT INTO {source.name} VALUES (1, {marks})", row)
    below = {source.name: source.name for source in made}
    (computed,) = daily_snapshots.compute(connection, below, DAY, clock.now())
    assert DAILY_SNAPSHOTS.summary
    growths = {name for one in DAILY_SNAPSHOTS.summary.growths for name in (one.column, one.days)}
    declared = {column.name for column in DAILY_SNAPSHOTS.columns} - growths - {"time"}
    working = {name for name in computed if name.endswith("_time")}
    assert computed.keys() - working - {"first", "last", "without_nodes"} == declared


def test_nothing_is_looked_for_in_an_archive_that_is_not_there(settings: Settings) -> None:
    with open_store(settings.hot_database) as store:
        land_day(settings.landing, DAY, times(DAY, 0, 10))
        brought(store, settings)
    assert not settings.archive.exists()
