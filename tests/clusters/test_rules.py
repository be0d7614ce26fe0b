"""Every rule over made-up rows of a real database: when it fires, when not, when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.advice import Finding, findings
from gateway_assets.clusters.rules import RULES, Rule
from gateway_assets.files.landing import Row
from gateway_assets.settings import Settings, load_settings
from gateway_assets.source import Source
from gateway_assets.sources import (
    collection_ticks,
    job_samples,
    metrics_snapshots,
    node_samples,
)
from gateway_assets.tables import TABLES
from tests.clusters import TICK, land_all, row_of
from tests.clusters.lived import bring
from tests.traffic import TODAY

MIDNIGHT = (TODAY - 3) * clock.DAY
SOURCES: dict[str, Source] = {
    source.SOURCE.name: source.SOURCE
    for source in (metrics_snapshots, node_samples, collection_ticks, job_samples)
}
EMPTY = dict.fromkeys(
    ("milliseconds", "nodes", "nodes_answered", "bytes", "bad_lines", "skipped"), 0
)
NODE: dict[str, Any] = {"node": "b:9050", "kind": "be", "is_decommissioned": 0}
VIEW = {"kind": "materialized_view", "name": "sales.by_day"}
ALWAYS: dict[str, dict[str, Any]] = {
    "metrics_snapshots": {"seconds": 30.0},
    "node_samples": NODE,
    "collection_ticks": EMPTY,
    "job_samples": VIEW,
}


@dataclass
class Case:
    """Values above the limit, exactly at it, and such as end it. ``unknown``: None is no row."""

    bad: dict[str, Any]
    limit: dict[str, Any]
    good: dict[str, Any]
    unknown: dict[str, Any] | None = field(default_factory=dict)


def above(column: str, limit: float, bad: float, good: float = 0) -> Case:
    return Case({column: bad}, {column: limit}, {column: good})


def missing(kind: str) -> Case:
    total, alive = f"{kind}_total", f"{kind}_alive"
    return Case({total: 3, alive: 2}, {total: 3, alive: 3}, {total: 3, alive: 3})


CASES = {
    "cluster_unreachable": Case(
        {"status": "failed"}, {"status": "partial"}, {"status": "ok"}, None
    ),
    "node_down": Case({"is_up": 0}, {"is_up": 0, "is_decommissioned": 1}, {"is_up": 1}, None),
    "frontend_down": missing("fe"),
    "backend_down": missing("be"),
    "compute_node_down": missing("cn"),
    "no_leader_view": above("is_leader_view", 1, 0, 1),
    "cpu_high": above("cpu_max_pct", 90.0, 90.1),
    "memory_high": above("mem_max_pct", 90.0, 90.1),
    "disk_full": above("disk_max_pct", 90.0, 90.1),
    "heap_high": above("heap_max_pct", 90.0, 90.1),
    "threads_high": above("fe_threads_max", 3000, 3001),
    "compaction_behind": above("compaction_score", 100, 101),
    "too_many_rowsets": above("rowsets_max", 700, 701),
    "compactions_fail": Case(
        {"seconds": 60.0, "base_compactions_failed": None, "cumulative_compactions_failed": 34},
        {"seconds": 60.0, "base_compactions_failed": 1, "cumulative_compactions_failed": 2},
        {"seconds": 60.0, "base_compactions_failed": 0, "cumulative_compactions_failed": 0},
    ),
    "meta_log_long": above("meta_log_count", 100_000, 100_001),
    "journal_lags": above("journal_lag", 10_000, 10_001),
    "transactions_fail": Case(
        {"txn_failed": 6, "txn_success": 94},
        {"txn_failed": 5, "txn_success": 95},
        {"txn_failed": 4, "txn_success": 0},
    ),
    "transactions_pile_up": above("txn_running_max", 900, 901),
    "routine_load_lags": above("routine_load_lag", 300_000, 300_001),
    "routine_load_stopped": above("routine_loads_stopped", 0, 1),
    "routine_loads_wait": above("routine_loads_waiting", 3, 4),
    "slow_p95": above("p95", 5000.0, 5001.0),
    "internal_errors": above("query_internal_error", 5, 56),
    "error_rate": Case(
        {"query_total": 100, "query_error": 11},
        {"query_total": 100, "query_error": 10},
        {"query_total": 19, "query_error": 19},
    ),
    "queries_doubled": above("qps", 40.0, 100.0, 20.0),
    "connections_doubled": above("connections", 120, 300, 60),
    "schema_changes_fail": Case(
        {"seconds": 60.0, "schema_changes_failed": 12},
        {"seconds": 60.0, "schema_changes_failed": 1},
        {"seconds": 60.0, "schema_changes_failed": 0},
    ),
    "views_fail": above("mv_refresh_failed", 0, 1),
    "view_not_refreshed": Case(
        {"is_active": 1, "state": "FAILED"},
        {"is_active": 1, "state": "SUCCESS"},
        {"is_active": 1, "state": "SUCCESS"},
        {"is_active": 1, "state": "RUNNING"},
    ),
    "unhealthy_tablets": above("unhealthy_tablets", 0, 1),
    "versions_differ": above("versions", 1, 2, 1),
    "settings_differ": Case(
        {"config_drift": 0, "frontend_config_drift": 1},
        {"config_drift": 0, "frontend_config_drift": 0},
        {"config_drift": 0},
    ),
}


@dataclass
class Story:
    """What happens to a cluster of the rule's name, each part until a moment (not included).

    Half of what makes it fire lies before midnight.
    """

    rule: Rule
    rows: list[Row] = field(default_factory=list)
    moments: dict[str, int] = field(default_factory=dict)  # the last one of each part

    def __post_init__(self) -> None:
        case, settle = CASES[self.rule.name], self.rule.seconds // 30
        hour, limit = 140, settle + 3
        parts = (
            ("calm", case.good, hour),
            ("limit", case.limit, limit),
            ("calm again", case.good, 3),
            ("bad", case.bad, settle + 2),
            ("between", case.limit, 11),
            ("unknown", case.unknown, 4),
            ("bad again", case.bad, settle + 2),
            ("unknown again", case.unknown, 4),
            ("over", case.good, 12),
        )
        self.began = MIDNIGHT - settle // 2 * TICK
        time = self.began - (hour + limit + 3) * TICK
        source = SOURCES[self.rule.table]
        for name, values, count in parts:
            for _ in range(count):
                if values is not None:
                    known = {**ALWAYS[source.name], **values}
                    row = {"time": time, "cluster": self.rule.name, **known}
                    self.rows.append(row_of(source, row))
                time += TICK
            self.moments[name] = time - TICK


STORIES = {rule.name: Story(rule) for rule in RULES}


@pytest.fixture(scope="module", params=["hot", "archived"])
def bridge(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[UnifiedQueryBridge]:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("rules"), archive_grace_hours=0)
    for name, source in SOURCES.items():
        rows = [row for one in STORIES.values() if one.rule.table == name for row in one.rows]
        for day in sorted({row[0] // clock.DAY for row in rows}):
            land_all(settings.landing, source, [row for row in rows if row[0] // clock.DAY == day])
    bring(settings)
    if request.param == "archived":
        archive(settings)
    with UnifiedQueryBridge(settings) as opened:
        yield opened


def archive(settings: Settings) -> None:
    """The first of the days."""
    for table in TABLES:
        if table.name in SOURCES:
            day = MIDNIGHT // clock.DAY - 1
            result = UniversalArchiver(settings).archive_table(table, hot_days=0, days=[day])
            assert (result.failed, result.days) == ({}, [clock.day_text(day)])


def told(bridge: UnifiedQueryBridge, rule: Rule, at: int) -> Finding | None:
    """What is said of the rule's own cluster; nothing else may be."""
    found = [one for one in findings(bridge, rule.name, at, [rule]) if one.rule == rule.name]
    assert len(found) <= 1
    return found[0] if found else None


def test_every_rule_has_a_case() -> None:
    assert CASES.keys() == {rule.name for rule in RULES}
    assert len(CASES) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_fires_after_its_time_and_is_over(bridge: UnifiedQueryBridge, rule: Rule) -> None:
    story = STORIES[rule.name]
    due = story.began + rule.seconds * clock.SECOND
    assert told(bridge, rule, due - 1) is None
    fired = told(bridge, rule, due)
    assert fired
    assert (fired.cluster, fired.since) == (rule.name, story.began)
    assert bool(fired.subject) == (rule.key != "NULL")
    is_apart = rule.clears < rule.fires
    assert bool(told(bridge, rule, story.moments["between"])) == is_apart
    assert bool(told(bridge, rule, story.moments["unknown"])) == is_apart
    assert told(bridge, rule, story.moments["unknown again"])
    assert told(bridge, rule, story.moments["over"]) is None
    assert told(bridge, rule, due) == fired


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_does_not_fire_at_its_limit(bridge: UnifiedQueryBridge, rule: Rule) -> None:
    story = STORIES[rule.name]
    for part in ("calm", "limit", "calm again"):
        assert told(bridge, rule, story.moments[part]) is None
