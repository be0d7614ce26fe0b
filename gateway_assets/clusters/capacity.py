"""When a cluster is full: the sum of its disks, and the first of its backends.

Whole days only, because a day that is not over has grown less than the others. Object storage has
no capacity, so a cluster that keeps its data there has a growth, but no date: also where its
backends state the size of their disks, which is that of a cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when
from gateway_assets.starrocks.forecast import (
    RECENT_DAYS,
    Backtest,
    Forecast,
    backtest,
    first_full,
    forecast,
    limit_of,
)

LIMIT_PCT = 95.0  # where StarRocks stops loading
_LISTED = 2  # days: a backend without a row for longer, while others have some, has gone

Points = list[tuple[int, float | None]]


class Capacity(NamedTuple):
    """``used``, ``total`` and ``limit`` are bytes; the latter two are None where there is no
    capacity, or where the mode is unknown. ``first`` is the backend that is full first.
    """

    cluster: str
    mode: str  # shared-nothing, shared-data or unknown
    measured: str  # the column of daily_snapshots
    day: str | None  # the last whole day that is known
    used: float | None
    total: float | None
    limit: float | None
    forecast: Forecast
    backtest: Backtest
    first: tuple[str, Forecast] | None


def capacity(
    bridge: UnifiedQueryBridge, cluster: str, limit_pct: float = LIMIT_PCT, at: int | None = None
) -> Capacity:
    """Forecast as of a moment, from the 60 days before it. Raises what the bridge raises."""
    today = clock.day_of(clock.now() if at is None else at)
    span = (when((today - RECENT_DAYS) * clock.DAY), when(today * clock.DAY))
    days = bridge.rows(
        "SELECT epoch_us(time) // 86400000000 AS day, disk_used_bytes, disk_total_bytes, "
        "table_bytes, storage_bytes FROM daily_snapshots "
        "WHERE cluster = $1 AND time >= $2 AND time < $3 ORDER BY time",
        [cluster, *span],
    )
    mode = _mode(bridge, cluster, today)
    measured = "disk_used_bytes"
    if mode == "shared-data":
        has_storage = any(row["storage_bytes"] is not None for row in days)
        measured = "storage_bytes" if has_storage else "table_bytes"
    points: Points = [(row["day"], row[measured]) for row in days]
    known = [row for row in days if row[measured] is not None]
    last = known[-1] if known else dict.fromkeys(("day", measured, "disk_total_bytes"))
    total = last["disk_total_bytes"] if mode == "shared-nothing" else None
    limit = None if total is None else limit_of(total, limit_pct)
    first = None
    if mode == "shared-nothing":
        first = first_full(_backends(bridge, cluster, today), limit_pct, today)
    return Capacity(
        cluster,
        mode,
        measured,
        None if last["day"] is None else clock.day_text(last["day"]),
        last[measured],
        total,
        limit,
        forecast(points, limit, today),
        backtest(points),
        first,
    )


def _mode(bridge: UnifiedQueryBridge, cluster: str, today: int) -> str:
    """As last known. It never changes in a cluster's life."""
    (row,) = bridge.rows(
        "SELECT last(is_shared_data ORDER BY time) FILTER (WHERE is_shared_data IS NOT NULL) "
        "AS is_shared_data FROM metrics_snapshots WHERE cluster = $1 AND time >= $2 AND time < $3",
        [cluster, when((today - RECENT_DAYS) * clock.DAY), when((today + 1) * clock.DAY)],
    )
    modes = {None: "unknown", 0: "shared-nothing", 1: "shared-data"}
    return modes[row["is_shared_data"]]


def _backends(
    bridge: UnifiedQueryBridge, cluster: str, today: int
) -> dict[str, tuple[Points, float]]:
    """Days in use and size of each backend that is still there and stays."""
    rows = bridge.rows(
        "SELECT node, epoch_us(time) // 86400000000 AS day, "
        "last(disk_used_bytes ORDER BY time) AS used, "
        "last(disk_total_bytes ORDER BY time) AS total, any_value(node_id) AS node_id "
        "FROM node_samples WHERE cluster = $1 AND kind = 'be' AND is_decommissioned = 0 "
        "AND disk_used_bytes IS NOT NULL AND disk_total_bytes > 0 AND time >= $2 AND time < $3 "
        "GROUP BY node, coalesce(node_id, ''), 2 ORDER BY day, node, node_id",
        [cluster, when((today - RECENT_DAYS) * clock.DAY), when(today * clock.DAY)],
    )
    newest = max((row["day"] for row in rows), default=today)
    found: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["node"], row["node_id"]), []).append(row)
    return {
        node: ([(row["day"], row["used"]) for row in each], each[-1]["total"])
        for (node, _), each in found.items()
        if each[-1]["day"] >= newest - _LISTED
    }
