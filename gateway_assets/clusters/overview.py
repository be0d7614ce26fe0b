"""The newest known value of everything: some numbers are asked for every five minutes only."""

from __future__ import annotations

from typing import Any

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when
from gateway_assets.sources import metrics_snapshots
from gateway_assets.starrocks.definitions import METRICS

RECENT = 15 * 60 * clock.SECOND  # what was not seen for longer is unknown
_COUNTERS = [metric.column for metric in METRICS if metric.is_counter]
_STATES = [
    column.name
    for column in metrics_snapshots.SOURCE.columns
    if column.name not in {"time", "cluster", "seconds", *_COUNTERS}
]


def overview(
    bridge: UnifiedQueryBridge, cluster: str = "", at: int | None = None
) -> list[dict[str, Any]]:
    """One dict a cluster: ``time`` and ``status`` of its last tick, the last known state of each
    number of ``metrics_snapshots``, and what counters grew in the last 15 minutes.

    ``success_pct`` and ``service_success_pct`` (without people's own errors) are NULL when nothing
    was asked in that time.
    """
    moment = clock.now() if at is None else at
    span = [when(moment - RECENT), when(moment), cluster]
    states = ", ".join(
        f"last({name} ORDER BY time) FILTER (WHERE {name} IS NOT NULL) AS {name}"
        for name in _STATES
    )
    sums = ", ".join(f"sum({name})::BIGINT AS {name}" for name in _COUNTERS)
    which = "time > $1 AND time <= $2 AND ($3 = '' OR cluster = $3)"
    ticks = bridge.rows(
        "SELECT cluster, max(time) AS time, last(status ORDER BY time) AS status, "
        "last(answered_by ORDER BY time) AS answered_by, last(leader ORDER BY time) AS leader, "
        "last(errors ORDER BY time) AS errors "
        "FROM collection_ticks WHERE time > $1 AND time <= $2 AND ($3 = '' OR cluster = $3) "
        "GROUP BY cluster ORDER BY cluster",
        [when(moment - clock.DAY), when(moment), cluster],
    )
    numbers = bridge.rows(
        f"SELECT cluster, {states}, {sums} FROM metrics_snapshots WHERE {which} GROUP BY cluster",
        span,
    )
    by_cluster = {row["cluster"]: row for row in numbers}
    unknown = dict.fromkeys([*_STATES, *_COUNTERS])
    return [
        _with_success({**unknown, **by_cluster.get(tick["cluster"], {}), **tick}) for tick in ticks
    ]


def _with_success(row: dict[str, Any]) -> dict[str, Any]:
    total = row["query_total"]
    return {
        **row,
        "success_pct": _part(total, row["query_error"]),
        "service_success_pct": _part(total, row["query_internal_error"]),
    }


def _part(total: int | None, failed: int | None) -> float | None:
    if not total or failed is None:
        return None
    return round(100 * max(0.0, 1 - failed / total), 3)
