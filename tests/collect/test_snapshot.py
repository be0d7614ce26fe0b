"""A look as rows: what is unknown stays unknown, and what happened is counted once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets import clock
from gateway_assets.collect.nodes import nodes_of
from gateway_assets.collect.observed import Node, Observed, Record, Scrape
from gateway_assets.collect.series import WANTED
from gateway_assets.starrocks.exposition import parse
from tests.collect.looks import (
    CASES,
    START,
    TICK,
    backend,
    frontend,
    landed,
    look,
    page,
    run,
    snapshot,
    table,
    text_of,
    tick,
    vertical,
)

FE1, FE2, FE3 = (f"10.0.0.{number}:9010" for number in (1, 2, 3))
BE1, BE2 = (f"10.0.1.{number}:9050" for number in (1, 2))
GB = 2**30
LATER = START + TICK


def two(
    first: dict[str, str | None],
    second: dict[str, str | None],
    rows: list[Record] | None = None,
    rows_then: list[Record] | None = None,
) -> dict[str, Any]:
    """The snapshot of the second of two looks at frontends."""
    one = look({"frontends": rows or [frontend(1), frontend(2)]}, first)
    other = look({"frontends": rows_then or rows or [frontend(1), frontend(2)]}, second, at=LATER)
    return snapshot(run(one, other)[1])


# First looks and growth


def test_a_first_look_has_states_but_no_growth() -> None:
    rows = run(look({"frontends": [frontend(1)]}, {FE1: page(query_total=5, connection_total=7)}))
    first = snapshot(rows[0])
    assert (first["query_total"], first["qps"], first["seconds"], first["resets"]) == (None,) * 4
    assert (first["connections"], first["coverage"]) == (7, 0.0)


def test_counters_are_what_they_grew() -> None:
    row = two(
        {FE1: page(query_total=100, request_total=1000), FE2: page(query_total=7)},
        {FE1: page(query_total=160, request_total=1300), FE2: page(query_total=37)},
    )
    assert (row["query_total"], row["requests"]) == (90, 300)
    assert (row["qps"], row["rps"], row["seconds"]) == (3.0, 10.0, 30.0)
    assert (row["coverage"], row["resets"]) == (1.0, 0)


def test_seconds_are_those_that_the_counters_cover() -> None:
    """Pages come later than their tick, most of all at a first look."""
    answers = {"frontends": [frontend(1), frontend(2)], "backends": [backend(1)]}
    looks = []
    for number, late in enumerate((3.2, 0.3, 0.3)):
        at = START + number * TICK
        pages = {
            FE1: page(query_total=10 * 30 * number),
            FE2: page(query_total=20 * 30 * number),
            BE1: page(be_load_rows=1),
        }
        one = look(answers, pages, at=at)
        moments = {"fe": at + int(late * clock.SECOND), "be": at + 9 * clock.SECOND}
        scrapes = {
            node: each._replace(moment=moments[node.kind]) for node, each in one.scrapes.items()
        }
        looks.append(one._replace(scrapes=scrapes))
    rows = [snapshot(each) for each in run(*looks)]
    assert [row["seconds"] for row in rows] == [None, 27.1, 30.0]
    for row in rows[1:]:
        assert row["query_total"] / row["seconds"] == pytest.approx(row["qps"], abs=0.001)


def test_a_frontend_that_is_new_covers_nothing_yet() -> None:
    row = two(
        {FE1: page(query_total=100)},
        {FE1: page(query_total=130), FE2: page(query_total=9_000_000)},
        [frontend(1)],
        [frontend(1), frontend(2)],
    )
    assert (row["query_total"], row["coverage"]) == (30, 0.5)


def test_trap_05_a_restart_that_the_counter_has_outgrown_is_seen_by_the_start() -> None:
    restarted = frontend(2, LATER, StartTime=text_of(LATER - 5 * clock.SECOND))
    row = two(
        {FE1: page(query_total=100), FE2: page(query_total=10)},
        {FE1: page(query_total=130), FE2: page(query_total=50)},
        [frontend(1), frontend(2)],
        [frontend(1), restarted],
    )
    assert (row["query_total"], row["resets"]) == (80, 1)


def test_trap_05_a_restart_that_show_learns_of_later_is_counted_once() -> None:
    started = text_of(START + 20 * clock.SECOND)
    answers = [
        {"frontends": [frontend(1)]},
        {"frontends": [frontend(1, LATER)]},  # the page is new already
        {"frontends": [frontend(1, LATER + TICK, StartTime=started)]},
    ]
    rows = run(*(
        look(each, {FE1: page(query_total=total)}, at=START + number * TICK)
        for number, (each, total) in enumerate(zip(answers, (1000, 40, 70), strict=True))
    ))  # fmt: skip
    assert [snapshot(each)["query_total"] for each in rows] == [None, 40, 30]
    assert [snapshot(each)["resets"] for each in rows] == [None, 1, 0]


def test_a_restart_at_a_time_that_was_wrong_hides_no_later_one() -> None:
    """The collector's clock was ahead when the first one was seen."""
    moments = (START, START + clock.HOUR, LATER, LATER + TICK)
    again = frontend(1, StartTime=text_of(LATER + 25 * clock.SECOND))
    shown = (frontend(1), frontend(1), frontend(1), again)
    rows = run(*(
        look({"frontends": [each]}, {FE1: page(query_total=total)}, at=moment)
        for each, total, moment in zip(shown, (1000, 40, 50, 90), moments, strict=True)
    ))  # fmt: skip
    assert [snapshot(each)["query_total"] for each in rows] == [None, 40, 10, 90]
    assert [snapshot(each)["resets"] for each in rows] == [None, 1, 0, 1]


def test_a_backend_that_was_only_seen_alive_again_did_not_count_anew() -> None:
    back = backend(1, LATER, LastStartTime=text_of(LATER))
    one = look({"backends": [backend(1)]}, {BE1: page(be_load_rows=9_000_000)})
    other = look({"backends": [back]}, {BE1: page(be_load_rows=9_000_005)}, at=LATER)
    row = snapshot(run(one, other)[1])
    assert (row["load_rows"], row["resets"]) == (5, 0)


HOST_COUNTERS = ("disk_bytes_read", "disk_bytes_written", "network_send_bytes",
                 "network_receive_bytes")  # fmt: skip
HOST_COLUMNS = ("disk_read_bytes", "disk_written_bytes", "network_sent_bytes",
                "network_received_bytes")  # fmt: skip


def of_host(rows: int, total: int) -> str:
    lines = [f'starrocks_be_{name}{{device="x0"}} {total}\n' for name in HOST_COUNTERS]
    return page(be_load_rows=rows) + "".join(lines)


@pytest.mark.parametrize(
    ("rows", "total", "loaded", "moved", "resets"),
    [
        (40, 10**14 + 500, 40, 500, 1),  # another process on the same host
        (40, 500, 40, 500, 1),  # the host has restarted, too
        (1005, 500, 5, 500, 0),  # only seen alive again; a device has begun anew
    ],
    ids=["process", "host", "device"],
)
def test_what_a_host_counts_goes_on_when_its_backend_restarts(
    rows: int, total: int, loaded: int, moved: int, resets: int
) -> None:
    back = backend(1, LATER, LastStartTime=text_of(LATER))
    one = look({"backends": [backend(1)]}, {BE1: of_host(1000, 10**14)})
    other = look({"backends": [back]}, {BE1: of_host(rows, total)}, at=LATER)
    row = snapshot(run(one, other)[1])
    assert (row["load_rows"], row["resets"]) == (loaded, resets)
    assert [row[name] for name in HOST_COLUMNS] == [moved] * 4


def test_a_device_that_is_not_on_the_first_page_of_a_process_is_not_forgotten() -> None:
    back = backend(1, LATER, LastStartTime=text_of(LATER))
    one = look({"backends": [backend(1)]}, {BE1: of_host(1000, 10**14)})
    bare = look({"backends": [back]}, {BE1: page(be_load_rows=40)}, at=LATER)
    last = look({"backends": [back]}, {BE1: of_host(50, 10**14 + 9)}, at=LATER + TICK)
    row = snapshot(run(one, bare, last)[2])
    assert (row["load_rows"], row["disk_read_bytes"]) == (10, 9)


@pytest.mark.parametrize(("after", "grew"), [(3, 3), (900, 200)], ids=["lower", "higher"])
def test_trap_06_the_leader_changes(after: int, grew: int) -> None:
    """A new leader goes on from its own counter, whether that is below or above the old one's."""
    before = 0 if after == 3 else 700
    row = two(
        {FE1: page(txn_begin=500), FE2: page(txn_begin=before)},
        {FE1: page(txn_begin=500), FE2: page(txn_begin=after)},
        None,
        [frontend(1, LATER, Role="FOLLOWER"), frontend(2, LATER, Role="LEADER")],
    )
    assert (row["txn_begin"], row["resets"]) == (grew, 0)


def test_trap_07_a_frontend_that_was_away_comes_with_its_growth() -> None:
    looks = []
    for number in range(22):
        is_away = 0 < number < 21
        text = None if is_away else page(query_total=100 + 10 * number)
        pages = {FE1: page(query_total=60 * number), FE2: text}
        at = START + number * TICK
        looks.append(look({"frontends": [frontend(1, at), frontend(2, at)]}, pages, at=at))
    rows = [snapshot(each) for each in run(*looks)]
    assert [row["query_total"] for row in rows[1:]] == [60] * 20 + [60 + 210]
    assert [row["coverage"] for row in rows[1:]] == [0.5] * 20 + [1.0]
    assert rows[21]["qps"] == pytest.approx(2 + 210 / 630, abs=0.001)


def test_a_body_that_was_cut_gives_no_smaller_sums_and_no_resets() -> None:
    name = "starrocks_fe_txn_running"
    whole = page(query_total=100, query_err=9) + f'{name}{{db="a"}} 3\n{name}{{db="b"}} 4\n'
    cut = page(query_total=150) + f'{name}{{db="a"}} 3\nstarrocks_fe_query_err 1'
    answers = {"frontends": [frontend(1)]}
    looks = [look(answers, {FE1: text}, at=START + n * TICK) for n, text in enumerate([whole, cut])]
    last = look(answers, {FE1: whole.replace(" 100", " 170").replace(" 9", " 12")}, at=LATER + TICK)
    rows = run(*looks, last)
    states = [snapshot(each) for each in rows]
    assert [each["txn_running"] for each in states] == [7, None, 7]
    assert [each["query_error"] for each in states] == [None, None, 3]
    assert [each["query_total"] for each in states] == [None, 50, 20]
    assert states[1]["resets"] == 0
    assert rows[1]["node_samples"][0]["scrape"] == "cut short"


def test_trap_21_a_page_with_fewer_lines_does_not_lose_or_invent() -> None:
    def views(*pairs: tuple[str, int]) -> str:
        name = "starrocks_fe_mv_refresh_total_failed_jobs"
        return page(query_total=1) + "".join(f'{name}{{mv_id="{i}"}} {n}\n' for i, n in pairs)

    pages = [views(("1", 5)), views(), views(("1", 8), ("2", 1000)), views(("1", 8), ("2", 1001))]
    rows = run(*(
        look({"frontends": [frontend(1)]}, {FE1: text}, at=START + number * TICK)
        for number, text in enumerate(pages)
    ))  # fmt: skip
    assert [snapshot(each)["mv_refresh_failed"] for each in rows] == [None, None, 3, 1]


def test_of_many_series_that_are_away_only_the_first_are_forgotten() -> None:
    def views(value: int, *numbers: int) -> str:
        name = "starrocks_fe_mv_refresh_total_failed_jobs"
        lines = (f'{name}{{mv_id="{number}"}} {value}\n' for number in numbers)
        return page(query_total=1) + "".join(lines)

    pages = [views(5, 0), views(5, *range(1, 1001)), views(5), views(8, 0), views(8, *range(1001))]
    rows = run(*(
        look({"frontends": [frontend(1)]}, {FE1: text}, at=START + number * TICK)
        for number, text in enumerate(pages)
    ))  # fmt: skip
    grown = [snapshot(each)["mv_refresh_failed"] for each in rows]
    assert grown == [None, None, None, None, 3000]


def test_trap_20_counters_beyond_what_a_float_holds() -> None:
    one = page(routine_load_receive_bytes=2**60)
    other = f"starrocks_fe_routine_load_receive_bytes {2**60 + 3}\n"
    assert two({FE1: one}, {FE1: other})["routine_load_bytes"] == 3
    grown = two({FE1: page(query_total=1.2345678e7)}, {FE1: page(query_total=1.2345679e7)})
    assert grown["query_total"] == 1


def test_growth_that_does_not_fit_is_null_and_said() -> None:
    one = look({"backends": [backend(1)]}, {BE1: page(be_load_bytes=1)})
    other = look({"backends": [backend(1)]}, {BE1: page(be_load_bytes=2**60)}, at=LATER)
    more = page(be_load_bytes=2**60 + 5)
    last = look({"backends": [backend(1)]}, {BE1: more}, at=LATER + TICK)
    _, rows, after = run(one, other, last)
    assert snapshot(rows)["load_bytes"] is None
    assert tick(rows)["status"] == "partial"
    assert "load_bytes is not an amount" in tick(rows)["errors"]
    assert str(2**60 - 1) in tick(rows)["errors"]
    assert (snapshot(after)["load_bytes"], tick(after)["errors"]) == (5, None)


# Latency


def latencies(count: int, p95: str = "812.0", p99: str = "2601.0") -> str:
    name = "starrocks_fe_query_latency_ms"
    return (
        f'{name}{{quantile="0.95"}} {p95}\n{name}{{quantile="0.99"}} {p99}\n{name}_count {count}\n'
    )


def test_trap_10_gauges_of_latency_that_are_off_are_unknown() -> None:
    zeros = (CASES / "fe_3.3.6_query_latency_all_zero.txt").read_text() + page(query_total=1)
    row = two({FE1: zeros}, {FE1: zeros})
    assert [row[name] for name in ("p50", "p90", "p95", "p99")] == [None] * 4


def test_trap_11_percentiles_that_stand_still_are_unknown() -> None:
    row = two({FE1: latencies(5), FE2: latencies(5)}, {FE1: latencies(5), FE2: latencies(5)})
    assert (row["p95"], row["p99"]) == (None, None)


def test_percentiles_are_those_of_the_slowest_frontend_that_was_asked() -> None:
    row = two(
        {FE1: latencies(5), FE2: latencies(5)},
        {FE1: latencies(6, "10.0", "20.0"), FE2: latencies(5)},
    )
    assert (row["p95"], row["p99"], row["p50"], row["p90"]) == (10.0, 20.0, None, None)
    row = two({FE1: latencies(5)}, {FE1: latencies(6, "NaN", "20.0")})
    assert (row["p95"], row["p99"]) == (None, 20.0)


# Gauges of frontends


def test_trap_09_connections_are_not_counted_by_user_once_more() -> None:
    text = page(connection_total=17) + 'starrocks_fe_connection_total{user="o"brien"} 12\n'
    rows = run(look({"frontends": [frontend(1)]}, {FE1: text}))[0]
    assert snapshot(rows)["connections"] == 17
    assert rows["node_samples"][0]["connections"] == 17


def test_a_sum_without_one_frontend_is_unknown() -> None:
    row = two({}, {FE1: page(connection_total=17), FE2: None})
    assert row["connections"] is None
    dead = [frontend(1, LATER), frontend(2, LATER, Alive="false")]
    assert two({}, {FE1: page(connection_total=17)}, None, dead)["connections"] == 17


def test_what_only_the_leader_knows_is_unknown_without_it() -> None:
    score = page(max_tablet_compaction_score=0)
    assert two({}, {FE1: None, FE2: score})["compaction_score"] is None
    high = page(max_tablet_compaction_score=87)
    assert two({}, {FE1: high, FE2: score})["compaction_score"] == 87
    assert two({}, {FE1: high, FE2: None})["compaction_score"] == 87


def test_a_real_page_of_a_leader() -> None:
    text = (CASES / "synthetic_fe_leader.txt").read_text()
    rows = run(look({"frontends": [frontend(1)]}, {FE1: text}))[0]
    row = snapshot(rows)
    assert (row["connections"], row["txn_running"], row["txn_running_max"]) == (17, 3, 3)
    assert row["heap_max_pct"] == pytest.approx(100 * 156375280 / 8476557312, abs=0.005)
    assert row["fe_threads_max"] == 162
    assert tick(rows)["bytes"] == len(text.encode())
    assert tick(rows)["bad_lines"] == 0


# Nodes


def test_cpu_and_memory_are_of_nodes_that_are_alive() -> None:
    dead = backend(2, Alive="false", CpuUsedPct="99.0 %", MemUsedPct="99.00 %")
    third = backend(3, CpuUsedPct="30.0 %", MemUsedPct="40,00 %")
    rows = run(look({"backends": [backend(1), dead, third]}))[0]
    row = snapshot(rows)
    assert (row["cpu_avg_pct"], row["cpu_max_pct"]) == (20.0, 30.0)
    assert (row["mem_avg_pct"], row["mem_max_pct"]) == (30.0, 40.0)
    assert (row["be_total"], row["be_alive"]) == (3, 2)
    (down,) = (each for each in rows["node_samples"] if each["node"] == BE2)
    stale = ("cpu_pct", "mem_pct", "disk_total_bytes", "tablets", "cache_total_bytes")
    assert [down[name] for name in stale] == [None] * 5


@pytest.mark.parametrize("is_leader_view", [False, None])
def test_trap_12_a_follower_s_own_view_is_not_the_truth(is_leader_view: bool | None) -> None:
    local = backend(1, CpuUsedPct="0.0 %", MemUsedPct="0.00 %", DataCacheMetrics="N/A")
    answers = {"frontends": [frontend(1)], "backends": [local]}
    rows = run(look(answers, is_leader_view=is_leader_view))[0]
    row = snapshot(rows)
    names = ("cpu_avg_pct", "cpu_max_pct", "mem_avg_pct", "mem_max_pct")
    assert [row[name] for name in names] == [None] * 4
    assert row["is_leader_view"] == (None if is_leader_view is None else 0)
    if is_leader_view is False:
        unknown = ("disk_total_bytes", "disk_used_pct", "disk_max_pct", "replicas", "journal_lag")
        assert [row[name] for name in unknown] == [None] * 5


def test_the_journal_s_lag_is_that_of_frontends_that_are_alive() -> None:
    nodes = [
        frontend(1, ReplayedJournalId="5000"),
        frontend(2, ReplayedJournalId="4990"),
        frontend(3, ReplayedJournalId="0", Alive="false"),
    ]
    assert snapshot(run(look({"frontends": nodes}))[0])["journal_lag"] == 10


def test_versions_are_counted_by_kind_and_of_nodes_that_are_alive() -> None:
    answers = {
        "frontends": [frontend(1), frontend(2), frontend(3, Alive="false", Version="3.1.0")],
        "backends": [backend(1, Version="3.3.9"), backend(2)],
    }
    assert snapshot(run(look(answers))[0])["versions"] == 2


def test_trap_02_columns_in_another_order_case_or_missing() -> None:
    doris: Record = {
        "Id": "1", "Name": "fe_1", "Host": "10.0.0.1", "EditLogPort": "9010", "HttpPort": "8030",
        "Role": "FOLLOWER", "IsMaster": "true", "Alive": "true",
    }  # fmt: skip
    lower = {name.lower(): text for name, text in backend(1).items()}
    rows = run(look({"frontends": [doris], "backends": [lower]}))[0]
    row = snapshot(rows)
    assert (row["fe_alive"], row["be_alive"], row["disk_total_bytes"]) == (1, 1, 100 * GB)
    assert (row["disk_max_pct"], row["replicas"]) == (45.5, 40)
    assert [each["role"] for each in rows["node_samples"]] == ["LEADER", None]
    bare: Record = {"BackendId": "1", "IP": "10.0.1.1", "HeartbeatPort": "9050"}
    row = snapshot(run(look({"backends": [bare]}))[0])
    assert (row["be_total"], row["be_alive"], row["disk_total_bytes"]) == (1, 0, None)


def test_trap_04_a_dead_frontend() -> None:
    rows = run(look({"frontends": [frontend(1), *table("frontends_dead_row_table.txt")]}))[0]
    row = snapshot(rows)
    assert (row["fe_total"], row["fe_alive"], row["versions"]) == (2, 1, 1)
    dead = rows["node_samples"][1]
    assert (dead["is_up"], dead["error"]) == (0, "got exception")
    assert [dead[name] for name in ("started_at", "version", "journal_id")] == [None] * 3


def test_trap_14_a_node_that_is_being_removed_is_no_outage_and_no_capacity() -> None:
    leaving = backend(2, SystemDecommissioned="true", MaxDiskUsedPct="99.00 %")
    rows = run(look({"backends": [backend(1), leaving]}))[0]
    row = snapshot(rows)
    assert (row["be_total"], row["be_alive"], row["decommissioned"]) == (1, 1, 1)
    assert (row["disk_total_bytes"], row["disk_max_pct"]) == (100 * GB, 45.5)
    assert [each["is_decommissioned"] for each in rows["node_samples"]] == [0, 1]


# Capacity


def disks(total: int, free: int, data: int) -> str:
    names = ("total", "avail", "data_used")
    return "".join(
        f'starrocks_be_disks_{name}_capacity{{path="/d{number}"}} {value // 2}\n'
        for name, value in zip(names, (total, free, data), strict=True)
        for number in (1, 2)
    )


def test_capacity_is_in_bytes_where_all_backends_gave_them() -> None:
    answers = {"backends": [backend(1), backend(2)]}
    pages = {BE1: disks(1000, 400, 100), BE2: disks(3000, 600, 200)}
    row = snapshot(run(look(answers, pages))[0])
    names = ("disk_total_bytes", "disk_free_bytes", "disk_data_bytes", "disk_used_bytes")
    assert [row[name] for name in names] == [4000, 1000, 300, 3000]
    assert row["disk_used_pct"] == 75.0


@pytest.mark.parametrize("page_of_second", [None, page(be_load_rows=1)])
def test_capacity_is_never_of_two_places(page_of_second: str | None) -> None:
    answers = {"backends": [backend(1), backend(2)]}
    row = snapshot(run(look(answers, {BE1: disks(1000, 400, 100), BE2: page_of_second}))[0])
    assert (row["disk_total_bytes"], row["disk_used_bytes"]) == (200 * GB, 80 * GB)


def test_capacity_of_half_of_the_nodes_is_unknown() -> None:
    answers = {"backends": [backend(1), backend(2, TotalCapacity=None)]}
    row = snapshot(run(look(answers))[0])
    assert [row[name] for name in ("disk_total_bytes", "disk_used_pct")] == [None, None]


def test_a_dead_backend_has_the_disks_it_had() -> None:
    pages = {BE1: disks(1000, 400, 100)}
    dead = backend(2, Alive="false")
    row = snapshot(run(look({"backends": [backend(1), dead]}, pages))[0])
    assert (row["disk_total_bytes"], row["disk_used_bytes"]) == (200 * GB, 80 * GB)
    for unknown in ({"TotalCapacity": None}, {"TotalCapacity": "0.000 B"}):
        rows = run(look({"backends": [backend(1), {**dead, **unknown}]}, pages))[0]
        assert snapshot(rows)["disk_total_bytes"] is None


def test_trap_03_a_fresh_backend_has_one_byte_of_none() -> None:
    fresh: Record = {
        "AvailCapacity": "1.000 B", "TotalCapacity": ".000", "DataUsedCapacity": "0.000 ",
        "MaxDiskUsedPct": "-Infinity %",
    }  # fmt: skip
    row = snapshot(run(look({"backends": [backend(1, **fresh)]}))[0])
    names = ("disk_total_bytes", "disk_used_bytes", "disk_used_pct", "disk_max_pct")
    assert [row[name] for name in names] == [None] * 4
    row = snapshot(run(look({"backends": [backend(1, **fresh), backend(2)]}))[0])
    assert [row[name] for name in names] == [100 * GB, 40 * GB, 40.0, 45.5]


def test_trap_13_shared_data_has_no_capacity_but_objects() -> None:
    answers: dict[str, list[Record]] = {
        "compute_nodes": vertical("compute_nodes_3.3.4-ee.txt"),
        "partitions": [
            {"STORAGE_SIZE": "1.5GB", "MAX_CS": "12.0"}, {"STORAGE_SIZE": "0B", "MAX_CS": "3.0"},
        ],
    }  # fmt: skip
    rows = run(look(answers))[0]
    row = snapshot(rows)
    assert (row["is_shared_data"], row["cn_total"], row["cn_alive"]) == (1, 1, 1)
    names = ("disk_total_bytes", "disk_free_bytes", "disk_used_bytes", "disk_used_pct")
    assert [row[name] for name in names] == [None] * 4
    assert (row["storage_bytes"], row["compaction_score"]) == (round(1.5 * GB), 12)
    assert (row["cpu_max_pct"], row["mem_max_pct"]) == (0.3, 1.02)
    node = rows["node_samples"][0]
    assert (node["kind"], node["cache_used_bytes"], node["tablets"]) == ("cn", 0, 10)


@pytest.mark.parametrize(
    ("name", "is_shared_data", "total"),
    [
        ("backends_2.5.4_vertical.txt", 0, round(235.983 * GB)),
        ("backends_3.1.7_shared-data.txt", 1, round(783.211 * GB)),
    ],
)
def test_backends_of_versions(name: str, is_shared_data: int, total: int) -> None:
    row = snapshot(run(look({"backends": vertical(name)}))[0])
    assert (row["is_shared_data"], row["disk_total_bytes"]) == (is_shared_data, total)


def test_backends_of_a_real_3_3_10() -> None:
    rows = table("backends_3.3.10_table_1.txt")
    row = snapshot(run(look({"backends": rows}))[0])
    assert (row["be_total"], row["be_alive"], row["versions"]) == (6, 6, 1)
    assert row["disk_total_bytes"] == 6 * round(182.280 * GB)
    assert row["disk_max_pct"] == 58.35
    assert row["replicas"] == sum(int(each["TabletNum"] or 0) for each in rows)


@pytest.mark.parametrize("is_named_alike", [True, False])
def test_a_cluster_that_was_built_anew_begins_anew(is_named_alike: bool) -> None:
    """Its counters are higher than the old one's, so nothing else tells."""
    name = frontend(1)["Name"] if is_named_alike else "10.0.0.1_9010_1800000000001"
    old, new = frontend(1), frontend(1, ClusterId="8", Name=name)
    unknown = frontend(1, ClusterId="", Name=name)
    looks = [
        look({"frontends": [each], "backends": [back]}, {FE1: page(query_total=total)}, at=at)
        for each, back, total, at in (
            (old, backend(1), 1_000, START),
            (new, backend(1, BackendId="77"), 9_000, LATER),
            (unknown, backend(1, BackendId="77"), 9_040, LATER + TICK),
            (new, backend(1, BackendId="77"), 9_100, LATER + 2 * TICK),
        )
    ]
    rows = run(*looks)
    assert [snapshot(each)["query_total"] for each in rows] == [None, None, 40, 60]
    assert [snapshot(each)["resets"] for each in rows] == [None, None, 0, 0]
    assert [tick(each)["errors"] for each in rows] == [
        None,
        "this is another cluster (ClusterId 8, was 7): counters begin anew",
        None,
        None,
    ]
    assert [row["error"] for row in rows[1]["node_samples"]] == [None, None]  # nobody has vanished


# Answers in rows


def test_numbers_of_queries() -> None:
    answers: dict[str, list[Record]] = {
        "frontends": [frontend(1), frontend(2)],
        "statistic": table("proc_statistic_3.x.txt"),
        "running_queries": table("current_queries_2025-03.txt"),
        "processlist": table("processlist_2.5_10cols_IsPending.txt"),
        "tables": [
            {"TABLE_SCHEMA": "a", "TABLE_NAME": "b", "TABLE_ROWS": "5", "DATA_LENGTH": "1E3"},
            {"TABLE_SCHEMA": "a", "TABLE_NAME": "c", "TABLE_ROWS": None, "DATA_LENGTH": None},
        ],
        "be_configs": [],
        "fe_configs": [{"NAME": "qe_max_connection", "SPELLINGS": "2", "EACH": "…"}],
        "loads": [{"ENDED": "12", "CANCELLED": "2", "FILTERED_ROWS": "1000"}],
        "open_loads": [{"UNDONE": "0", "WAITING": "0"}],
        "profiles": [],
    }
    row = snapshot(run(look(answers))[0])
    assert (row["tablets"], row["replicas"], row["unhealthy_tablets"]) == (5076, 7126, 0)
    assert (row["running_queries"], row["pending_queries"]) == (1, 0)
    assert (row["tables"], row["table_bytes"], row["table_rows"]) == (2, 1000, 5)
    assert (row["config_drift"], row["frontend_config_drift"]) == (0, 1)
    loads = ("loads_ended", "loads_cancelled", "loads_filtered_rows", "loads_open", "profiles")
    assert [row[name] for name in loads] == [12, 2, 1000, 0, 0]
    assert row["connections"] is None  # sessions of one frontend of two
    assert row["storage_bytes"] is None  # not asked


def test_an_answer_that_was_cut_at_its_limit_is_no_sum() -> None:
    row: Record = {"TABLE_SCHEMA": "a", "TABLE_NAME": "b", "TABLE_ROWS": "5", "DATA_LENGTH": "1"}
    answers: dict[str, list[Record]] = {"tables": [row] * 100_000}
    found = snapshot(run(look(answers))[0])
    assert (found["tables"], found["table_bytes"]) == (None, None)


# Metrics over SQL


def test_metrics_that_came_over_sql_go_on_from_those_over_http() -> None:
    frontends, backends = [frontend(1)], [backend(1)]
    text = page(be_network_send_bytes=0).replace(" 0", '{device="eth0"} 50 ').replace(" \n", "\n")
    first = look(
        {"frontends": frontends, "backends": backends},
        {FE1: page(query_total=10), BE1: text},
    )
    answers: dict[str, list[Record]] = {
        "frontends": frontends,
        "backends": backends,
        "fe_metrics": [
            {"FE_ID": frontends[0]["Name"], "NAME": "query_total", "LABELS": "", "VALUE": "25"},
        ],
        "be_metrics": [
            {"BE_ID": "10001", "NAME": "network_send_bytes", "LABELS": "device=eth0",
             "VALUE": "80"},
            {"BE_ID": "10001", "NAME": "network_send_bytes", "LABELS": '{device="lo", x=1}',
             "VALUE": "999"},
            {"BE_ID": "7", "NAME": "network_send_bytes", "LABELS": "", "VALUE": "1"},
        ],
    }  # fmt: skip
    rows = run(first, look(answers, {FE1: None, BE1: None}, at=LATER))[1]
    row = snapshot(rows)
    assert (row["query_total"], row["network_sent_bytes"], row["coverage"]) == (15, 30, 1.0)
    assert tick(rows)["nodes_answered"] == 2


# Rows of nodes


def test_nodes_have_a_row_every_five_minutes_and_when_they_change() -> None:
    def at(number: int, **changes: str | None) -> Observed:
        moment = START + number * TICK
        pages = {FE1: page(query_total=10 * number)}
        return look({"frontends": [frontend(1, moment, **changes)]}, pages, at=moment)

    looks = [at(number) for number in range(25)]  # from 12:00:10, so 12:05 is never met
    looks += [at(25, Version="3.3.11"), at(26, Version="3.3.11"), at(27, Role="OBSERVER")]
    rows = [each["node_samples"] for each in run(*looks)]
    assert [number for number, each in enumerate(rows) if each] == [0, 11, 22, 25, 27]
    assert [row["query_total"] for each in rows for row in each] == [None, 110, 110, 30, 20]
    assert [row["seconds"] for each in rows for row in each] == [None, 330, 330, 90, 60]


def test_nodes_have_a_row_at_round_times() -> None:
    start = clock.parse_moment("2026-11-20T12:04:30")
    looks = [
        look({"frontends": [frontend(1, start)]}, at=start + number * TICK) for number in range(13)
    ]
    rows = [each["node_samples"] for each in run(*looks)]
    assert [number for number, each in enumerate(rows) if each] == [0, 1, 11]


@pytest.mark.parametrize(
    "change",
    [
        {"Alive": "false"},
        {"SystemDecommissioned": "true"},
        {"LastStartTime": "2026-11-20 11:59:00"},
    ],
    ids=["dies", "leaves", "restarts"],
)
def test_a_change_of_a_node_is_a_row_at_once(change: dict[str, str | None]) -> None:
    looks = [
        look({"backends": [backend(1, **each), backend(2)]}, at=START + number * TICK)
        for number, each in enumerate(({}, change, change))
    ]
    rows = [[row["node"] for row in each["node_samples"]] for each in run(*looks)]
    assert rows == [[BE1, BE2], [BE1], []]


def test_a_scrape_that_fails_is_a_row_at_once() -> None:
    answers = {"frontends": [frontend(1)]}
    pages = [page(query_total=1), None, None, "<html>\n", page(query_total=1)]
    looks = [look(answers, {FE1: text}, at=START + n * TICK) for n, text in enumerate(pages)]
    told = [[row["scrape"] for row in each["node_samples"]] for each in run(*looks)]
    assert told == [["ok"], ["timed out after 3 s"], [], [], ["ok"]]


def test_a_follower_s_answer_changes_no_node() -> None:
    answers = {"frontends": [frontend(1)]}
    local = {"frontends": [frontend(1, StartTime=None, Version=None, LastHeartbeat=None)]}
    looks = [look(each, at=START + n * TICK) for n, each in enumerate((answers, local, answers))]
    assert [len(each["node_samples"]) for each in run(*looks)] == [1, 0, 0]


def test_a_node_that_vanishes_has_one_last_row() -> None:
    both = {"backends": [backend(1), backend(2)]}
    unasked: dict[str, list[Record]] = {"frontends": [frontend(1)]}
    looks = [both, unasked, {"backends": [backend(1)]}, {"backends": [backend(1)]}]
    rows = run(*(look(each, at=START + n * TICK) for n, each in enumerate(looks)))
    of_second = [
        [(row["is_up"], row["error"]) for row in each["node_samples"] if row["node"] == BE2]
        for each in rows
    ]
    assert of_second == [[(1, None)], [], [(0, "is no longer listed")], []]


def test_growth_of_a_node_that_was_not_listed_for_a_look_is_in_its_next_row() -> None:
    node = nodes_of({"backends": [backend(1)]})[0]
    name = "starrocks_be_engine_requests_total"
    looks = []
    for number in range(12):
        text = f'{name}{{type="base_compaction",status="failed"}} {7 * number}\n'
        at = START + number * TICK
        scrapes = {node: Scrape(parse(text.encode(), WANTED), at)}
        answers = {"frontends": [frontend(1)]} if number == 5 else {"backends": [backend(1)]}
        looks.append(look(answers, at=at, scrapes=scrapes))
    rows = [row for each in run(*looks) for row in each["node_samples"] if row["kind"] == "be"]
    assert [row["compactions_failed"] for row in rows] == [None, 77]


def test_trap_19_a_node_replaced_at_the_same_address_is_a_new_one() -> None:
    one = look({"backends": [backend(1)]}, {BE1: page(be_load_rows=1000)})
    replaced = backend(1, BackendId="20001")
    other = look({"backends": [replaced]}, {BE1: page(be_load_rows=5000)}, at=LATER)
    rows = run(one, other)[1]
    assert (snapshot(rows)["load_rows"], snapshot(rows)["resets"]) == (None, None)
    found = [(row["node_id"], row["is_up"]) for row in rows["node_samples"]]
    assert found == [("20001", 1), ("10001", 0)]


def test_trap_19_a_name_that_gets_another_address_is_the_same_node() -> None:
    one = look({"backends": [backend(1)]}, {BE1: page(be_load_rows=1000)})
    moved = backend(1, IP="10.0.9.9")
    other = look({"backends": [moved]}, {"10.0.9.9:9050": page(be_load_rows=1001)}, at=LATER)
    rows = run(one, other)[1]
    assert snapshot(rows)["load_rows"] == 1
    assert rows["node_samples"] == []


def test_trap_17_a_session_in_another_zone_starts_no_process_anew() -> None:
    """SET time_zone is refused once: all moments are eight hours ahead."""
    eight = 8 * clock.HOUR
    started = clock.parse_moment("2026-11-01T08:00:00")
    there = frontend(1, LATER + eight, StartTime=text_of(started + eight))
    one = look({"frontends": [frontend(1)]}, {FE1: page(query_total=5000)})
    other = look({"frontends": [there]}, {FE1: page(query_total=5001)}, at=LATER)
    rows = run(one, other._replace(is_zone_known=False))
    assert (snapshot(rows[1])["query_total"], snapshot(rows[1])["resets"]) == (1, 0)
    assert rows[0]["node_samples"][0]["started_at"] == started
    assert rows[1]["node_samples"] == []


@pytest.mark.parametrize("age", [-30, 20, 30, 40, 480], ids=lambda age: f"{age}min")
def test_an_old_heartbeat_is_no_zone_where_the_zone_is_known(age: int) -> None:
    """The collector's clock is off, or a follower's view is frozen."""
    old = frontend(1, LATER - age * 60 * clock.SECOND)
    one = look({"frontends": [frontend(1)]}, {FE1: page(query_total=10**9)})
    other = look({"frontends": [old]}, {FE1: page(query_total=10**9 + 1)}, at=LATER)
    rows = run(one, other)
    assert (snapshot(rows[1])["query_total"], snapshot(rows[1])["resets"]) == (1, 0)
    assert rows[1]["node_samples"] == []


# Ticks


def test_a_look_that_failed_wholly_has_a_row_of_its_own_only() -> None:
    ok = look({"frontends": [frontend(1)]}, {FE1: page(query_total=10)})
    failed = look({}, at=LATER, errors=["10.0.0.1:9030:\n refused"], answered_by="", leader="",
                  is_leader_view=None)  # fmt: skip
    again = look({"frontends": [frontend(1)]}, {FE1: page(query_total=70)}, at=LATER + 3 * TICK)
    rows = run(ok, failed, again)
    assert [name for name, each in rows[1].items() if each] == ["collection_ticks"]
    assert [tick(each)["status"] for each in rows] == ["ok", "failed", "ok"]
    assert tick(rows[1])["errors"] == "10.0.0.1:9030: refused"
    assert tick(rows[1])["answered_by"] is None
    assert (snapshot(rows[2])["query_total"], snapshot(rows[2])["seconds"]) == (60, 120.0)


def test_an_interval_without_counters_is_part_of_the_next_one() -> None:
    answers = {"frontends": [frontend(1)]}
    pages = [page(query_total=10), None, page(query_total=70)]
    looks = [look(answers, {FE1: text}, at=START + n * TICK) for n, text in enumerate(pages)]
    rows = [snapshot(each) for each in run(*looks)]
    assert [(row["query_total"], row["seconds"]) for row in rows] == [
        (None, None), (None, None), (60, 60.0),
    ]  # fmt: skip
    assert rows[2]["qps"] == 1.0


def test_a_node_that_did_not_answer_makes_a_tick_partial() -> None:
    row = tick(run(look({"frontends": [frontend(1), frontend(2)]},
                        {FE1: page(query_total=1), FE2: None}))[0])  # fmt: skip
    assert (row["status"], row["nodes"], row["nodes_answered"]) == ("partial", 2, 1)
    assert row["errors"] == f"fe {FE2}: timed out after 3 s"


# Whatever a server answers

TEXTS = st.one_of(
    st.none(), st.text(max_size=8),
    st.sampled_from(["true", "N/A", "-1", "9" * 30, "1.0 TB", "LEADER", "2026-11-20 12:00:00"]),
)  # fmt: skip
COLUMNS = sorted({*frontend(1), *backend(1), "Host", "STATE", "VALUE", "LABELS", "NAME", "BE_ID"})
ANSWERS = st.dictionaries(
    st.sampled_from(["frontends", "backends", "compute_nodes", "statistic", "be_metrics",
                     "latencies", "slow_queries", "task_runs", "routine_loads", "tables"]),
    st.lists(st.dictionaries(st.sampled_from(COLUMNS), TEXTS, max_size=12), max_size=3),
)  # fmt: skip
PAGES = st.lists(
    st.tuples(st.sampled_from(sorted(WANTED)), st.sampled_from(["1", "-1", "NaN", "9e99", "x"])),
    max_size=6,
).map(lambda pairs: "".join(f"{name} {value}\n" for name, value in pairs))


@given(st.lists(st.tuples(ANSWERS, PAGES), max_size=4))
def test_no_answer_makes_a_row_that_does_not_fit(given_: list[tuple[Any, str]]) -> None:
    memory: dict[str, Any] = {}
    for number, (answers, text) in enumerate(given_):
        at = START + number * TICK
        scrapes: dict[Node, Scrape] = {
            node: Scrape(parse(text.encode(), WANTED), at) for node in nodes_of(answers)
        }
        _, memory = landed(look(answers, at=at, scrapes=scrapes, window=(at, LATER)), memory)
