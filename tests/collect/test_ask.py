"""One look at one cluster, over real sockets: what answers is there, what does not is an error."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing

import pytest

from gateway_assets import clock
from gateway_assets.collect.ask import (
    MOST_ERRORS,
    PATIENCE,
    Limits,
    Watched,
    _Look,
    is_behind,
    next_window,
    shortened,
)
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.observed import Node, Observed
from gateway_assets.collect.snapshot import rows_of
from gateway_assets.collect.tick import ALL, due
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.starrocks.definitions import QUERIES, Every
from tests.collect.servers import Rows, SqlError, http, mysql, page, serving
from tests.collect.watching import FAST, LIMITS, SLACK, declared, looked, watched

MINUTE = 60 * clock.SECOND
MIDNIGHT = 20_000 * clock.DAY


def with_metrics(observed: Observed) -> set[str]:
    return {node.host for node, scrape in observed.scrapes.items() if scrape.exposition}


def one_frontend(port: int) -> closing[Watched]:
    """A server that is no simulated cluster, watched through SQL alone."""
    line = {"name": "one", "frontends": [f"127.0.0.1:{port}"], "http": False}
    return closing(Watched(Cluster.model_validate(line), LIMITS))


def test_everything_of_a_good_cluster() -> None:
    with SimulatedCluster(3, 2, 1) as simulated, watched(simulated) as each:
        observed = each.look(simulated.now, ALL, next_window(None, simulated.now))
        leader = simulated.leader
        assert leader
    assert observed.leader == f"{leader.host}:{leader.query_port}"
    assert observed.answered_by == f"127.0.1.1:{leader.query_port}"
    assert observed.is_leader_view is True
    assert with_metrics(observed) == {node.host for node in simulated.world.nodes}
    names = {query.name for query in QUERIES if query.every is not Every.INSTEAD}
    assert names - observed.answers.keys() <= {"transactions"}
    assert observed.window == next_window(None, simulated.now)


def test_routine_loads_are_asked_for_whenever_jobs_have_rows() -> None:
    tenth = 10 * 30 * clock.SECOND
    with SimulatedCluster(1, 1) as simulated, watched(simulated) as each:
        observed = each.look(simulated.now, due(tenth, 30 * clock.SECOND), None)
        rows, _ = rows_of(observed, {})
    kinds = [kind for row in rows["job_samples"] for kind in row if kind == "routine_load"]
    assert len(kinds) == len(simulated.world.routine_loads) > 0


def test_what_is_not_due_is_not_asked() -> None:
    with SimulatedCluster(1, 1) as simulated, watched(simulated) as each:
        observed = looked(each, simulated)
    assert observed.answers.keys() == {"frontends", "backends", "compute_nodes"}
    assert observed.window is None


@pytest.mark.parametrize("kind", ["hang", "trickle", "cut", "garbage", "refuse", "401", "html"])
def test_a_bad_frontend_is_passed_over(kind: str) -> None:
    began = time.monotonic()
    with SimulatedCluster(3, 2) as simulated, watched(simulated) as each:
        bad = simulated.frontends[0]
        simulated.fault(bad, kind)
        observed = looked(each, simulated)
        again = looked(each, simulated)
    assert observed.answered_by == again.answered_by
    assert observed.answered_by != f"{bad.host}:{bad.query_port}"
    assert observed.errors[0].startswith(f"{bad.host}:")
    assert not any(line.startswith(f"{bad.host}:{bad.query_port}") for line in again.errors)
    assert with_metrics(observed) >= {node.host for node in simulated.world.nodes} - {bad.host}
    assert time.monotonic() - began < SLACK


@pytest.mark.parametrize("kind", ["hang", "trickle", "cut", "garbage", "refuse", "401", "html"])
def test_a_bad_node_takes_nothing_from_the_others(kind: str) -> None:
    with SimulatedCluster(2, 3, 1) as simulated, watched(simulated) as each:
        simulated.fault(simulated.backends[1], kind)
        observed = looked(each, simulated)
    bad = simulated.backends[1].host
    (error,) = {scrape.error for node, scrape in observed.scrapes.items() if node.host == bad}
    assert error
    others = {node.host for node in simulated.world.nodes} - {bad}
    assert others <= with_metrics(observed)


def test_nodes_that_hang_do_not_keep_others_from_their_turn() -> None:
    with SimulatedCluster(1, 12) as simulated:
        few = Limits(call=1.0, look=3.0, nodes=1)
        hanging, good = simulated.backends[:8], simulated.backends[8:]
        for node in hanging:
            simulated.fault(node, "hang", "http")
        with closing(Watched(declared(simulated), few)) as each:
            first, second = looked(each, simulated), looked(each, simulated)
    hosts = {node.host for node in good}
    assert not hosts <= with_metrics(first)
    assert hosts <= with_metrics(second)


def test_nodes_that_are_said_to_be_dead_are_last() -> None:
    with SimulatedCluster(1, 12) as simulated:
        few = Limits(call=1.0, look=3.0, nodes=1)
        dead, good = simulated.backends[:8], simulated.backends[8:]
        for node in dead:
            simulated.fault(node, "hang", "http")
            node.is_alive = False
        with closing(Watched(declared(simulated), few)) as each:
            observed = looked(each, simulated)
    assert with_metrics(observed) >= {node.host for node in good}


def test_a_frontend_that_is_away_for_a_moment_keeps_its_extras() -> None:
    heard: list[str] = []
    is_away = False

    def answer(path: str) -> bytes:
        heard.append(path)
        return page(b"starrocks_fe_query_total 1\n", "500 Oops" if is_away else "200 OK")

    with serving(http(answer)) as port:
        cluster = Cluster.model_validate({"name": "one", "frontends": ["127.0.0.1"]})
        each = Watched(cluster, LIMITS)
        node = Node("fe", "fe:1", "127.0.0.1:9010", "127.0.0.1", port)
        for now in (False, True, False):
            is_away = now
            each._scrape(node, _Look(time.monotonic() + SLACK), set())
    plain, wide = "/metrics", heard[-1]
    assert heard == [plain, wide, plain, wide]
    assert wide != plain


def test_refreshes_that_run_are_known_and_failures_before_the_first() -> None:
    with SimulatedCluster(1, 1) as simulated, watched(simulated) as each:
        looked(each, simulated)
        observed = looked(each, simulated)
    (exposition,) = (
        scrape.exposition for node, scrape in observed.scrapes.items() if node.kind == "fe"
    )
    assert exposition
    views = len(simulated.world.views)
    for name in ("mv_refresh_running_jobs", "mv_refresh_total_failed_jobs"):
        assert len(exposition.series[f"starrocks_fe_{name}"]) == views


def test_a_session_that_was_lost_is_opened_again() -> None:
    with SimulatedCluster(1, 1) as simulated, watched(simulated) as each:
        looked(each, simulated)
        simulated.restart(simulated.frontends[0])
        observed = looked(each, simulated)
        assert observed.answers["frontends"]
        assert looked(each, simulated).errors == []


def test_it_starts_with_the_frontend_that_led_last() -> None:
    with SimulatedCluster(3, 1) as simulated, watched(simulated) as each:
        simulated.lead(2)
        looked(each, simulated)
        simulated.restart(simulated.frontends[0])
        simulated.lead(2)
        observed = looked(each, simulated)
    assert observed.answered_by == f"127.0.1.3:{simulated.frontends[2].query_port}"


@pytest.mark.parametrize("are_given", [True, False], ids=["given", "denied"])
def test_more_metrics_are_asked_for_once_the_plain_page_has_come(are_given: bool) -> None:
    heard: list[str] = []

    def answer(path: str) -> bytes:
        heard.append("more" if "with_user_connections=minified" in path else "plain")
        is_good = are_given or heard[-1] == "plain"
        return page(b"starrocks_fe_query_total 1\n", "200 OK" if is_good else "403 Forbidden")

    with serving(http(answer)) as port:
        cluster = Cluster.model_validate({"name": "one", "frontends": ["127.0.0.1"]})
        each = Watched(cluster, LIMITS)
        node = Node("fe", "fe:1", "127.0.0.1:9010", "127.0.0.1", port)
        for _ in range(3):
            assert each._scrape(node, _Look(time.monotonic() + SLACK), set()).exposition
    assert heard == (
        ["plain", "more", "more"] if are_given else ["plain", "more", "plain", "plain"]
    )


def test_metrics_through_sql_where_http_is_shut() -> None:
    with SimulatedCluster(2, 2) as simulated, watched(simulated) as each:
        for node in simulated.backends:
            simulated.fault(node, "hang", "http")
        observed = looked(each, simulated)
    assert observed.answers["be_metrics"]
    assert "fe_metrics" not in observed.answers
    assert {scrape.error for node, scrape in observed.scrapes.items() if node.kind == "be"} == {
        "timed out"
    }


def test_metrics_through_sql_alone() -> None:
    with SimulatedCluster(2, 2) as simulated, watched(simulated, http=False) as each:
        observed = looked(each, simulated)
    assert observed.answers["be_metrics"] and observed.answers["fe_metrics"]
    assert with_metrics(observed) == set()


def test_what_a_version_does_not_have_is_no_error() -> None:
    with SimulatedCluster(1, 1, version="2.2.0") as simulated, watched(simulated) as each:
        observed = looked(each, simulated, everything=True)
    assert "transactions" not in observed.answers
    assert observed.errors == []
    assert observed.answers["running_queries"] is not None


def refusing(
    table: str, code: int, text: str, heard: list[str] | None = None
) -> Callable[[str], Rows | None]:
    """One frontend, and one table that it gives an error for."""

    def answer(statement: str) -> Rows | None:
        if table in statement:
            if heard is not None:
                heard.append(statement)
            raise SqlError(code, text)
        if statement == "SHOW FRONTENDS":
            return ("Name", "IP", "Role", "Alive"), [("fe1", "127.0.0.1", "LEADER", "true")]
        if statement.startswith("SHOW VARIABLES"):
            return ("Variable_name", "Value"), [("system_time_zone", "UTC")]
        return None if statement.startswith("SET") else (("a",), [])

    return answer


LACKING = [
    (1146, "Unknown table 'tables'"),
    (1064, "Getting syntax error at line 1, column 5. Detail message: No viable statement."),
    (1064, "Getting syntax error at line 1, column 5. Detail message: Unexpected input 'x'."),
    (1064, "Getting analyzing error. Detail message: Column 'x' cannot be resolved."),
    (1064, "Proc path '/statistic' doesn't exist"),
    (1064, "Getting analyzing error. Detail message: Proc path '/statistic' not found."),
]
PASSING = [
    (1064, "Memory of process exceed limit. Used: 9, Limit: 8. Mem usage has exceeded the limit"),
    (1064, "Query exceeded time limit of 5 seconds"),
    (1064, "Backend node not found. Check if any backend node is down."),
    (1064, "Cannot open null host"),
]


@pytest.mark.parametrize("where", ["/statistic", "current_queries", "information_schema.tables"])
@pytest.mark.parametrize(
    ("code", "text", "is_lacking"),
    [(*each, True) for each in LACKING] + [(*each, False) for each in PASSING],
)
def test_only_what_is_lacking_has_a_rest(
    where: str, code: int, text: str, is_lacking: bool
) -> None:
    heard: list[str] = []
    with serving(mysql(refusing(where, code, text, heard))) as port, one_frontend(port) as each:
        first = each.look(MIDNIGHT, ALL, None)
        asked = len(heard)
        each.look(MIDNIGHT, ALL, None)
    assert len(heard) == (asked if is_lacking else 2 * asked)
    assert first.errors == [] if is_lacking else any(text[:20] in line for line in first.errors)


@pytest.mark.parametrize(("code", "text"), [LACKING[0], LACKING[1], PASSING[0], (1227, "denied")])
def test_nodes_are_asked_for_at_every_tick(code: int, text: str) -> None:
    heard: list[str] = []
    served = mysql(refusing("SHOW COMPUTE NODES", code, text, heard))
    with serving(served) as port, one_frontend(port) as each:
        for number in (1, 2):
            each.look(MIDNIGHT, FAST, None)
            assert len(heard) == number


def test_an_error_that_passes_does_not_change_the_spelling() -> None:
    heard: list[str] = []
    is_bad = True

    def answer(statement: str) -> Rows | None:
        heard.append(statement)
        table = "/global_current_queries" if is_bad else "nothing of this name"
        return refusing(table, *PASSING[0])(statement)

    with serving(mysql(answer)) as port, one_frontend(port) as each:
        assert "running_queries" in each.look(MIDNIGHT, ALL, None).answers
        is_bad = False
        heard.clear()
        each.look(MIDNIGHT, ALL, None)
    assert [text for text in heard if "current_queries" in text] == [
        "SHOW PROC '/global_current_queries'"
    ]


def test_a_statement_that_hangs_costs_itself_alone() -> None:
    with SimulatedCluster(2, 1) as simulated, watched(simulated) as each:
        for node in simulated.frontends:
            simulated.fault(node, "hang", "sql", on="SHOW PROC '/statistic'")
        observed = looked(each, simulated, everything=True)
    assert "statistic" not in observed.answers
    assert {"routine_loads", "tables", "be_configs"} <= observed.answers.keys()
    assert any("statistic: timed out" in line for line in observed.errors), observed.errors


def test_a_session_that_began_late_has_all_its_time_later() -> None:
    with SimulatedCluster(2, 1) as simulated:
        slow = Limits(call=3.0, look=4.0, nodes=8)
        with closing(Watched(declared(simulated), slow)) as each:
            simulated.fault(simulated.frontends[0], "hang", "sql")
            looked(each, simulated)
            simulated.fault(simulated.frontends[1], "slow", "sql", on="SHOW BACKENDS", seconds=1.5)
            observed = looked(each, simulated)
    assert observed.answers["backends"], observed.errors


def test_a_cluster_that_is_away() -> None:
    with SimulatedCluster(2, 1) as simulated, watched(simulated) as each:
        for node in simulated.frontends:
            simulated.kill(node)
        observed = looked(each, simulated)
        assert (observed.answers, observed.scrapes, len(observed.errors)) == ({}, {}, 2)
        simulated.revive(simulated.frontends[1])
        assert looked(each, simulated).answers["frontends"]


def test_without_a_leader_the_frontend_tells_what_it_knows() -> None:
    with SimulatedCluster(3, 1) as simulated, watched(simulated) as each:
        for node in simulated.frontends[:2]:
            simulated.kill(node)
        observed = looked(each, simulated)
    assert observed.answers["frontends"]
    assert observed.is_leader_view in {None, False} or observed.leader


def test_the_leader_is_asked_again_once_there_is_one() -> None:
    with SimulatedCluster(3, 1) as simulated, watched(simulated) as each:
        simulated.lead(2)
        looked(each, simulated)
        for node in simulated.frontends[1:]:
            simulated.kill(node)
        assert looked(each, simulated).is_leader_view is None
        for node in simulated.frontends[1:]:
            simulated.revive(node)
        simulated.lead(1)
        looked(each, simulated)
        observed = looked(each, simulated)
    assert observed.is_leader_view is True
    assert observed.errors == []


@pytest.mark.parametrize(
    ("name", "on"), [("task_runs", "SELECT now()"), ("latencies", "SHOW VARIABLES")]
)
def test_no_window_is_asked_for_in_a_zone_that_is_unknown(name: str, on: str) -> None:
    with SimulatedCluster(1, 1) as simulated, watched(simulated) as each:
        simulated.refuses_time_zone = True
        simulated.fault(simulated.frontends[0], "empty", "sql", on=on)
        observed = each.look(simulated.now, FAST, next_window(None, simulated.now))
    assert observed.answers["backends"]
    assert name not in observed.answers
    assert observed.is_zone_known == (name != "task_runs")
    assert any(f"{name}: left out" in line for line in observed.errors)


def test_a_window_waits_for_each_of_its_statements_but_not_for_ever() -> None:
    with SimulatedCluster(1, 1) as simulated, watched(simulated) as each:
        window = next_window(None, simulated.now)

        def met() -> bool:
            observed = each.look(simulated.now, FAST, window)
            assert "slow_queries" in observed.answers
            return observed.window == window

        latencies = "SELECT floor(ln(greatest"
        simulated.fault(simulated.frontends[0], "hang", "sql", on=latencies)
        assert [met() for _ in range(PATIENCE + 1)] == [False] * (PATIENCE - 1) + [True, True]
        simulated.clear(simulated.frontends[0])
        assert met()
        simulated.fault(simulated.frontends[0], "hang", "sql", on=latencies)
        assert not met()


def test_a_window_does_not_wait_for_what_is_refused() -> None:
    served = mysql(refusing("queryTime", *PASSING[0]))
    with serving(served) as port, one_frontend(port) as each:
        window = next_window(None, MIDNIGHT)
        observed = each.look(MIDNIGHT, FAST, window)
    assert "latencies" not in observed.answers
    assert observed.window == window


def test_windows_of_the_audit_table_are_of_its_own_zone() -> None:
    """The same queries, at the same times, whichever zone the frontends' hosts are in."""

    def seen(zone: str) -> tuple[int, list[str | None]]:
        with (
            SimulatedCluster(1, 1, seed=3, start=MIDNIGHT) as simulated,
            watched(simulated, slow_query_ms=200) as each,
        ):
            simulated.manners.audit_zone = zone
            simulated.step(600)
            observed = each.look(simulated.now, FAST, (MIDNIGHT, MIDNIGHT + 5 * MINUTE))
            queries = sum(int(row["QUERIES"] or 0) for row in observed.answers["latencies"])
            return queries, [row["timestamp"] for row in observed.answers["slow_queries"]]

    here, there = seen("UTC"), seen("Asia/Shanghai")
    assert here == there
    assert here[0] > 1000
    assert len(here[1]) == 200


def test_times_of_a_server_that_keeps_its_zone_are_shifted() -> None:
    def started(refuses: bool) -> list[str | None]:
        with (
            SimulatedCluster(1, 1, seed=3, start=MIDNIGHT) as simulated,
            watched(simulated) as each,
        ):
            simulated.refuses_time_zone = refuses
            observed = looked(each, simulated)
            return [row["LastStartTime"] for row in observed.answers["backends"]]

    assert started(True) == started(False)


def test_windows_are_closed_minutes_each_once() -> None:
    now = MIDNIGHT + 2 * MINUTE
    first = next_window(None, now)
    assert first == (MIDNIGHT - 10 * MINUTE, MIDNIGHT - 5 * MINUTE)
    assert next_window(first[1], now) is None
    assert next_window(first[1], MIDNIGHT + 3 * MINUTE - 1) is None
    assert next_window(first[1], MIDNIGHT + 3 * MINUTE) == (first[1], MIDNIGHT)


def test_windows_after_a_pause_begin_an_hour_back() -> None:
    now = MIDNIGHT + 8 * MINUTE
    asked = MIDNIGHT - 7 * clock.DAY
    windows = []
    while is_behind(asked, now):
        window = next_window(asked, now)
        assert window
        windows.append(window)
        asked = window[1]
    assert windows[0] == (MIDNIGHT - 55 * MINUTE, MIDNIGHT - 50 * MINUTE)
    assert len(windows) == 11
    assert next_window(asked, now) == (MIDNIGHT, MIDNIGHT + 5 * MINUTE)


def test_a_clock_that_was_ahead_does_not_end_the_windows() -> None:
    assert next_window(MIDNIGHT + clock.DAY, MIDNIGHT) == next_window(None, MIDNIGHT)


def test_errors_are_few() -> None:
    assert shortened(["a", "b", "a"]) == ["a", "b"]
    many = shortened([f"error {n}" for n in range(100)])
    assert many == [*(f"error {n}" for n in range(MOST_ERRORS)), "and 80 more"]
