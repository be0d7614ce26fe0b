"""Advice: what no single rule says, and what rows may do to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.advice import as_record, findings
from gateway_assets.clusters.nodes import nodes
from gateway_assets.clusters.overview import overview
from gateway_assets.settings import Settings
from gateway_assets.sources import collection_ticks, job_samples, metrics_snapshots, node_samples
from tests.clusters import TICK, land_all, row_of, snapshot, tick
from tests.clusters.lived import bring
from tests.traffic import TODAY

NOON = TODAY * clock.DAY - clock.DAY // 2
MINUTE = 60 * clock.SECOND


@pytest.fixture
def bridge(settings: Settings) -> Iterator[UnifiedQueryBridge]:
    bring(settings)
    with UnifiedQueryBridge(settings) as opened:
        yield opened


def land_nodes(settings: Settings, *rows: dict[str, Any]) -> None:
    usual = {"cluster": "red", "node": "b1:9050", "kind": "be", "is_up": 1, "is_decommissioned": 0}
    made = [row_of(node_samples.SOURCE, {**usual, **row}) for row in rows]
    land_all(settings.landing, node_samples.SOURCE, made)
    bring(settings)


def names(bridge: UnifiedQueryBridge, at: int) -> list[tuple[str, str]]:
    return [(one.rule, one.subject) for one in findings(bridge, "", at)]


def test_nothing_is_said_of_nothing(bridge: UnifiedQueryBridge) -> None:
    assert findings(bridge) == []
    assert overview(bridge) == []
    assert nodes(bridge) == []


def test_a_collector_that_stands_still(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    rows = [tick(NOON + number * TICK) for number in range(3)]
    land_all(settings.landing, collection_ticks.SOURCE, rows)
    bring(settings)
    last = NOON + 2 * TICK
    assert names(bridge, last + 5 * MINUTE) == []
    (told,) = findings(bridge, "", last + 5 * MINUTE + 1)
    assert (told.rule, told.cluster, told.since, told.severity) == (
        "not_collected", "red", last, "error",
    )  # fmt: skip
    assert findings(bridge, "blue", last + clock.HOUR) == []
    assert names(bridge, last + 6 * clock.DAY) == [("not_collected", "")]
    assert names(bridge, last + 7 * clock.DAY + 1) == []


def test_a_vanished_node_is_spoken_of_for_two_hours(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    gone = {"time": NOON, "is_up": 0, "error": "is no longer listed"}
    land_nodes(settings, {"time": NOON - 5 * MINUTE}, gone)
    assert names(bridge, NOON - 1) == []
    assert names(bridge, NOON) == [("node_down", "be b1:9050")]
    assert names(bridge, NOON + 2 * clock.HOUR) == [("node_down", "be b1:9050")]
    assert names(bridge, NOON + 2 * clock.HOUR + 1) == []


def test_a_decommissioned_node_is_no_outage(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    leaving = {"is_decommissioned": 1}
    land_nodes(
        settings,
        {"time": NOON - 10 * MINUTE, **leaving},
        {"time": NOON - 5 * MINUTE, **leaving, "is_up": 0},
        {"time": NOON, **leaving, "is_up": 0, "error": "is no longer listed"},
    )
    assert names(bridge, NOON) == []


@pytest.mark.parametrize("new_first", [True, False])
def test_a_node_that_replaces_another_at_its_address_is_up(
    bridge: UnifiedQueryBridge, settings: Settings, new_first: bool
) -> None:
    old = {"time": NOON, "is_up": 0, "node_id": "10001", "error": "is no longer listed"}
    new = {"time": NOON, "node_id": "10009"}
    pair = [new, old] if new_first else [old, new]
    land_nodes(settings, {"time": NOON - 5 * MINUTE, "node_id": "10001"}, *pair)
    assert names(bridge, NOON) == []
    (shown,) = nodes(bridge, "red", NOON)
    assert (shown["node_id"], shown["is_up"]) == ("10009", 1)


def test_a_view_that_was_dropped_is_soon_forgotten(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    failed = {
        "time": NOON, "cluster": "red", "kind": "materialized_view", "name": "sales.by_day",
        "state": "FAILED", "is_active": 1,
    }  # fmt: skip
    land_all(settings.landing, job_samples.SOURCE, [row_of(job_samples.SOURCE, failed)])
    bring(settings)
    assert names(bridge, NOON + 30 * MINUTE) == [("view_not_refreshed", "sales.by_day")]
    assert names(bridge, NOON + 30 * MINUTE + 1) == []


def test_a_view_that_is_active_again_need_not_be_refreshed_first(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    view = {"cluster": "red", "kind": "materialized_view", "name": "sales.by_day"}
    moments = [(NOON, 0), (NOON + 5 * MINUTE, 1)]
    rows = [
        row_of(job_samples.SOURCE, {**view, "time": moment, "is_active": active})
        for moment, active in moments
    ]
    land_all(settings.landing, job_samples.SOURCE, rows)
    bring(settings)
    assert names(bridge, NOON) == [("view_not_refreshed", "sales.by_day")]
    assert names(bridge, NOON + 5 * MINUTE) == []


def snapshots(settings: Settings, *rows: dict[str, Any]) -> None:
    land_all(settings.landing, metrics_snapshots.SOURCE, [snapshot(**row) for row in rows])
    bring(settings)


def test_nothing_settles_in_a_gap(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    high = {"cpu_max_pct": 95.0}
    after = NOON + 16 * MINUTE
    snapshots(
        settings,
        {"time": NOON, **high},
        *({"time": after + number * TICK, **high} for number in range(11)),
    )
    assert names(bridge, after + 4 * MINUTE) == []
    (told,) = findings(bridge, "", after + 5 * MINUTE)
    assert (told.rule, told.since, told.value) == ("cpu_high", after, 95.0)


def test_of_what_has_become_unknown_nothing_is_said_for_long(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    moments = [NOON + number * TICK for number in range(11)]
    last = moments[-1]
    snapshots(
        settings,
        *({"time": moment, "cpu_max_pct": 95.0} for moment in moments),
        {"time": last + 15 * MINUTE},
        {"time": last + 15 * MINUTE + TICK},
    )
    assert names(bridge, last + 15 * MINUTE) == [("cpu_high", "")]
    assert names(bridge, last + 15 * MINUTE + TICK) == []


def test_a_collector_that_stands_still_leaves_what_was_wrong(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    moments = [NOON + number * TICK for number in range(11)]
    snapshots(settings, *({"time": moment, "cpu_max_pct": 95.0} for moment in moments))
    assert names(bridge, moments[-1] + clock.HOUR) == [("cpu_high", "")]


def test_what_has_fired_lasts_through_a_gap(bridge: UnifiedQueryBridge, settings: Settings) -> None:
    high = {"cpu_max_pct": 95.0}
    snapshots(
        settings,
        *({"time": NOON + number * TICK, **high} for number in range(11)),
        {"time": NOON + clock.HOUR, **high},
    )
    (told,) = findings(bridge, "", NOON + clock.HOUR)
    assert told.since == NOON


LUMPY = [
    ("internal_errors", "query_internal_error", 22, 16),
    ("compactions_fail", "base_compactions_failed", 7, 5),
    ("schema_changes_fail", "schema_changes_failed", 3, 1),
]


@pytest.mark.parametrize(("rule", "column", "many", "few"), LUMPY)
def test_counts_that_come_in_lumps_count_by_their_mean(
    bridge: UnifiedQueryBridge, settings: Settings, rule: str, column: str, many: int, few: int
) -> None:
    """In each fourth tick, so half as many a minute; the ticks between have none."""
    moments = [NOON + number * TICK for number in range(40)]
    for cluster, lump in (("red", many), ("blue", few)):
        counts = [{column: 0 if number % 4 else lump} for number in range(40)]
        rows = zip(moments, counts, strict=True)
        snapshots(
            settings,
            *({"time": at, "cluster": cluster, "seconds": 30.0, **count} for at, count in rows),
        )
    told = findings(bridge, "", moments[-1])
    assert [(one.cluster, one.rule) for one in told] == [("red", rule)]


def test_one_short_look_is_not_taken_for_minutes(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    """The first tick after a start: a lump of 50 is no mean of 100."""
    snapshots(settings, {"time": NOON, "seconds": 30.0, "query_internal_error": 50})
    assert names(bridge, NOON) == []


def test_a_long_row_without_a_count_does_not_dilute_the_others(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    """The first tick after a gap of the collector, in which a frontend was restarted."""
    known = {"seconds": 30.0, "query_internal_error": 10}
    snapshots(
        settings,
        {"time": NOON, "seconds": 3600.0},
        *({"time": NOON + number * TICK, **known} for number in range(1, 11)),
    )
    assert names(bridge, NOON + 10 * TICK) == [("internal_errors", "")]


@pytest.mark.parametrize("seconds", [10, 60, 300])
def test_rules_of_counts_hold_whatever_the_interval(
    bridge: UnifiedQueryBridge, settings: Settings, seconds: int
) -> None:
    """One query a second, a fifth of them fail; twelve errors a minute; no more than usual.
    In the other cluster twice as many queries as in the hour before.
    """
    moments = [NOON + number * seconds * clock.SECOND for number in range(4800 // seconds + 1)]
    last = moments[-1]
    many, few = seconds, seconds // 5
    usual = {"seconds": float(seconds), "query_total": many, "query_error": few, "qps": 10.0}
    usual |= {"connections": 60, "query_internal_error": seconds // 5}
    twice = {"seconds": float(seconds), "cluster": "blue"}
    snapshots(
        settings,
        *({"time": moment, **usual} for moment in moments),
        *(
            {"time": at, **twice, "qps": 30.0 if last - at <= 10 * MINUTE else 10.0}
            for at in moments
        ),
    )
    told = findings(bridge, "", last)
    assert [(one.cluster, one.rule) for one in told] == [
        ("red", "internal_errors"),
        ("red", "error_rate"),
        ("blue", "queries_doubled"),
    ]


@pytest.mark.parametrize(("interval", "late"), [(None, 300), (10, 300), (120, 300), (300, 750)])
def test_a_collector_that_looks_seldom_is_given_time(
    bridge: UnifiedQueryBridge, settings: Settings, interval: int | None, late: int
) -> None:
    rows = [tick(NOON - clock.HOUR, interval=30), tick(NOON, interval=interval)]
    land_all(settings.landing, collection_ticks.SOURCE, rows)
    bring(settings)
    assert names(bridge, NOON + late * clock.SECOND) == []
    assert names(bridge, NOON + late * clock.SECOND + 1) == [("not_collected", "")]


def test_full_disks_of_a_shared_data_cluster_are_its_cache(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    moments = [NOON + number * TICK for number in range(12)]
    for name, mode in (("cache", 1), ("disks", 0), ("unknown", None)):
        full = {"cluster": name, "disk_max_pct": 99.0, "is_shared_data": mode}
        snapshots(settings, *({"time": moment, **full} for moment in moments))
    told = findings(bridge, "", moments[-1])
    assert [(one.cluster, one.rule) for one in told] == [
        ("disks", "disk_full"),
        ("unknown", "disk_full"),
    ]


def test_twice_of_what_is_not_known_is_nothing(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    """A collector that has just been started does not know the hour before."""
    few = [{"time": NOON + number * TICK, "qps": 10.0} for number in range(19)]
    many = [{"time": NOON + clock.HOUR // 2 + number * TICK, "qps": 90.0} for number in range(12)]
    snapshots(settings, *few, *many)
    assert names(bridge, int(many[-1]["time"])) == []


def test_one_more_value_of_the_hour_is_enough(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    some = [{"time": NOON + number * TICK, "qps": 10.0} for number in range(20)]
    many = [{"time": NOON + clock.HOUR // 2 + number * TICK, "qps": 90.0} for number in range(12)]
    snapshots(settings, *some, *many)
    assert names(bridge, int(many[-1]["time"])) == [("queries_doubled", "")]


def test_errors_come_first_and_the_answer_stays_the_same(
    bridge: UnifiedQueryBridge, settings: Settings
) -> None:
    wrong = {"cpu_max_pct": 95.0, "heap_max_pct": 95.0, "fe_total": 3, "fe_alive": 2}
    moments = [NOON + number * TICK for number in range(12)]
    snapshots(settings, *({"time": moment, "cluster": "red", **wrong} for moment in moments))
    at = moments[-1]
    before = findings(bridge, "", at)
    assert [one.rule for one in before] == ["frontend_down", "heap_high", "cpu_high"]
    snapshots(settings, {"time": at + TICK, "cpu_max_pct": 1.0, "heap_max_pct": 1.0})
    assert findings(bridge, "", at) == before
    assert [one.rule for one in findings(bridge, "", at + TICK)] == ["frontend_down"]
    record = as_record(before[0])
    assert (record["since"].isoformat(), record["value"]) == (
        clock.iso(NOON)[:19] + "+00:00", 1.0,
    )  # fmt: skip
