"""Every statement that is asked of clusters, to every version and mode."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC

import pymysql
import pytest

from gateway_assets.clock import SECOND
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.texts import moment
from gateway_assets.starrocks.definitions import QUERIES, Query
from tests.simulated.asking import ask, connected

VERSIONS = ("2.2.5", "2.5.4", "3.1.7", "3.3.10", "4.1.0")
START = 1_790_000_000 * SECOND

# What a version lacks; all else answers.
MISSING = {
    "2.2.5": {
        "compute_nodes", "routine_loads", "transactions", "partitions", "materialized_views",
        "task_runs", "loads", "open_loads", "be_compactions", "be_configs", "profiles",
        "fe_metrics", "be_metrics",
    },
    "2.5.4": {
        "routine_loads", "transactions", "partitions", "loads", "open_loads", "be_compactions",
        "be_configs", "profiles", "fe_metrics", "be_metrics",
    },
    "3.1.7": {"transactions"},
    "3.3.10": {"transactions"},
    "4.1.0": set(),
}  # fmt: skip
SECOND_SPELLING = {
    "2.2.5": {"running_queries"},
    "2.5.4": {"running_queries"},
    "3.1.7": {"running_queries", "partitions"},
    "3.3.10": {"partitions"},
    "4.1.0": set(),
}


@pytest.mark.parametrize("shared_data", [False, True], ids=["shared_nothing", "shared_data"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_statement_answers_or_is_refused_as_the_version_does(
    version: str, shared_data: bool
) -> None:
    nodes = 2 if shared_data else 0
    with SimulatedCluster(
        3, 3, nodes, version=version, shared_data=shared_data, start=START
    ) as cluster:
        cluster.step(90)
        spelling = {query.name: _spelling(cluster, query) for query in QUERIES}
    assert {name for name, number in spelling.items() if number is None} == MISSING[version]
    assert {name for name, number in spelling.items() if number == 1} == SECOND_SPELLING[version]


def _spelling(cluster: SimulatedCluster, query: Query) -> int | None:
    """Which of a query's statements answers first; None: none does."""
    with closing(connected(cluster)) as connection, connection.cursor() as cursor:
        cursor.execute("SET time_zone = 'UTC'")
        for number, statement in enumerate(query.statements):
            try:
                cursor.execute(filled(cluster, statement))
            except pymysql.err.MySQLError as error:
                assert error.args[0] in {1064, 1146}, error
                continue
            assert cursor.description
            return number
    return None


def filled(cluster: SimulatedCluster, statement: str) -> str:
    wanted = "'starrocks_fe_query_total', 'load_rows'"
    return statement.format(
        since=moment(cluster.now - 600 * SECOND, UTC),
        until=moment(cluster.now, UTC),
        user="monitor",
        slow=1000,
        wanted=wanted,
    )


def _statement(name: str) -> str:
    return next(query for query in QUERIES if query.name == name).statements[0]


def test_the_audit_table_tells_the_queries_that_really_were() -> None:
    with SimulatedCluster(3, 3, start=START) as cluster:
        before = cluster.truth.queries, cluster.truth.errors
        cluster.step(600)
        queries = cluster.truth.queries - before[0]
        errors = cluster.truth.errors - before[1]
        zone = "SET time_zone = 'UTC'"
        rows = ask(cluster, zone, filled(cluster, _statement("latencies")))
        assert errors
        assert sum(row["QUERIES"] for row in rows) == queries - errors
        ask(cluster, "SELECT 1")  # one of the monitor itself, which is left out
        again = ask(cluster, zone, filled(cluster, _statement("latencies")))
        assert again == rows
        slow = ask(cluster, zone, filled(cluster, _statement("slow_queries")))
        assert len(slow) > 20
        assert [row["queryTime"] for row in slow] == sorted(
            (row["queryTime"] for row in slow), reverse=True
        )


def test_a_window_that_is_over_has_no_queries_of_another() -> None:
    with SimulatedCluster(1, 1, start=START) as cluster:
        cluster.step(10)
        statement = filled(cluster, _statement("latencies"))
        first = ask(cluster, "SET time_zone = 'UTC'", statement)
        cluster.step(60)
        assert ask(cluster, "SET time_zone = 'UTC'", statement) == first


def test_tables_tell_what_the_disks_hold() -> None:
    with SimulatedCluster(1, 3, start=START) as cluster:
        cluster.step(120)
        rows = ask(cluster, _statement("tables"))
        stored = sum(disk.data for node in cluster.backends for disk in node.disks)
        assert sum(row["DATA_LENGTH"] for row in rows) == pytest.approx(stored, rel=1e-6)
        assert {row["TABLE_SCHEMA"] for row in rows} == {"_statistics_", "sales", "web"}


def test_settings_that_differ_are_found() -> None:
    with SimulatedCluster(1, 3) as cluster:
        assert not ask(cluster, _statement("be_configs"))
        cluster.world.settings_of[cluster.backends[1].id] = {"mem_limit": "80%"}
        (row,) = ask(cluster, _statement("be_configs"))
        assert (row["NAME"], row["SPELLINGS"]) == ("mem_limit", 2)
        assert set(row["EACH"].split(",")) == {"80%", "90%"}


def test_metrics_come_through_sql_as_they_do_over_http() -> None:
    with SimulatedCluster(2, 2) as cluster:
        rows = ask(cluster, filled(cluster, _statement("be_metrics")))
        series = "starrocks_be_load_rows"
        assert {row["BE_ID"]: row["VALUE"] for row in rows} == {
            node.id: node.counters[series] for node in cluster.backends
        }


def test_refreshes_that_failed_are_told() -> None:
    with SimulatedCluster(1, 1, start=START) as cluster:
        cluster.world.views[0].fails = True
        cluster.step(60)
        zone = "SET time_zone = 'UTC'"
        rows = ask(cluster, zone, filled(cluster, _statement("task_runs")))
        assert [row["STATE"] for row in rows] == ["FAILED"]
        assert "exceeds its limit" in rows[0]["ERROR_MESSAGE"]
        views = ask(cluster, _statement("materialized_views"))
        assert [view["LAST_REFRESH_STATE"] for view in views] == ["FAILED", "SUCCESS"]


def test_a_user_without_the_right_to_operate_is_refused() -> None:
    with SimulatedCluster(1, 1) as cluster:
        cluster.manners.privileged = False
        for statement in ("SHOW BACKENDS", "SHOW PROC '/statistic'"):
            with pytest.raises(pymysql.err.MySQLError) as error:
                ask(cluster, statement)
            assert error.value.args[0] == 1227
        assert ask(cluster, "SHOW FULL PROCESSLIST")


def test_audit_times_may_be_of_a_zone_that_no_session_changes() -> None:
    """Their column is a DATETIME, which has no zone: it is as the frontend's host wrote it."""
    with SimulatedCluster(1, 1, start=START) as cluster:
        cluster.step(60)
        statement = filled(cluster, _statement("latencies"))
        assert ask(cluster, "SET time_zone = 'UTC'", statement)
        cluster.manners.audit_zone = "Asia/Shanghai"
        assert not ask(cluster, "SET time_zone = 'UTC'", statement)
