"""One look at one cluster, and what had been seen before, as rows.

The memory is plain JSON: counters by node, what was last said of each node, what has had a row and
must not have another. It is kept together with the rows (see ``journal``), so that nothing is
counted twice or lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from gateway_assets.clock import SECOND
from gateway_assets.collect import queries
from gateway_assets.collect.counted import Grown, grown
from gateway_assets.collect.derived import derived
from gateway_assets.collect.fitting import fitting
from gateway_assets.collect.gauges import Seen, gauges
from gateway_assets.collect.jobs import jobs
from gateway_assets.collect.nodes import Listed, cluster_id, listed
from gateway_assets.collect.observed import Observed
from gateway_assets.collect.sampled import sampled, started_at
from gateway_assets.collect.series import metrics_of
from gateway_assets.files.landing import Row
from gateway_assets.source import Source
from gateway_assets.sources import (
    collection_ticks,
    job_samples,
    latency_histogram,
    metrics_snapshots,
    node_samples,
    slow_queries,
)
from gateway_assets.starrocks import formats
from gateway_assets.starrocks.definitions import METRICS, QUERIES, Every

_COUNTERS = tuple(metric.column for metric in METRICS if metric.is_counter)
_SLOW = frozenset(query.name for query in QUERIES if query.every is Every.SLOW)
_FORGOTTEN = 86_400 * SECOND  # counters of a node that is no longer listed
_TENTH = SECOND // 10
_LINES = 50  # of errors in a row, each of so many characters
_LINE = 300

Memory = dict[str, Any]
Rows = dict[str, list[Row]]


def rows_of(observed: Observed, memory: Memory) -> tuple[Rows, Memory]:
    """Rows by source, and the new memory; ``memory`` itself stays as it is ({} at first).

    Never raises for what a server answered: what cannot be read is NULL, what does not fit is
    NULL and among the errors of the tick's row.
    """
    nodes = listed(observed.answers)
    seen = Seen(observed, nodes, metrics_of(observed, nodes))
    said: list[str] = []
    memory = _of_this_cluster(nodes, memory, said)
    found: Rows = {}
    if observed.answers or seen.metrics:
        found, memory = _looked(seen, memory, said)
    row = fitting(collection_ticks.SOURCE, _tick(seen, said), [])
    found[collection_ticks.SOURCE.name] = [row] if row else []
    return found, memory


def _of_this_cluster(nodes: list[Listed], memory: Memory, said: list[str]) -> Memory:
    """What is remembered, unless it is of another cluster: one that was built anew under this name
    has other counters, and perhaps the same names and numbers of nodes.
    """
    known, now = memory.get("cluster_id"), cluster_id(nodes)
    if now is None or now == known:
        return memory
    if known is None:
        return {**memory, "cluster_id": now}
    said.append(f"this is another cluster (ClusterId {now}, was {known}): counters begin anew")
    return {"cluster_id": now}


def _looked(seen: Seen, memory: Memory, said: list[str]) -> tuple[Rows, Memory]:
    observed = seen.observed
    offset = _zone_offset(seen)
    growths, counters = _grown(seen, offset, memory.get("counters", {}))
    before, taken = memory.get("taken"), _taken(seen)
    seconds = None if before is None or taken is None else (taken - before) / SECOND
    snapshot = {
        "time": observed.time,
        "cluster": observed.cluster,
        **derived(seen, growths, seconds),
        **gauges(seen),
        **{column: _sum(growths.values(), column) for column in _COUNTERS},
    }
    nodes = sampled(seen, growths, offset, memory.get("nodes", {}))
    timed, until = queries.latencies(observed, memory.get("latencies", 0))
    slow, told = queries.slow_queries(observed, memory.get("slow", []))
    failed = memory.get("failed", [])
    worked: list[dict[str, Any]] = []
    if _SLOW & observed.answers.keys():
        worked, failed = jobs(observed.answers, failed)
    where = {"time": observed.time, "cluster": observed.cluster}
    rows = {
        metrics_snapshots.SOURCE: [snapshot],
        node_samples.SOURCE: nodes.rows,
        latency_histogram.SOURCE: timed,
        job_samples.SOURCE: [{**where, **row} for row in worked],
        slow_queries.SOURCE: slow,
    }
    return {source.name: _fitted(source, each, said) for source, each in rows.items() if each}, {
        "cluster_id": memory.get("cluster_id"),
        "taken": before if taken is None else taken,
        "counters": counters,
        "nodes": nodes.memory,
        "latencies": until,
        "slow": told,
        "failed": failed,
    }


def _zone_offset(seen: Seen) -> int | None:
    """Guessed only where it must be: a stale heartbeat, or a clock that is off, looks like a zone,
    and starts that move make counters begin anew.
    """
    if seen.observed.is_zone_known:
        return 0
    heartbeats = (each.heartbeat for each in seen.alive("fe", "be"))
    return formats.zone_offset(heartbeats, seen.observed.moment)


def _grown(
    seen: Seen, offset: int | None, memory: Memory
) -> tuple[dict[str, Grown], dict[str, Any]]:
    """Growth by node; a node that gave no metrics keeps what is remembered of it."""
    growths: dict[str, Grown] = {}
    by_key = {each.node.key: each for each in seen.nodes}
    kinds = {node.key: node.kind for node in seen.observed.scrapes}
    counters = {
        key: each
        for key, each in memory.items()
        if key in by_key or seen.observed.time - each["moment"] < _FORGOTTEN
    }
    for key, metrics in seen.metrics.items():
        node = by_key.get(key)
        started = started_at(node, offset) if node else None
        kind = node.node.kind if node else kinds[key]
        growths[key], counters[key] = grown(kind, metrics, started, memory.get(key))
    return growths, counters


def _taken(seen: Seen) -> int | None:
    """When the counters were taken, to tenths of a second: the middle of the frontends, which count
    queries. That is later than the tick, most of all at a first look. Of one row to the next, so
    that the seconds of all rows are the whole time.
    """
    frontends = [page.moment for key, page in seen.metrics.items() if key.startswith("fe:")]
    moments = frontends or [page.moment for page in seen.metrics.values()]
    return round(median(moments) / _TENTH) * _TENTH if moments else None


def _sum(growths: Iterable[Grown], column: str) -> int | None:
    amounts = [amount for each in growths if (amount := each.amounts.get(column)) is not None]
    return sum(amounts) if amounts else None


def _fitted(source: Source, rows: list[dict[str, Any]], said: list[str]) -> list[Row]:
    fitted = (fitting(source, row, said) for row in rows)
    return [row for row in fitted if row is not None]


def _tick(seen: Seen, said: list[str]) -> dict[str, Any]:
    observed = seen.observed
    missing = [
        f"{node.kind} {node.address}: {scrape.error or 'no metrics on the page'}"
        for node, scrape in observed.scrapes.items()
        if node.key not in seen.metrics
    ]
    lines = dict.fromkeys(" ".join(each.split()) for each in [*observed.errors, *missing, *said])
    pages = [each.exposition for each in observed.scrapes.values() if each.exposition]
    has_nothing = not observed.answers and not seen.metrics
    return {
        "time": observed.time,
        "cluster": observed.cluster,
        "status": "failed" if has_nothing else "partial" if lines else "ok",
        "milliseconds": observed.milliseconds,
        "answered_by": observed.answered_by or None,
        "leader": observed.leader or None,
        "nodes": len(observed.scrapes),
        "nodes_answered": sum(node.key in seen.metrics for node in observed.scrapes),
        "bytes": sum(page.size for page in pages),
        "bad_lines": sum(page.bad_lines for page in pages),
        "skipped": observed.skipped,
        "errors": "\n".join(line[:_LINE] for line in list(lines)[:_LINES]) or None,
        "interval_seconds": observed.interval // SECOND,
    }
