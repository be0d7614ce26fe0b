"""A cluster that lives, collected over real sockets: the answers say what was true."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil
from typing import NamedTuple

import pytest

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.advice import findings
from gateway_assets.clusters.capacity import capacity
from gateway_assets.clusters.growth import growth
from gateway_assets.clusters.history import history
from gateway_assets.clusters.latency import PERCENTILES, latency
from gateway_assets.clusters.nodes import nodes
from gateway_assets.clusters.overview import overview
from gateway_assets.settings import Settings, load_settings
from gateway_assets.simulated.cluster import SimulatedCluster
from tests.clusters.lived import TICK, Lived, live
from tests.traffic import TODAY

NAME = "simulated"
MIDNIGHT = (TODAY - 1) * clock.DAY
TICKS = 121
RESTART, LEAD, KILL, REVIVE = 40, 70, 90, 100


class Told(NamedTuple):
    bridge: UnifiedQueryBridge
    lived: Lived
    asked: int  # queries that really happened between the first look and the last
    failed: int


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """An hour around midnight: a restart, another leader, and a backend that is dead for a while.

    The frontend is restarted between two looks.
    """
    settings = load_settings(data_dir=tmp_path_factory.mktemp("lived"))
    begin = MIDNIGHT - 60 * TICK

    def restart(simulated: SimulatedCluster) -> None:
        simulated.restart(simulated.frontends[1])

    with SimulatedCluster(3, 3, seed=7, start=begin) as simulated:
        asked, failed = simulated.truth.queries, simulated.truth.errors
        lived = live(
            simulated,
            settings,
            TICKS,
            {
                RESTART: restart,
                LEAD: lambda one: one.lead(2),
                KILL: lambda one: one.kill(one.backends[0]),
                REVIVE: lambda one: one.revive(one.backends[0]),
            },
        )
        asked, failed = simulated.truth.queries - asked, simulated.truth.errors - failed
    with UnifiedQueryBridge(settings) as bridge:
        yield Told(bridge, lived, asked, failed)


def test_totals_are_true_through_a_restart_and_another_leader(told: Told) -> None:
    lived = told.lived
    for metric, truth in (("query_total", told.asked), ("query_error", told.failed)):
        rows = history(told.bridge, NAME, metric, lived.start, lived.end + 1, 300)
        assert len(rows) == 13
        assert sum(row["sum"] for row in rows) == pytest.approx(truth, rel=0.001)
    (row,) = told.bridge.rows("SELECT sum(resets)::INT AS resets FROM metrics_snapshots")
    assert row["resets"] == 2  # of the frontend and of the backend


def test_the_rate_is_what_was_asked_a_second(told: Told) -> None:
    lived = told.lived
    (row,) = history(told.bridge, NAME, "query_total", lived.start, lived.end + 1, 86_400 * 7)[-1:]
    assert row["a_second"] == pytest.approx(told.asked / (TICKS - 1) / 30, rel=0.001)


def test_percentiles_are_those_of_the_queries(told: Told) -> None:
    lived = told.lived
    rows = latency(told.bridge, NAME, lived.start, lived.end + 1, 900)
    assert len(rows) == 4
    for row in rows[:3]:  # the last minutes are not closed yet
        since = row["time"].timestamp() * clock.SECOND
        true = sorted(
            query.milliseconds
            for query in lived.queries.values()
            if query.state == "EOF"
            and query.user != "monitor"  # the collector's own are left out
            and since <= query.time < since + 900 * clock.SECOND
        )
        assert row["queries"] == len(true)
        for name, part in PERCENTILES.items():
            exact = true[ceil(part * len(true)) - 1]
            assert row[name] == pytest.approx(exact, rel=0.02), name


def test_growth_is_what_the_disks_took(told: Told) -> None:
    one, other = growth(told.bridge, NAME, MIDNIGHT - clock.DAY, MIDNIGHT + clock.DAY)
    used = told.lived.used
    assert one["disk_used_bytes"] == used[MIDNIGHT - TICK]
    assert other["disk_used_bytes"] == used[told.lived.end]
    grown = used[told.lived.end] - used[MIDNIGHT - TICK]
    assert (other["used_growth_bytes"], other["used_growth_days"]) == (grown, 1)
    assert (one["used_growth_bytes"], one["used_growth_days"]) == (None, None)
    assert other["storage_bytes"] is None


def test_two_days_are_not_enough_to_forecast(told: Told) -> None:
    found = capacity(told.bridge, NAME, at=MIDNIGHT + clock.DAY)
    assert (found.mode, found.forecast.state, found.first) == (
        "shared-nothing", "not enough data", None,
    )  # fmt: skip
    assert found.used == told.lived.used[told.lived.end]


def test_advice_says_what_was_wrong_while_it_was(told: Told) -> None:
    start = told.lived.start
    dead = start + (KILL + 1) * TICK
    assert findings(told.bridge, NAME, dead - 1) == []
    later = {one.rule: one for one in findings(told.bridge, NAME, dead + 2 * TICK)}
    assert later.keys() == {"node_down", "backend_down"}
    assert {one.since for one in later.values()} == {dead}
    assert later["node_down"].subject.startswith("be 127.0.2.1:")
    back = start + (REVIVE + 1) * TICK
    assert findings(told.bridge, NAME, back) == []


def test_the_overview_is_of_the_last_look(told: Told) -> None:
    end = told.lived.end
    (one,) = overview(told.bridge, NAME, end)
    assert (one["cluster"], one["status"]) == (NAME, "ok")
    assert one["time"].timestamp() * clock.SECOND == end
    assert (one["fe_alive"], one["be_alive"], one["cn_alive"]) == (3, 3, 0)
    assert one["disk_used_bytes"] == told.lived.used[end]
    assert one["storage_bytes"] is None
    quarter = history(told.bridge, NAME, "query_total", end - 29 * TICK, end + 1, 86_400)
    assert one["query_total"] == sum(row["sum"] for row in quarter)
    assert 90 < one["success_pct"] < one["service_success_pct"] < 100
    shown = nodes(told.bridge, NAME, end)
    assert [node["kind"] for node in shown] == ["fe"] * 3 + ["be"] * 3
    assert [node["role"] for node in shown[:3]] == ["FOLLOWER", "FOLLOWER", "LEADER"]
    (before,) = overview(told.bridge, NAME, told.lived.start + 60 * TICK)
    assert before["leader"] != one["leader"]


@pytest.mark.parametrize(
    ("version", "measured"), [("3.3.10", "table_bytes"), ("3.5.2", "storage_bytes")]
)
def test_a_cluster_that_keeps_its_data_in_object_storage(
    settings: Settings, version: str, measured: str
) -> None:
    """Old versions do not say how large the objects are."""
    begin = MIDNIGHT - 10 * TICK
    with SimulatedCluster(1, 2, 1, seed=3, version=version, shared_data=True, start=begin) as one:
        before = sum(table.bytes for table in one.world.tables)
        lived = live(one, settings, 21)
        stored = sum(table.bytes for table in one.world.tables)
    assert stored > before
    with UnifiedQueryBridge(settings) as bridge:
        found = capacity(bridge, NAME, at=MIDNIGHT + clock.DAY)
        assert (found.mode, found.measured, found.total, found.first) == (
            "shared-data", measured, None, None,
        )  # fmt: skip
        assert found.used == pytest.approx(stored, rel=0.01)  # written as 15.6GB
        (shown,) = overview(bridge, NAME, lived.end)
        assert (shown["is_shared_data"], shown["cn_alive"]) == (1, 1)
        assert "disk_full" not in {one.rule for one in findings(bridge, NAME, lived.end)}
        days = growth(bridge, NAME, MIDNIGHT - clock.DAY, MIDNIGHT + clock.DAY)
        grown = measured.replace("bytes", "growth_days")
        assert [day[grown] for day in days] == [None, 1]
