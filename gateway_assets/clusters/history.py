"""One number over a time, at any resolution."""

from __future__ import annotations

from typing import Any

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when
from gateway_assets.errors import UsageError
from gateway_assets.sources import metrics_snapshots
from gateway_assets.starrocks.definitions import METRICS

POINTS = 60  # that a range is divided into when no step is given
STEPS = (30, 60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600, 24 * 3600)  # seconds
UNITS = {
    column.name: column.unit
    for column in metrics_snapshots.SOURCE.columns
    if column.name not in {"time", "cluster"}
}
COUNTERS = frozenset(metric.column for metric in METRICS if metric.is_counter)


def history(
    bridge: UnifiedQueryBridge,
    cluster: str,
    metric: str,
    start: int,
    end: int,
    step: int = 0,
) -> list[dict[str, Any]]:
    """One dict a step of ``[start, end)``, in seconds; steps without a known value are left out.

    A gauge has ``mean``, ``min`` and ``max``; a counter ``sum`` and ``a_second``, which is the sum
    over the time that its intervals cover. Raises UsageError for a number that does not exist.
    """
    check_name(metric)
    width = step or step_for(start, end)
    numbers = (
        f"sum({metric})::BIGINT AS sum, "
        f"sum({metric}) / nullif(sum(seconds) FILTER (WHERE {metric} IS NOT NULL), 0) AS a_second"
        if metric in COUNTERS
        else f"avg({metric}) AS mean, min({metric}) AS min, max({metric}) AS max"
    )
    return bridge.rows(
        f"SELECT time_bucket(INTERVAL {width} SECOND, time) AS time, {numbers}, "
        f"count({metric}) AS samples FROM metrics_snapshots "
        "WHERE cluster = $1 AND time >= $2 AND time < $3 "
        f"GROUP BY 1 HAVING count({metric}) > 0 ORDER BY 1",
        [cluster, when(start), when(end)],
    )


def check_name(metric: str) -> None:
    """Raises UsageError for a number that does not exist."""
    if metric not in UNITS:
        raise UsageError(f"there is no number {metric!r}", hint=f"numbers: {', '.join(UNITS)}")


def step_for(start: int, end: int) -> int:
    """The smallest of the usual steps that gives at most some sixty points."""
    wanted = (end - start) / clock.SECOND / POINTS
    return next((step for step in STEPS if step >= wanted), STEPS[-1])
