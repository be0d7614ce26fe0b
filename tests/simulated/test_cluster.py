"""What can happen to a simulated cluster, as its clients see it."""

from __future__ import annotations

import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymysql
import pytest

from gateway_assets.clock import SECOND
from gateway_assets.errors import UsageError
from gateway_assets.simulated.cluster import PASSWORD_ENV, SimulatedCluster
from gateway_assets.simulated.series import be
from tests.simulated.asking import ask, connected, fetch, series

START = 1_790_000_000 * SECOND
UTC_ZONE = "SET time_zone = 'UTC'"


def frontends(cluster: SimulatedCluster, at: int = 0) -> list[dict[str, Any]]:
    return ask(cluster, UTC_ZONE, "SHOW FRONTENDS", fe=cluster.frontends[at])


def backends(cluster: SimulatedCluster, at: int = 0) -> list[dict[str, Any]]:
    return ask(cluster, UTC_ZONE, "SHOW BACKENDS", fe=cluster.frontends[at])


def test_the_same_seed_makes_the_same_cluster() -> None:
    def told(seed: int) -> tuple[object, ...]:
        with SimulatedCluster(2, 2, seed=seed, start=START) as cluster:
            cluster.step(60)
            pages = [fetch(node)[1] for node in cluster.world.nodes]
            rows = ask(cluster, UTC_ZONE, "SHOW FULL PROCESSLIST")[1:], cluster.truth.by_second
            return *pages, *rows

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_time_stands_still_but_for_steps() -> None:
    with SimulatedCluster(1, 1, start=START) as cluster:
        before = fetch(cluster.frontends[0])
        assert fetch(cluster.frontends[0]) == before
        cluster.step(2.5)
        assert cluster.now == START + 2_500_000
        assert fetch(cluster.frontends[0]) != before


def test_steps_may_be_of_any_length() -> None:
    def truth(*steps: float) -> int:
        with SimulatedCluster(2, 2, start=START) as cluster:
            for step in steps:
                cluster.step(step)
            return cluster.truth.queries

    assert truth(60) == truth(30, 30) == truth(1, 58, 1)


def test_a_moment_changes_no_rate() -> None:
    name = "starrocks_fe_connection_total"
    with SimulatedCluster(1, 1, start=START) as cluster:
        cluster.step(1)
        before = series(cluster.frontends[0])[name]
        assert before > 5
        cluster.step(0.01)
        assert series(cluster.frontends[0])[name] == before
        assert ask(cluster, "SHOW PROC '/current_queries'")


def test_all_frontends_share_their_ports() -> None:
    with SimulatedCluster(3, 2) as cluster:
        assert len({fe.host for fe in cluster.frontends}) == 3
        assert len({(fe.query_port, fe.http_port) for fe in cluster.frontends}) == 1
        assert len({node.http_port for node in cluster.backends}) == 1


def test_two_clusters_live_beside_each_other() -> None:
    with SimulatedCluster(1, 1, password="a") as one, SimulatedCluster(1, 1, password="b") as two:
        assert ask(one, "SELECT 1 AS n") == ask(two, "SELECT 1 AS n") == [{"n": 1}]
        assert one.frontends[0].query_port != two.frontends[0].query_port


def test_truth_counts_every_query_and_every_second() -> None:
    with SimulatedCluster(3, 2, start=START) as cluster:
        totals = [fe.truth["starrocks_fe_query_total"] for fe in cluster.frontends]
        cluster.step(30)
        cluster.restart(cluster.frontends[1])
        cluster.step(30)
        grown = sum(fe.truth["starrocks_fe_query_total"] for fe in cluster.frontends) - sum(totals)
        assert cluster.truth.queries == grown
        assert cluster.truth.queries == sum(row[0] for row in cluster.truth.by_second.values())
        assert cluster.truth.errors == sum(row[1] for row in cluster.truth.by_second.values())
        seconds = START // SECOND
        assert set(cluster.truth.by_second) <= set(range(seconds, seconds + 60))


def test_the_monitors_own_selects_are_queries_and_its_shows_are_not() -> None:
    with SimulatedCluster(1, 1) as cluster:
        page = cluster.frontends[0]
        before = series(page)
        ask(cluster, "SHOW BACKENDS")
        shown = series(page)
        ask(cluster, "SELECT 1")
        selected = series(page)
    total, requests = "starrocks_fe_query_total", "starrocks_fe_request_total"
    assert (before[total], shown[total], selected[total] - 1) == (before[total],) * 3
    assert before[requests] < shown[requests] < selected[requests]


def test_a_dead_backend() -> None:
    with SimulatedCluster(3, 3, start=START) as cluster:
        node = cluster.backends[1]
        cluster.step(30)
        cluster.kill(node)
        cluster.step(60)
        with pytest.raises(ConnectionRefusedError):
            fetch(node)
        rows = backends(cluster)
        assert [row["Alive"] for row in rows] == ["true", "false", "true"]
        assert rows[1]["LastHeartbeat"] < rows[0]["LastHeartbeat"]
        assert "Connection refused" in rows[1]["ErrMsg"]
        cluster.revive(node)
        assert [row["Alive"] for row in backends(cluster)] == ["true"] * 3
        assert series(node)["starrocks_be_load_rows"] == 0
        started = datetime.fromisoformat(backends(cluster)[1]["LastStartTime"])
        assert started.replace(tzinfo=UTC).timestamp() == START // SECOND + 90


def test_a_dead_leader_is_followed_by_another() -> None:
    with SimulatedCluster(3, 1) as cluster:
        connection = connected(cluster)
        cluster.kill(cluster.frontends[0])
        with closing(connection), pytest.raises(pymysql.err.OperationalError):
            connection.ping(reconnect=False)
        with pytest.raises(pymysql.err.OperationalError):
            connected(cluster)
        rows = frontends(cluster, 1)
        assert [row["Role"] for row in rows] == ["FOLLOWER", "LEADER", "FOLLOWER"]
        assert [row["Alive"] for row in rows] == ["false", "true", "true"]
        assert (rows[0]["QueryPort"], rows[0]["StartTime"]) == ("0", None)
        cluster.revive(cluster.frontends[0])
        assert [row["Role"] for row in frontends(cluster)] == ["FOLLOWER", "LEADER", "FOLLOWER"]


def test_without_a_majority_nobody_leads_and_nothing_is_forwarded() -> None:
    with SimulatedCluster(3, 1) as cluster:
        for fe in cluster.frontends[1:]:
            cluster.kill(fe)
        assert cluster.leader is None
        assert {row["Role"] for row in frontends(cluster)} == {"FOLLOWER"}
        with pytest.raises(pymysql.err.ProgrammingError, match="Cannot open null host"):
            ask(cluster, "SET forward_to_leader = true", "SHOW PROC '/backends'")


def test_a_restart_of_the_leader_moves_the_lead() -> None:
    with SimulatedCluster(3, 1, start=START) as cluster:
        cluster.step(60)
        before = frontends(cluster)[0]
        cluster.restart(cluster.frontends[0])
        after = frontends(cluster)[0]
        assert (before["Role"], after["Role"]) == ("LEADER", "FOLLOWER")
        assert before["StartTime"] < after["StartTime"]
    with SimulatedCluster(1, 1) as cluster:
        cluster.restart(cluster.frontends[0])
        assert frontends(cluster)[0]["Role"] == "LEADER"


def test_a_restart_of_a_backend_leaves_what_its_host_counts() -> None:
    with SimulatedCluster(1, 1, start=START) as cluster:
        cluster.step(60)
        (node,) = cluster.backends
        read, loaded = be("disk_bytes_read", device="nvme0n1"), be("load_rows")
        before = dict(node.counters)
        assert before[read] > 0 < before[loaded]
        cluster.restart(node)
        assert (node.counters[read], node.counters[loaded]) == (before[read], 0)


def test_a_follower_has_a_view_of_its_own() -> None:
    with SimulatedCluster(2, 2) as cluster:
        follower = cluster.frontends[1]
        asked = "SHOW PROC '/backends'"
        own = ask(cluster, asked, fe=follower)[0]
        leaders = ask(cluster, "SET forward_to_leader = true", asked, fe=follower)[0]
        assert (own["CpuUsedPct"], own["MemUsedPct"], own["DataCacheMetrics"]) == (
            "0.0 %", "0.00 %", "N/A",
        )  # fmt: skip
        assert leaders == ask(cluster, asked)[0]
        assert leaders["CpuUsedPct"] != "0.0 %"
        assert ask(cluster, "SHOW BACKENDS", fe=follower)[0] == leaders
        known = ask(cluster, "SHOW PROC '/frontends'", fe=follower)
        assert [row["StartTime"] is None for row in known] == [True, False]
        stale = ask(cluster, "SHOW PROC '/statistic'", fe=follower)[-1]
        assert stale != ask(cluster, "SHOW PROC '/statistic'")[-1]


@pytest.mark.parametrize(("version", "name"), [("2.5.4", "forward_to_master"),
                                               ("3.1.7", "forward_to_leader")])  # fmt: skip
def test_old_versions_do_not_ask_the_leader_by_themselves(version: str, name: str) -> None:
    with SimulatedCluster(2, 1, version=version) as cluster:
        follower = cluster.frontends[1]
        own = ask(cluster, "SHOW BACKENDS", fe=follower)
        leaders = ask(cluster, f"SET {name} = true", "SHOW BACKENDS", fe=follower)
        assert own[0]["CpuUsedPct"] == "0.0 %" != leaders[0]["CpuUsedPct"]
        if name == "forward_to_master":
            with pytest.raises(pymysql.err.MySQLError, match="1193"):
                ask(cluster, "SET forward_to_leader = true")


def test_a_node_that_is_replaced_has_another_id_and_no_capacity_yet() -> None:
    with SimulatedCluster(2, 2) as cluster:
        old = cluster.backends[0]
        new = cluster.replace(old)
        (row, _) = backends(cluster)
        assert (row["IP"], row["BackendId"]) == (old.host, str(new.id))
        assert new.id != old.id
        assert (row["TotalCapacity"], row["AvailCapacity"]) == ("0.000 B", "1.000 B")
        assert series(new)["starrocks_be_load_rows"] == 0
        cluster.step(30)
        assert backends(cluster)[0]["TotalCapacity"] == "2.000 TB"
        cluster.replace(cluster.frontends[1])
        names = [row["Name"] for row in frontends(cluster)]
        assert names[0] < names[1]
        assert ask(cluster, "SELECT 1 AS n", fe=cluster.frontends[1]) == [{"n": 1}]


def test_a_node_that_leaves_is_alive_and_gives_its_tablets_away() -> None:
    with SimulatedCluster(1, 3) as cluster:
        cluster.decommission(cluster.backends[0])
        before = backends(cluster)[0]
        cluster.step(60)
        after = backends(cluster)[0]
        assert (after["SystemDecommissioned"], after["Alive"]) == ("true", "true")
        assert int(after["TabletNum"]) < int(before["TabletNum"])


def test_an_upgrade_of_some_nodes() -> None:
    with SimulatedCluster(2, 2, version="2.5.4") as cluster:
        cluster.upgrade("3.3.10", [cluster.frontends[1], cluster.backends[0]])
        asked = "SHOW PROC '/backends'"
        assert "MemLimit" not in ask(cluster, asked)[0]
        assert "MemLimit" in ask(cluster, asked, fe=cluster.frontends[1])[0]
        versions = [row["Version"] for row in backends(cluster)]
        assert versions == ["3.3.10-simulated", "2.5.4-simulated"]
        assert series(cluster.backends[0])["starrocks_be_load_rows"] == 0
        cluster.upgrade("4.1.0")
        assert {row["Version"] for row in frontends(cluster)} == {"4.1.0-simulated"}


def test_a_clock_that_is_ahead_shows_in_heartbeats() -> None:
    with SimulatedCluster(2, 2, start=START) as cluster:
        cluster.clock_skew(cluster.frontends[0], 120)
        (row, *_) = backends(cluster)
        seen = datetime.fromisoformat(row["LastHeartbeat"]).replace(tzinfo=UTC)
        assert seen.timestamp() == START // SECOND + 120
        now = ask(cluster, UTC_ZONE, "SELECT unix_timestamp() AS now")
        assert now == [{"now": START // SECOND + 120}]


def test_times_are_of_shanghai_unless_the_session_says_otherwise() -> None:
    with SimulatedCluster(1, 1, start=START) as cluster:

        def heartbeat(*statements: str) -> datetime:
            rows = ask(cluster, *statements, "SHOW BACKENDS")
            return datetime.fromisoformat(rows[0]["LastHeartbeat"])

        assert heartbeat() - heartbeat(UTC_ZONE) == timedelta(hours=8)
        cluster.refuses_time_zone = True
        with pytest.raises(pymysql.err.MySQLError):
            ask(cluster, UTC_ZONE)
        utc = heartbeat()
        (row,) = ask(cluster, "SELECT now() AS here, utc_timestamp() AS utc")
        assert row["here"] - row["utc"] == timedelta(hours=8)
        assert row["here"] == utc


def test_a_decimal_comma() -> None:
    with SimulatedCluster(1, 1) as cluster:
        cluster.locale_comma = True
        (row,) = backends(cluster)
        assert row["TotalCapacity"] == "2,000 TB"
        for column in ("UsedPct", "MemUsedPct", "CpuUsedPct", "MemLimit"):
            assert "," in row[column]
            assert "." not in row[column]


def test_disks_fill() -> None:
    with SimulatedCluster(1, 2) as cluster:
        free = sum(disk.free for disk in cluster.backends[0].disks)
        cluster.workload.load_bytes = 10**9
        cluster.step(60)
        after = sum(disk.free for disk in cluster.backends[0].disks)
        assert after < free - 5 * 10**9
        page = series(cluster.backends[0])
        avail = [value for name, value in page.items() if "disks_avail_capacity" in name]
        assert sum(avail) == after


def test_a_routine_load_that_cannot_keep_up_lags() -> None:
    name = 'starrocks_fe_routine_load_max_lag_of_partition{job_name="views_from_kafka"}'
    with SimulatedCluster(2, 1) as cluster:
        cluster.step(30)
        assert name not in series(cluster.frontends[0])
        cluster.world.routine_loads[1].capacity = 0
        cluster.step(30)
        lag = series(cluster.frontends[0])[name]
        assert lag == cluster.world.routine_loads[1].lag >= 4_000 * 29
        assert name not in series(cluster.frontends[1])  # the leader's alone


def test_a_frontend_that_falls_behind() -> None:
    with SimulatedCluster(2, 1) as cluster:
        cluster.frontends[1].journal_lag = 500
        cluster.step(30)
        ids = [int(row["ReplayedJournalId"]) for row in frontends(cluster)]
        assert ids[0] - ids[1] == 500


def test_real_time_goes_on_by_itself() -> None:
    start = START
    with SimulatedCluster(1, 1, start=start, real_time=False) as cluster:
        assert cluster.now == start
    with SimulatedCluster(1, 1, real_time=True) as cluster:
        before = cluster.now
        while cluster.now == before:
            pass


def test_its_line_is_toml(tmp_path: Path) -> None:
    with SimulatedCluster(2, 1, password="pw") as cluster:
        (line,) = tomllib.loads(cluster.as_toml())["clusters"]
        port = cluster.frontends[0].query_port
        assert line == {
            "name": "simulated",
            "frontends": [f"127.0.1.1:{port}", f"127.0.1.2:{port}"],
            "user": "monitor",
            "password_env": PASSWORD_ENV,
            "http_port": cluster.frontends[0].http_port,
        }
        (line,) = tomllib.loads(cluster.as_toml("b", tmp_path / "pw"))["clusters"]
        assert (line["name"], line["password_file"]) == ("b", str(tmp_path / "pw"))


def test_a_dead_frontend_cannot_lead() -> None:
    with SimulatedCluster(3, 1) as cluster:
        cluster.kill(cluster.frontends[2])
        with pytest.raises(UsageError, match="is dead"):
            cluster.lead(2)
