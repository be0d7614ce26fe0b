"""Looks at a simulated cluster without sockets, in stepped time: days of them in minutes.

Statements are answered and pages written by the same functions that stand behind the simulated
servers' sockets, and read by those of the collector. What is left out is waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

from gateway_assets import clock
from gateway_assets.collect.ask import is_windowed, next_window
from gateway_assets.collect.nodes import nodes_of
from gateway_assets.collect.observed import Node, Observed, Record, Scrape
from gateway_assets.collect.series import WANTED
from gateway_assets.collect.tick import due
from gateway_assets.simulated import pages
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.simulated.lively import qps_at
from gateway_assets.simulated.mysql import Session, SqlError
from gateway_assets.simulated.statements import answer
from gateway_assets.starrocks.definitions import QUERIES, TICK_SECONDS, Every, Query
from gateway_assets.starrocks.exposition import parse

TICK = TICK_SECONDS * clock.SECOND
SLOW_MS = 1_000  # of [[clusters]], its default


def looks(cluster: SimulatedCluster, name: str, ticks: int) -> Iterator[Observed]:
    """One look each half minute; pages come 0.2 s after it. Queries follow a day's curve."""
    session = Session(1, "10.9.0.1:40001")
    session.time_zone = "UTC"
    asked_until: int | None = None
    for _ in range(ticks):
        cluster.workload.qps = qps_at(cluster.now)
        cluster.step(TICK_SECONDS)
        groups = due(cluster.now, TICK)
        window = next_window(asked_until, cluster.now) if Every.SLOW in groups else None
        asked_until = window[1] if window else asked_until
        yield look(cluster, session, name, groups, window)


def look(
    cluster: SimulatedCluster,
    session: Session,
    name: str,
    groups: frozenset[Every],
    window: tuple[int, int] | None,
) -> Observed:
    leader = cluster.leader
    assert leader
    answers = {}
    for query in QUERIES:
        if query.every in groups if not is_windowed(query) else window is not None:
            rows = _answer(cluster, session, query, window)
            if rows is not None:
                answers[query.name] = rows
    moment = cluster.now + clock.SECOND // 5
    scrapes = {}
    for node in nodes_of(answers):
        page = _page(cluster, node)
        scrapes[node] = Scrape(parse(page.encode(), WANTED), moment)
    asked = f"{leader.host}:9030"
    return Observed(
        name, cluster.now, cluster.now, 120, asked, asked, True, answers, scrapes, [], window
    )


def _answer(
    cluster: SimulatedCluster, session: Session, query: Query, window: tuple[int, int] | None
) -> list[Record] | None:
    since, until = (clock.iso(one)[:19].replace("T", " ") for one in window or (0, 0))
    for statement in query.statements:
        text = statement.format(
            since=since, until=until, user=cluster.user, slow=SLOW_MS, wanted="''"
        )
        assert cluster.leader
        try:
            result = answer(cluster.world, cluster.leader, cluster.manners, session, text)
        except SqlError:
            continue
        assert result
        return [
            dict(
                zip(
                    result.columns,
                    (None if value is None else str(value) for value in row),
                    strict=True,
                )
            )
            for row in result.rows
        ]
    return None


def _page(cluster: SimulatedCluster, node: Node) -> str:
    for frontend in cluster.frontends:
        if frontend.host == node.host:
            return pages.frontend_page(cluster.world, frontend, "minified", clean=False)
    worker = next(one for one in cluster.world.workers if one.host == node.host)
    return pages.worker_page(cluster.world, worker, clean=False)
