"""The sum of all rows is the truth: a day of ticks with everything that happens to frontends."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

import pytest

from gateway_assets import clock
from gateway_assets.collect.observed import Record
from tests.collect.looks import Landed, frontend, landed, look, page, snapshot, text_of

DAY = clock.parse_moment("2026-11-20T00:00:00")
TICKS = 2880
LATE = 2  # ticks until the leader has heard of a start


class Process:
    """A frontend that counts what it is asked, second by second."""

    def __init__(self, number: int, rate: float, seed: int, started: int) -> None:
        self.number = number
        self.rate = rate
        self.random = random.Random(seed)
        self.started = started
        self.told = started  # as SHOW FRONTENDS says
        self.queries = 5_000_000 * number  # since before anyone looked
        self.errors = 1000
        self.txns = 70_000 if number == 1 else 100_000 * number

    def works(self, is_leader: bool) -> tuple[int, int]:
        """Half a minute; returns queries and transactions of it."""
        queries = round(self.random.expovariate(1 / self.rate))
        txns = self.random.randrange(20) if is_leader else 0
        self.queries += queries
        self.errors += queries // 50
        self.txns += txns
        return queries, txns

    def restarts(self, at: int) -> tuple[int, int]:
        lost = self.queries, self.txns
        self.started = at
        self.queries = self.errors = self.txns = 0
        return lost

    def page(self) -> str:
        return page(
            query_total=self.queries, request_total=2 * self.queries, query_err=self.errors,
            query_success=self.queries - self.errors, txn_begin=self.txns,
        )  # fmt: skip


class Told(NamedTuple):
    rows: list[Landed]
    queries: int
    txns: int
    lost: int  # queries between the last look and a restart
    lost_txns: int
    at_restart: dict[int, dict[str, Any]]


@pytest.fixture(scope="module")
def day() -> Told:
    """Restarts at 06:00 (noticed late) and 09:00, another leader at 12:00, one away at 15:00."""
    processes = [Process(1, 300, 1, DAY - 10**12), Process(2, 90, 2, DAY - 10**12)]
    processes.append(Process(3, 1000, 3, DAY - 10**12))
    leader = 1
    memory: dict[str, Any] = {}
    rows: list[Landed] = []
    queries = txns = lost = lost_txns = 0
    at_restart = {}
    for number in range(TICKS + 1):
        at = DAY + number * 30 * clock.SECOND
        for each in processes:
            # Half of the interval comes before a restart, and is lost.
            if (number, each.number) in {(721, 2), (1080, 3)} and number:
                half = each.works(each.number == leader)
                lost, lost_txns = lost + half[0], lost_txns + half[1]
                queries, txns = queries + half[0], txns + half[1]
                each.restarts(at - 15 * clock.SECOND)
            done = each.works(each.number == leader)
            if number:
                queries, txns = queries + done[0], txns + done[1]
            if number % (LATE + 1) == 0:
                each.told = each.started
        leader = 3 if number >= 1440 else 1
        pages: dict[str, str | None] = {f"10.0.0.{e.number}:9010": e.page() for e in processes}
        shown: list[Record] = []
        for each in processes:
            is_away = each.number == 2 and 1800 < number <= 1820
            if is_away:
                pages[f"10.0.0.{each.number}:9010"] = None
            shown.append(
                frontend(
                    each.number, at, StartTime=text_of(each.told),
                    Alive="false" if is_away else "true",
                    Role="LEADER" if each.number == leader else "FOLLOWER",
                )
            )  # fmt: skip
        found, memory = landed(look({"frontends": shown}, pages, at=at), memory)
        rows.append(found)
        if number in {721, 1080}:
            at_restart[number] = snapshot(found)
    return Told(rows, queries, txns, lost, lost_txns, at_restart)


def test_queries_of_a_day_are_true_but_for_what_a_restart_takes(day: Told) -> None:
    total = sum(snapshot(rows)["query_total"] or 0 for rows in day.rows)
    assert total == day.queries - day.lost
    assert day.queries - total < 0.001 * day.queries
    assert sum(snapshot(rows)["requests"] or 0 for rows in day.rows) == 2 * total


def test_trap_06_transactions_go_on_with_another_leader(day: Told) -> None:
    total = sum(snapshot(rows)["txn_begin"] or 0 for rows in day.rows)
    assert total == day.txns - day.lost_txns


def test_each_restart_is_counted_once_and_said(day: Told) -> None:
    assert [day.at_restart[number]["resets"] for number in (721, 1080)] == [1, 1]
    assert sum(snapshot(rows)["resets"] or 0 for rows in day.rows) == 2


def test_trap_07_what_was_counted_while_a_frontend_was_away_comes_with_it(day: Told) -> None:
    away, back = snapshot(day.rows[1810]), snapshot(day.rows[1821])
    assert (away["fe_total"], away["fe_alive"], away["coverage"]) == (3, 2, 1.0)
    assert back["coverage"] == 1.0
    assert back["query_total"] > 900  # 21 intervals of frontend 2
    usual = sorted(snapshot(rows)["qps"] for rows in day.rows[1:])
    assert usual[0] <= back["qps"] <= usual[-1]
    node = [row for rows in day.rows[1801:1830] for row in rows["node_samples"]]
    assert [row["is_up"] for row in node if row["node"] == "10.0.0.2:9010"] == [0, 0, 0, 1]


def test_node_samples_add_up_to_the_same(day: Told) -> None:
    """But for what came after the last row of each node: here there is none."""
    nodes = sum(row["query_total"] or 0 for rows in day.rows for row in rows["node_samples"])
    assert nodes == sum(snapshot(rows)["query_total"] or 0 for rows in day.rows)


def test_seconds_of_all_rows_are_the_day(day: Told) -> None:
    assert sum(snapshot(rows)["seconds"] or 0 for rows in day.rows) == 86_400
