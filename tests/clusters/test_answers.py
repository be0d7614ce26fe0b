"""Overview, history, latency and trend over made-up rows: unknown is NULL and never 0."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.sandbox import Sandbox
from gateway_assets.clusters.history import history, step_for
from gateway_assets.clusters.jobs import jobs, slow_queries
from gateway_assets.clusters.known import chosen, names
from gateway_assets.clusters.latency import latency
from gateway_assets.clusters.overview import overview
from gateway_assets.clusters.trend import trend
from gateway_assets.errors import UsageError
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.sources import (
    collection_ticks,
    job_samples,
    latency_histogram,
    metrics_snapshots,
)
from gateway_assets.sources import slow_queries as slow_source
from gateway_assets.starrocks.histogram import bucket_of
from tests.clusters import TICK, land_all, latencies, row_of, snapshot, tick
from tests.clusters.lived import bring
from tests.traffic import TODAY

NOON = TODAY * clock.DAY - clock.DAY // 2
MINUTE = 60 * clock.SECOND


@pytest.fixture
def bridge(settings: Settings) -> Iterator[UnifiedQueryBridge]:
    bring(settings)
    with UnifiedQueryBridge(settings) as opened:
        yield opened


def snapshots(settings: Settings, *rows: dict[str, Any]) -> None:
    land_all(settings.landing, metrics_snapshots.SOURCE, [snapshot(**row) for row in rows])
    bring(settings)


def ticks(settings: Settings, *moments: int, cluster: str = "red") -> None:
    rows = [tick(moment, cluster) for moment in moments]
    land_all(settings.landing, collection_ticks.SOURCE, rows)
    bring(settings)


def test_the_overview_shows_the_last_known_of_each_number(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    ticks(settings, NOON)
    snapshots(
        settings,
        {"time": NOON - 16 * MINUTE, "tables": 1, "query_total": 1000},
        {"time": NOON - 5 * MINUTE, "tables": 9, "query_total": 100, "query_error": 25},
        {"time": NOON, "qps": 3.0, "query_total": 100, "query_internal_error": 1},
    )
    (one,) = overview(bridge, "red", NOON)
    assert (one["tables"], one["qps"], one["query_total"]) == (9, 3.0, 200)
    assert (one["success_pct"], one["service_success_pct"]) == (87.5, 99.5)
    assert one["disk_used_bytes"] is None
    assert overview(bridge, "blue", NOON) == []


def test_a_cluster_that_only_failed_has_an_overview(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    land_all(settings.landing, collection_ticks.SOURCE, [tick(NOON, status="failed")])
    bring(settings)
    (one,) = overview(bridge, "", NOON)
    assert (one["status"], one["qps"], one["success_pct"]) == ("failed", None, None)


def test_success_of_nothing_is_unknown(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    ticks(settings, NOON)
    snapshots(settings, {"time": NOON, "query_total": 0, "query_error": 0})
    (one,) = overview(bridge, "red", NOON)
    assert (one["query_total"], one["success_pct"]) == (0, None)


def test_history_of_a_gauge_and_of_a_counter(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    snapshots(
        settings,
        {"time": NOON, "seconds": 30.0, "cpu_max_pct": 10.0, "query_total": 300},
        {"time": NOON + TICK, "seconds": 30.0, "cpu_max_pct": 30.0, "query_total": None},
        {"time": NOON + MINUTE, "seconds": 60.0, "cpu_max_pct": None, "query_total": 60},
        {"time": NOON + 5 * MINUTE, "seconds": 30.0},
        {"time": NOON + 6 * MINUTE, "query_total": 1},  # not in the range
    )
    end = NOON + 6 * MINUTE
    (gauge,) = history(bridge, "red", "cpu_max_pct", NOON, end, 300)
    assert (gauge["mean"], gauge["min"], gauge["max"], gauge["samples"]) == (20, 10, 30, 2)
    (counter,) = history(bridge, "red", "query_total", NOON, end, 300)
    assert (counter["sum"], counter["a_second"], counter["samples"]) == (360, 4, 2)
    assert len(history(bridge, "red", "query_total", NOON, end, 60)) == 2
    with pytest.raises(UsageError, match="no number 'time'"):
        history(bridge, "red", "time", NOON, end)


@pytest.mark.parametrize(
    ("length", "step"), [(MINUTE, 30), (6 * clock.HOUR, 900), (400 * clock.DAY, 86_400)]
)
def test_a_range_has_some_sixty_points(length: int, step: int) -> None:
    assert step_for(0, length) == step


def test_latencies_of_a_time_are_one_histogram(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    rows = [
        latencies(NOON, {bucket_of(10): 90, bucket_of(500): 9}),
        latencies(NOON + 5 * MINUTE, {bucket_of(10): 900, bucket_of(9000): 1}),
    ]
    land_all(settings.landing, latency_histogram.SOURCE, rows)
    bring(settings)
    (one,) = latency(bridge, "red", NOON, NOON + clock.HOUR, 3600)
    assert one["queries"] == 1000
    assert one["p50"] == pytest.approx(10, rel=0.02)
    assert one["p99"] == pytest.approx(10, rel=0.02)
    assert one["p99.9"] == pytest.approx(500, rel=0.02)
    first, second = latency(bridge, "red", NOON, NOON + clock.HOUR, 300)
    assert (first["queries"], second["queries"]) == (99, 901)
    assert latency(bridge, "blue", NOON, NOON + clock.HOUR, 300) == []


def test_buckets_become_rows_as_the_documents_say(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    counts = {0: 2, 5: 1, 9: 40, 300: 7}
    land_all(settings.landing, latency_histogram.SOURCE, [latencies(NOON, counts, "sales")])
    bring(settings)
    page = Path(__file__).parents[2] / "docs" / "clusters.md"
    (statement,) = re.findall(r"```sql\n(SELECT .*?)```", page.read_text("utf-8"), re.DOTALL)
    with Sandbox(settings) as sandbox:
        rows = sandbox.ask(statement).table.to_pylist()
    assert {row["bucket"]: row["queries"] for row in rows if row["queries"]} == counts


def test_percentiles_are_unknown_where_a_row_cannot_be_read(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    good = latencies(NOON, {bucket_of(10): 90})
    bad = (NOON + 5 * MINUTE, "red", 5, "no histogram")
    land_all(settings.landing, latency_histogram.SOURCE, [good, bad])
    bring(settings)
    first, second = latency(bridge, "red", NOON, NOON + clock.HOUR, 300)
    assert first["p50"] == pytest.approx(10, rel=0.02)
    assert (second["queries"], second["p50"], second["p99.9"]) == (5, None, None)


def test_a_trend_compares_with_three_windows(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    backs = (0, clock.HOUR, clock.DAY, 7 * clock.DAY)
    for back, cpu, queries in zip(backs, (30.0, 20.0, 0.0, None), (900, 300, None, 0), strict=True):
        start = NOON - back
        snapshots(
            settings,
            {"time": start, "seconds": 30.0, "cpu_max_pct": cpu, "query_total": queries},
            {"time": start + TICK, "seconds": 30.0, "cpu_max_pct": cpu},
        )
    cpu_row, queries_row = trend(
        bridge, "red", NOON, NOON + clock.HOUR, ["cpu_max_pct", "query_total"]
    )
    assert cpu_row == {
        "metric": "cpu_max_pct", "unit": "%", "now": 30, "before": 20, "before_pct": 50,
        "yesterday": 0, "yesterday_pct": None, "last_week": None, "last_week_pct": None,
    }  # fmt: skip
    assert queries_row == {
        "metric": "query_total", "unit": "/s", "now": 30, "before": 10, "before_pct": 200,
        "yesterday": None, "yesterday_pct": None, "last_week": 0, "last_week_pct": None,
    }  # fmt: skip
    with pytest.raises(UsageError, match="no number 'cluster'"):
        trend(bridge, "red", NOON, NOON + 1, ["cluster"])


def test_jobs_and_slow_queries(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    view = {"cluster": "red", "kind": "materialized_view"}
    made = [
        {**view, "name": "a.good", "time": NOON, "state": "SUCCESS"},
        {**view, "name": "a.bad", "time": NOON - 5 * MINUTE, "state": "SUCCESS"},
        {**view, "name": "a.bad", "time": NOON, "state": "FAILED", "error": "memory"},
        {**view, "name": "a.dropped", "time": NOON - clock.HOUR, "state": "SUCCESS"},
        {**view, "name": "a.load", "time": NOON, "kind": "routine_load"},
    ]
    rows = [row_of(job_samples.SOURCE, one) for one in made]
    land_all(settings.landing, job_samples.SOURCE, rows)
    slow = {"time": NOON, "cluster": "red", "queries": 1, "failed": 0, "total_milliseconds": 1}
    times = {"q1": 1000, "q2": 9000, "q3": 5000}
    found = [
        row_of(slow_source.SOURCE, {**slow, "query_id": name, "milliseconds": took})
        for name, took in times.items()
    ]
    land_all(settings.landing, slow_source.SOURCE, found)
    bring(settings)
    told = jobs(bridge, "red", "materialized_view", NOON)
    assert [(one["name"], one["state"]) for one in told] == [
        ("a.bad", "FAILED"),
        ("a.good", "SUCCESS"),
    ]
    slowest = slow_queries(bridge, "red", NOON, NOON + 1, 2)
    assert [one["query_id"] for one in slowest] == ["q2", "q3"]
    assert slow_queries(bridge, "red", NOON + 1, NOON + 2, 2) == []


def test_the_only_cluster_need_not_be_named(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    ticks(settings, NOON - 31 * clock.DAY, cluster="old")
    with pytest.raises(UsageError, match="no cluster has been looked at"):
        chosen(bridge, "")
    assert chosen(bridge, "old") == "old"
    ticks(settings, NOON)
    assert chosen(bridge, "") == "red"
    with pytest.raises(UsageError, match="there is no cluster 'blue'"):
        chosen(bridge, "blue")
    ticks(settings, NOON, cluster="blue")
    assert names(bridge) == ["blue", "red"]
    with pytest.raises(UsageError, match="which cluster"):
        chosen(bridge, "")
    assert chosen(bridge, "blue") == "blue"


def test_a_cluster_is_known_by_its_days(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    """They are few; a name that never was would take the reading of every tick."""
    ticks(settings, NOON - 400 * clock.DAY, cluster="old")
    with open_store(settings.hot_database) as connection:
        connection.execute("DELETE FROM collection_ticks")
    assert chosen(bridge, "old") == "old"
