"""Pages of metrics: what other parsers say to them, and that they tell the truth."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.model import Node
from gateway_assets.simulated.series import host_counters
from gateway_assets.simulated.texts import java_double, size
from tests.simulated.asking import fetch, series

CASES = Path(__file__).parents[1] / "cases" / "starrocks"
VERSIONS = ("2.2.5", "2.5.4", "3.1.7", "3.3.10", "4.1.0")


def shown(node: Node) -> dict[str, int]:
    """The counters on a node's page, under the names of its truth."""
    found = series(node)
    return {name: int(found[name]) for name in node.truth if name in found}


@pytest.mark.parametrize("shared_data", [False, True], ids=["shared_nothing", "shared_data"])
@pytest.mark.parametrize("version", VERSIONS)
def test_clean_pages_are_read_by_the_official_parser(version: str, shared_data: bool) -> None:
    with SimulatedCluster(1, 1, 1, version=version, shared_data=shared_data, clean=True) as cluster:
        cluster.step(60)
        for node in cluster.world.nodes:
            _, body = fetch(node)
            samples = [
                sample
                for family in text_string_to_metric_families(body.decode())
                for sample in family.samples
            ]
            assert len(samples) == sum(not line.startswith(b"#") for line in body.splitlines())


def test_names_and_headers_are_those_of_real_pages() -> None:
    """The two synthetic pages were made after the writers' source."""
    with SimulatedCluster(3, 3) as cluster:
        cluster.step(60)
        for node, name in (
            (cluster.frontends[0], "synthetic_fe_leader"),
            (cluster.backends[0], "synthetic_be"),
        ):
            ours = set(_headers(fetch(node)[1].decode()))
            theirs = set(_headers((CASES / f"{name}.txt").read_text("utf-8")))
            missing = {line for line in theirs - ours if not _left_out(line)}
            assert not missing


def _headers(page: str) -> list[str]:
    return [line for line in page.splitlines() if line.startswith("#")]


def _left_out(line: str) -> bool:
    return bool(re.search(r"safe_mode|snmp|editlog_write_latency", line))


def test_quirks_of_frontends() -> None:
    with SimulatedCluster(3, 2) as cluster:
        cluster.step(30)
        _, body = fetch(cluster.frontends[0])
    lines = body.decode().splitlines()
    assert "# HELP  jvm_heap_size_bytes jvm heap stat" in lines
    assert any(re.match(r'node_info\{type="\w+", state="alive"\} 3', line) for line in lines)
    assert "# HELP starrocks_fe_query_latency_ms " in lines
    assert 'starrocks_fe_query_latency{type="95_quantile"} 0.0' in lines
    names = [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]
    twice = {name for name, count in Counter(names).items() if count > 1}
    assert len(twice) == 2
    values = {line for line in lines if line.startswith('starrocks_fe_thread_pool{name="check')}
    assert len(values) == 2  # the same series, two values
    families = [re.match(r"\w+", name) for name in names]
    runs = [one[0] for one, before in zip(families[1:], families, strict=False) if one and before
            and one[0] != before[0]]  # fmt: skip
    assert any(count > 1 for count in Counter(runs).values())  # interleaved


def test_quirks_of_backends() -> None:
    with SimulatedCluster(1, 1) as cluster:
        _, body = fetch(cluster.backends[0])
    text = body.decode()
    assert '{status="failed",type="base_compaction"} ' in text
    assert "# HELP starrocks_be" not in text
    assert "rpc_server_8060_connection_count 12" in text
    assert re.search(r'^bthread_creation_stack ".*"$', text, re.MULTILINE)


def test_counters_are_the_truth_until_a_restart() -> None:
    with SimulatedCluster(2, 2) as cluster:
        cluster.step(30)
        for node in cluster.world.nodes:
            assert shown(node) == {name: node.truth[name] for name in shown(node)}
            assert len(shown(node)) > 15


def test_what_pages_say_between_restarts_adds_up_to_the_truth() -> None:
    with SimulatedCluster(3, 2) as cluster:
        nodes = [cluster.frontends[0], cluster.backends[0]]
        born = {node.id: dict(node.truth) for node in nodes}
        begun = {node.id: shown(node) for node in nodes}
        added: Counter[tuple[int, str]] = Counter()
        for _ in range(3):
            cluster.step(40)
            for node in nodes:
                for name, value in shown(node).items():
                    added[node.id, name] += value - begun[node.id].get(name, 0)
                cluster.restart(node)
                begun[node.id] = shown(node)
                kept = {name for name, value in begun[node.id].items() if value}
                assert kept == (set(host_counters()) if node.kind == "be" else set())
        for node in nodes:
            for name, amount in node.truth.items():
                if "_mv_" in name:
                    continue  # of views, which pages tell when they are asked for them
                grown = amount - born[node.id].get(name, 0)
                assert grown == added[node.id, name], name


def test_a_new_leader_goes_on_from_its_own_counters() -> None:
    name = "starrocks_fe_txn_success"
    with SimulatedCluster(3, 2) as cluster:
        cluster.step(30)
        first, second = cluster.frontends[:2]
        before = series(first)[name], series(second)[name]
        cluster.lead(1)
        cluster.step(30)
        after = series(first)[name], series(second)[name]
        assert after[0] == before[0]
        assert after[1] > before[1]
        assert series(first)['node_info{type="is_master"}'] == 0
        assert series(second)['node_info{type="is_master"}'] == 1
        tablets = 'starrocks_fe_tablet_num{backend="127.0.2.1:9050"}'
        assert series(first)[tablets] == 0  # there, but 0
        assert series(second)[tablets] > 0


def test_views_need_the_parameter_and_the_right() -> None:
    with SimulatedCluster(1, 1, password="pw") as cluster:
        cluster.step(60)
        fe = cluster.frontends[0]
        path, login = "/metrics?with_materialized_view_metrics=all", "monitor:pw"
        views = series(fe, path, login=login)
        success = next(name for name in views if "mv_refresh_total_success_jobs" in name)
        assert (views[success], fe.truth[success]) == (1, 1)
        assert any("mv_row_count" in name for name in views)
        for other, who in (("/metrics", login), (path, ""), (path, "monitor:no")):
            assert not any("_mv_" in name for name in series(fe, other, login=who))
        few = series(fe, path.replace("all", "minified"), login=login)
        assert any("mv_refresh_total_success" in name for name in few)
        assert not any("mv_row_count" in name or "total_failed" in name for name in few)
        cluster.manners.privileged = False
        assert not any("_mv_" in name for name in series(fe, path, login=login))


def test_old_versions_write_histograms_of_views_that_nobody_can_read() -> None:
    path, login = "/metrics?with_materialized_view_metrics=all", "monitor:pw"
    for version, expected in (("3.1.7", 2), ("3.3.7", 2), ("3.3.8", 0)):
        with SimulatedCluster(1, 1, version=version, password="pw") as cluster:
            _, body = fetch(cluster.frontends[0], path, login=login)
            assert body.count(b"}{quantile=") == expected


def test_quantiles_stand_still_when_nobody_asks() -> None:
    with SimulatedCluster(1, 1) as cluster:
        cluster.step(30)
        cluster.workload.qps = 0
        cluster.step(1)
        before = series(cluster.frontends[0])
        cluster.step(300)
        after = series(cluster.frontends[0])
        name = 'starrocks_fe_query_latency_ms{quantile="0.99"}'
        assert before[name] == after[name] > 0
        count = "starrocks_fe_query_latency_ms_count"
        assert before[count] == after[count]


def test_a_password_is_wanted_when_asked_for() -> None:
    with SimulatedCluster(1, 1, password="pw", http_auth=True) as cluster:
        for node in cluster.world.nodes:
            assert fetch(node)[0] == 401
            assert fetch(node, login="monitor:no")[0] == 401
            assert fetch(node, login="monitor:pw")[0] == 200


def test_other_pages() -> None:
    with SimulatedCluster(1, 2) as cluster:
        cluster.kill(cluster.backends[1])
        fe, be = cluster.frontends[0], cluster.backends[0]
        health = json.loads(fetch(fe, "/api/health")[1])
        assert (health["online_backend_num"], health["total_backend_num"]) == (1, 2)
        assert json.loads(fetch(be, "/api/health")[1])["status"] == "OK"
        runtime = json.loads(fetch(fe, "/api/show_runtime_info")[1])
        assert set(runtime) == {"free_mem", "total_mem", "max_mem", "thread_cnt"}
        assert all(isinstance(value, str) for value in runtime.values())
        entries = json.loads(fetch(be, "/metrics?type=json")[1])
        assert {"metric": "starrocks_be_load_rows"} in [entry["tags"] for entry in entries]
        assert fetch(be, "/nowhere")[0] == 404


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (31.0, "31.0"),
        (112762.5, "112762.5"),
        (9999999.0, "9999999.0"),
        (1e7, "1.0E7"),
        (171971145.46, "1.7197114546E8"),
        (0.0625, "0.0625"),
        (0.0001, "1.0E-4"),
        (-12345678.0, "-1.2345678E7"),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
    ],
)
def test_numbers_are_written_as_java_does(value: float, text: str) -> None:
    assert java_double(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0.000 B"), (1, "1.000 B"), (1024, "1.000 KB"), (int(1.968 * 2**40), "1.968 TB"),
     (5 * 2**50, "5120.000 TB")],
)  # fmt: skip
def test_sizes_have_no_unit_beyond_terabytes(value: int, text: str) -> None:
    assert size(value) == text
