"""Numbers of ``metrics_snapshots`` that are of no one place: of nodes, of growth, of the look."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway_assets.collect.counted import Grown
from gateway_assets.collect.gauges import Seen, cluster_capacity
from gateway_assets.collect.nodes import QUERY_OF, Listed, is_shared_data, kinds_listed
from gateway_assets.collect.series import HEAP, LATENCY, Metrics
from gateway_assets.starrocks import formats


class Load(NamedTuple):
    """CPU and memory of one node in per cent."""

    cpu: float | None
    memory: float | None


NO_LOAD = Load(None, None)


def load_of(each: Listed, *, is_leader_view: bool | None) -> Load:
    """What SHOW says of a backend that is alive.

    A follower's own view is 0.0 % and 0.00 %. No process runs without memory, so that is unknown
    even where it is not known who answered.
    """
    memory = formats.percent(each.row.get("memusedpct"))
    if is_leader_view is False or not each.is_up or not memory:
        return NO_LOAD
    return Load(formats.percent(each.row.get("cpuusedpct")), memory)


def heap_pct(metrics: Metrics | None) -> float | None:
    """Heap of a frontend, of what it may take at most (not of what it has taken so far)."""
    if metrics is None:
        return None
    heap = {labels.get("type"): value for labels, value in metrics.series.get(HEAP, [])}
    used, most = heap.get("used"), heap.get("max")
    if used is None or most is None or not (used >= 0 and most > 0):
        return None
    return 100 * used / most


def quantile(metrics: Metrics, grown: Grown | None, wanted: str) -> float | None:
    """A percentile of a frontend, ms. It stands still while no query ends: then it is unknown."""
    if grown is None or not grown.has_new_latency:
        return None
    rows = metrics.series.get(LATENCY, [])
    values = [value for labels, value in rows if labels == {"quantile": wanted} and value >= 0]
    return max(values, default=None)


def derived(seen: Seen, grown: dict[str, Grown], seconds: float | None) -> dict[str, Any]:
    """The columns of ``definitions.DERIVED``."""
    observed, nodes = seen.observed, seen.nodes
    frontends = [each for each in nodes if each.node.kind == "fe"]
    loads = [load_of(each, is_leader_view=observed.is_leader_view) for each in seen.alive("be")]
    capacity = cluster_capacity(seen)
    heaps = [heap_pct(seen.metrics.get(each.node.key)) for each in frontends]
    has_growth = any(each.is_known for each in grown.values())
    return {
        "seconds": seconds if has_growth and seconds and seconds > 0 else None,
        "coverage": _coverage(seen, grown),
        "resets": sum(each.has_reset for each in grown.values()) if has_growth else None,
        "is_leader_view": observed.is_leader_view,
        "is_shared_data": is_shared_data(observed.answers),
        "qps": _rate(grown, "query_total"),
        "rps": _rate(grown, "requests"),
        "p95": _slowest(seen, grown, "0.95"),
        "p99": _slowest(seen, grown, "0.99"),
        "disk_used_bytes": capacity.used if capacity else None,
        "disk_used_pct": 100 * capacity.used / capacity.total if capacity else None,
        "cpu_avg_pct": _mean(each.cpu for each in loads),
        "cpu_max_pct": _most(each.cpu for each in loads),
        "mem_avg_pct": _mean(each.memory for each in loads),
        "mem_max_pct": _most(each.memory for each in loads),
        "heap_max_pct": _most(heaps),
        **_counts(seen),
        "versions": _versions(seen),
        "journal_lag": _journal_lag(seen),
    }


def _counts(seen: Seen) -> dict[str, int | None]:
    known = kinds_listed(seen.observed.answers)
    found: dict[str, int | None] = {}
    for kind in QUERY_OF:
        staying = [
            each for each in seen.nodes if each.node.kind == kind and not each.is_decommissioned
        ]
        found[f"{kind}_total"] = len(staying) if kind in known else None
        found[f"{kind}_alive"] = sum(each.is_up for each in staying) if kind in known else None
    leaving = sum(each.is_decommissioned for each in seen.nodes)
    return {**found, "decommissioned": leaving if known & {"be", "cn"} else None}


def _coverage(seen: Seen, grown: dict[str, Grown]) -> float | None:
    alive = seen.alive("fe")
    if not alive:
        return None
    taken = sum(1 for each in alive if each.node.key in grown and grown[each.node.key].is_known)
    return taken / len(alive)


def _rate(grown: dict[str, Grown], column: str) -> float | None:
    """Each frontend by its own interval: one that was away brings more, of a longer time."""
    rates = [
        amount / each.seconds
        for each in grown.values()
        if each.seconds and (amount := each.amounts.get(column)) is not None
    ]
    return sum(rates) if rates else None


def _slowest(seen: Seen, grown: dict[str, Grown], wanted: str) -> float | None:
    return _most(quantile(each, grown.get(key), wanted) for key, each in seen.metrics.items())


def _versions(seen: Seen) -> int | None:
    """Frontends and backends are built apart, so their versions are counted apart."""
    groups = (
        {each.version for each in seen.alive(group) if each.version} for group in ("fe", "be")
    )
    return max(map(len, groups)) or None


def _journal_lag(seen: Seen) -> int | None:
    if seen.observed.is_leader_view is False:
        return None
    ids = [formats.whole(each.row.get("replayedjournalid")) for each in seen.alive("fe")]
    known = [each for each in ids if each is not None]
    return max(known) - min(known) if known else None


def _most(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
