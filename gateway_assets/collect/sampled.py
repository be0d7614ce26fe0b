"""Rows of ``node_samples``: each node every five minutes, and at once when it changes.

Counters are added up from one row of a node to its next.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway_assets.clock import SECOND
from gateway_assets.collect.counted import Grown
from gateway_assets.collect.derived import heap_pct, load_of, quantile
from gateway_assets.collect.gauges import Seen, node_capacity
from gateway_assets.collect.nodes import Listed, kinds_listed, leader_of
from gateway_assets.collect.series import SCORES, TABLET_SCORE, Metrics
from gateway_assets.starrocks import formats

EVERY = 300 * SECOND
VANISHED = "is no longer listed"

_SUMMED = {
    "query_total": ("query_total",),
    "query_error": ("query_error",),
    "query_internal_error": ("query_internal_error",),
    "compactions_failed": ("base_compactions_failed", "cumulative_compactions_failed"),
}
_STATE = ("is_up", "is_decommissioned", "version", "started_at", "role", "is_scraped")
_WHO = ("node", "kind", "node_id")


class Sampled(NamedTuple):
    """Rows to write, and what to remember of each node."""

    rows: list[dict[str, Any]]
    memory: dict[str, Any]


def sampled(
    seen: Seen, grown: dict[str, Grown], offset: int | None, memory: dict[str, Any]
) -> Sampled:
    """``offset``: of the zone of SHOW's moments, microseconds; None: unknown."""
    rows = []
    found: dict[str, Any] = {}
    for each in seen.nodes:
        key = each.node.key
        before = memory.get(key)
        added = _added((before or {}).get("since") or {}, grown.get(key))
        state = _state(each, seen, offset)
        if _is_due(seen.observed.time, state, before):
            rows.append({**_now(each, seen, grown.get(key)), **state, **added})
            found[key] = {**_kept(state, before), "time": seen.observed.time, "since": {}}
        else:
            assert before is not None
            found[key] = {**_kept(state, before), "time": before["time"], "since": added}
    answered = kinds_listed(seen.observed.answers)
    for key in sorted(memory.keys() - found.keys()):
        before = {**memory[key], "since": _added(memory[key]["since"], grown.get(key))}
        if before["kind"] not in answered:
            found[key] = before  # nothing was said of nodes of its kind
        else:
            rows.append(_vanished(before))
    for row in rows:
        row.update(time=seen.observed.time, cluster=seen.observed.cluster)
    return Sampled(rows, found)


def _is_due(time: int, state: dict[str, Any], before: dict[str, Any] | None) -> bool:
    if before is None or time % EVERY == 0 or time - before["time"] > EVERY:
        return True
    # What is unknown now, because a follower answered, has not changed.
    return any(state[name] is not None and state[name] != before["state"][name] for name in _STATE)


def _kept(state: dict[str, Any], before: dict[str, Any] | None) -> dict[str, Any]:
    known = {name: state[name] for name in _STATE if state[name] is not None}
    past = before["state"] if before else dict.fromkeys(_STATE)
    return {**{name: state[name] for name in _WHO}, "state": {**past, **known}}


def _vanished(before: dict[str, Any]) -> dict[str, Any]:
    state = before["state"]
    who = {name: before[name] for name in _WHO}
    return {
        **who,
        "is_up": 0,
        "is_decommissioned": state["is_decommissioned"],
        "version": state["version"],
        "role": state["role"],
        "error": VANISHED,
        **before["since"],
    }


def _added(since: dict[str, Any], grown: Grown | None) -> dict[str, Any]:
    """Growth since the node's last row; None plus something is something."""
    if grown is None or not grown.is_known:
        return since
    found = {"seconds": _plus(since.get("seconds"), grown.seconds)}
    found["resets"] = _plus(since.get("resets"), int(grown.has_reset))
    for name, columns in _SUMMED.items():
        found[name] = since.get(name)
        for column in columns:
            found[name] = _plus(found[name], grown.amounts.get(column))
    return found


def _plus(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def _state(each: Listed, seen: Seen, offset: int | None) -> dict[str, Any]:
    scrape = next(
        (found for node, found in seen.observed.scrapes.items() if node.key == each.node.key), None
    )
    page = seen.metrics.get(each.node.key)
    told = None
    if page:
        told = "ok" if page.is_whole else "cut short"
    elif scrape:
        told = scrape.error or "no metrics on the page"
    return {
        "node": each.node.address,
        "kind": each.node.kind,
        "node_id": each.node_id,
        "role": each.role,
        "is_up": int(each.is_up),
        "is_decommissioned": int(each.is_decommissioned),
        "version": each.version,
        "started_at": started_at(each, offset),
        "scrape": told,
        "is_scraped": None if told is None else int(told == "ok"),
        "error": each.error,
    }


def started_at(each: Listed, offset: int | None) -> int | None:
    """Start of the process in UTC; None while the zone of the session is not clear."""
    if each.started is None or offset is None:
        return None
    return max(each.started - offset, 0)


def _now(each: Listed, seen: Seen, grown: Grown | None) -> dict[str, Any]:
    """What changes all the time, so that no row is due for it."""
    metrics = seen.metrics.get(each.node.key)
    if each.node.kind == "fe":
        return _frontend(each, metrics, grown, seen)
    load = load_of(each, is_leader_view=seen.observed.is_leader_view)
    disks = node_capacity(each, seen)
    is_stale = seen.observed.is_leader_view is False or not each.is_up
    shown = {} if is_stale else each.row
    cache = formats.data_cache(shown.get("datacachemetrics"))
    return {
        "cpu_pct": load.cpu,
        "mem_pct": load.memory,
        "disk_total_bytes": disks.total if disks else None,
        "disk_used_bytes": disks.used if disks else None,
        "disk_data_bytes": disks.data if disks else None,
        "disk_max_pct": formats.percent(shown.get("maxdiskusedpct")),
        "tablets": formats.whole(shown.get("tabletnum")),
        "running_queries": formats.whole(shown.get("numrunningqueries")),
        "compaction_score": _score(each, metrics, seen),
        "cache_used_bytes": cache.used if cache else None,
        "cache_total_bytes": cache.total if cache else None,
    }


def _frontend(
    each: Listed, metrics: Metrics | None, grown: Grown | None, seen: Seen
) -> dict[str, Any]:
    journal = formats.whole(each.row.get("replayedjournalid"))
    return {
        "connections": _connections(metrics),
        "heap_pct": heap_pct(metrics),
        "journal_id": journal if each.is_up and seen.observed.is_leader_view is not False else None,
        "p99": quantile(metrics, grown, "0.99") if metrics else None,
    }


def _connections(metrics: Metrics | None) -> float | None:
    """With ``with_user_connections`` the same connections are there by user once more."""
    rows = metrics.series.get("starrocks_fe_connection_total", []) if metrics else []
    values = [value for labels, value in rows if "user" not in labels and value >= 0]
    return sum(values) if values else None


def _score(each: Listed, metrics: Metrics | None, seen: Seen) -> float | None:
    """As the node says; otherwise as the leader says, which alone has others than 0."""
    rows = [row for name in SCORES for row in (metrics.series.get(name, []) if metrics else [])]
    values = [value for _, value in rows if value >= 0]
    leader = leader_of(seen.nodes)
    page = seen.metrics.get(leader.node.key) if leader else None
    if not values and page:
        told = page.series.get(TABLET_SCORE, [])
        values = [
            value
            for labels, value in told
            if labels.get("backend") == each.node.address and value >= 0
        ]
    return max(values, default=None)
