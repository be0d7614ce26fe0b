"""Jobs and queries: each look's state of jobs, and each failure or slow query once."""

from __future__ import annotations

from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.collect.observed import Observed, Record
from tests.collect.looks import START, TICK, look, run, vertical

WINDOW = (START - 600 * clock.SECOND, START - 300 * clock.SECOND)
VIEW: Record = {
    "TABLE_SCHEMA": "default_cluster:sales", "TABLE_NAME": "by_day", "IS_ACTIVE": "true",
    "INACTIVE_REASON": "", "TASK_NAME": "mv-55024", "LAST_REFRESH_STATE": "SUCCESS",
    "LAST_REFRESH_DURATION": "1.5", "LAST_REFRESH_ERROR_MESSAGE": "", "TABLE_ROWS": "347941486",
}  # fmt: skip


def slow(number: int, **changes: Any) -> Record:
    return {
        "queryId": f"q{number}", "timestamp": "2026-11-20 11:52:00", "user": "ann", "db": "sales",
        "feIp": "10.0.0.1", "state": "EOF", "queryTime": "58573", "scanBytes": "1E9",
        "scanRows": "5", "returnRows": "1", "cpuCostNs": "7", "memCostBytes": "8",
        "digest": "", "stmt": "SELECT 1", **changes,
    }  # fmt: skip


def at(number: int, answers: dict[str, list[Record]], **changes: Any) -> Observed:
    return look(answers, at=START + number * TICK, **changes)


def test_routine_loads_as_they_are_shown() -> None:
    rows = vertical("routine_load_running_and_paused.txt")
    found = run(at(0, {"routine_loads": rows, "materialized_views": []}))[0]["job_samples"]
    names = ("kind", "name", "state", "lag", "rows", "error_rows", "error")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("routine_load", "example_db.example_tbl_ordertest1", "RUNNING", 0, 6, 0, None),
        ("routine_load", "example_db.example_tbl_ordertest2", "PAUSED", 0, 6, 10,
         "ErrorReason{errCode = 102, msg='current error rows is more than max error num'}"),
    ]  # fmt: skip


def test_routine_loads_of_information_schema() -> None:
    row: Record = {
        "ID": "1", "NAME": "orders", "DB_NAME": "sales", "TABLE_NAME": "t", "STATE": "UNSTABLE",
        "STATISTICS": "not JSON", "PROGRESS": '{"0":"5","1":"OFFSET_ZERO"}',
        "LATEST_SOURCE_POSITION": '{"0":"106","1":"7"}', "OFFSET_LAG": '{"0":"100","1":"7"}',
    }  # fmt: skip
    found = run(
        at(0, {"routine_loads": [row, {**row, "OFFSET_LAG": "{}"}], "tables": []})
    )[0]["job_samples"]  # fmt: skip
    assert [(row["name"], row["lag"], row["rows"]) for row in found] == [
        ("sales.orders", 107, None), ("sales.orders", None, None),
    ]  # fmt: skip


def test_jobs_have_rows_with_slow_looks_only() -> None:
    assert run(at(0, {"statistic": [], "transactions": []}))[0]["job_samples"] == []
    rows = vertical("routine_load_running_and_paused.txt")
    assert run(at(0, {"routine_loads": rows}))[0]["job_samples"] != []


def test_views_and_a_refresh_that_failed_once() -> None:
    failed: Record = {
        "QUERY_ID": "r1", "TASK_NAME": "mv-55024", "STATE": "FAILED", "DATABASE": "sales",
        "CREATE_TIME": "2026-11-20 11:50:00", "FINISH_TIME": "2026-11-20 11:50:09",
        "ERROR_MESSAGE": "memory exceeded",
    }  # fmt: skip
    others: list[Record] = [
        {**failed, "QUERY_ID": "r2", "STATE": "SUCCESS"},
        {**failed, "QUERY_ID": "r3", "TASK_NAME": "insert_job"},
        {**failed, "QUERY_ID": "r4", "TASK_NAME": "mv-9"},
    ]
    inactive: Record = {**VIEW, "IS_ACTIVE": "false", "INACTIVE_REASON": "base table dropped"}
    answers = {"materialized_views": [VIEW], "task_runs": [failed, *others]}
    first, second = run(
        at(0, answers), at(10, {"materialized_views": [inactive], "task_runs": [failed]})
    )
    names = ("kind", "name", "state", "is_active", "rows", "seconds", "error")
    assert [tuple(row[name] for name in names) for row in first["job_samples"]] == [
        ("materialized_view", "sales.by_day", "SUCCESS", 1, 347941486, 1.5, None),
        ("refresh", "sales.by_day", "FAILED", None, None, 9.0, "memory exceeded"),
        ("refresh", "sales.mv-9", "FAILED", None, None, 9.0, "memory exceeded"),
    ]
    assert [(row["kind"], row["is_active"], row["error"]) for row in second["job_samples"]] == [
        ("materialized_view", 0, "base table dropped")
    ]


def test_latencies_of_a_window_are_counted_once() -> None:
    answers: dict[str, list[Record]] = {
        "latencies": [
            {"BUCKET": "345.0", "QUERIES": "12"}, {"BUCKET": "0", "QUERIES": "3"},
            {"BUCKET": None, "QUERIES": "3"}, {"BUCKET": "7", "QUERIES": "0"},
            {"BUCKET": "-1", "QUERIES": "3"}, {"BUCKET": "2200", "QUERIES": "3"},
        ]
    }  # fmt: skip
    after = (WINDOW[1], WINDOW[1] + 300 * clock.SECOND)
    rows = [
        [(row["time"], row["queries"], row["buckets"]) for row in each["latency_histogram"]]
        for each in run(
            at(0, answers, window=WINDOW), at(1, answers, window=WINDOW),
            at(2, answers, window=after), at(3, answers),
        )
    ]  # fmt: skip
    assert rows[0] == [(WINDOW[0], 15, '{"0":[3],"345":[12]}')]
    assert rows[1] == []
    assert rows[2] == [(WINDOW[1], 15, '{"0":[3],"345":[12]}')]
    assert rows[3] == []


@pytest.mark.parametrize("fails", [False, True], ids=["answered", "unanswered"])
def test_a_clock_that_was_ahead_does_not_keep_windows_from_being_counted(fails: bool) -> None:
    """Also when the first window that is asked for with the right clock has no answer."""
    step = 300 * clock.SECOND
    ahead = clock.HOUR + step
    answers: dict[str, list[Record]] = {"latencies": [{"BUCKET": "3", "QUERIES": "12"}]}
    windows = [(WINDOW[0] + by, WINDOW[1] + by) for by in (ahead, 0, step)]
    looks = [at(number, answers, window=window) for number, window in enumerate(windows)]
    if fails:
        looks[1] = looks[1]._replace(answers={"frontends": []})
    rows = [[row["time"] for row in each["latency_histogram"]] for each in run(*looks)]
    assert rows == [[windows[0][0]], [] if fails else [windows[1][0]], [windows[2][0]]]


def test_a_slow_query_is_in_one_row() -> None:
    first, second = run(
        at(0, {"slow_queries": [slow(1, stmt="x" * 5000), slow(1)]}, window=WINDOW),
        at(10, {"slow_queries": [slow(1), slow(2, timestamp=None), slow(3, queryTime=None)]},
           window=WINDOW),
    )  # fmt: skip
    (row,) = first["slow_queries"]
    assert row["statement"] == "x" * 2000
    assert (row["time"], row["milliseconds"]) == (
        clock.parse_moment("2026-11-20T11:52:00"), 58573,
    )  # fmt: skip
    assert (row["scan_bytes"], row["cpu_ns"], row["digest"]) == (10**9, 7, None)
    assert (row["queries"], row["failed"], row["total_milliseconds"]) == (1, 0, 58573)
    assert [(row["query_id"], row["time"]) for row in second["slow_queries"]] == [("q2", WINDOW[0])]


def test_statements_that_differ_in_constants_are_one_row() -> None:
    """The slowest tells of them; where the cluster makes no digests, ours are as good."""
    asked = [
        slow(1, queryTime="2000", stmt="SELECT a1  FROM t WHERE d = '1\\' 2' AND n > -7.5"),
        slow(2, queryTime="9000", stmt="SELECT a1 FROM t\nWHERE d = 'o' AND n > -1", state="ERR"),
        slow(3, queryTime="3000", stmt="SELECT a2 FROM t WHERE d = 'o' AND n > -1"),
        slow(4, queryTime="1000", stmt="SELECT a1 FROM t WHERE d = 'o' AND n > -1", db="web"),
        slow(5, queryTime="4000", stmt="SELECT 'cut off", digest="d"),
        slow(6, queryTime="5000", stmt="SELECT other(1)", digest="d", user="bob"),
        slow(7, queryTime="-1", stmt="SELECT 8"),
    ]
    (found,) = run(at(0, {"slow_queries": asked}, window=WINDOW))
    names = ("query_id", "milliseconds", "queries", "failed", "total_milliseconds", "user")
    assert [tuple(row[name] for name in names) for row in found["slow_queries"]] == [
        ("q2", 9000, 2, 1, 11000, "ann"), ("q6", 5000, 2, 0, 9000, "bob"),
        ("q3", 3000, 1, 0, 3000, "ann"), ("q4", 1000, 1, 0, 1000, "ann"),
    ]  # fmt: skip


def test_the_twenty_slowest_statements_have_rows() -> None:
    asked = [slow(n, queryTime=str(1000 + n), stmt=f"SELECT c{n}") for n in range(30)]
    first, again = run(
        at(0, {"slow_queries": asked}, window=WINDOW), at(1, {"slow_queries": asked}, window=WINDOW)
    )
    assert [row["milliseconds"] for row in first["slow_queries"]] == [*range(1029, 1009, -1)]
    assert again["slow_queries"] == []
