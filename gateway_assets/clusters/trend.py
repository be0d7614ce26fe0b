"""Numbers of a window beside the window before it, the same time yesterday and a week ago."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.history import COUNTERS, UNITS, check_name
from gateway_assets.clusters.known import when
from gateway_assets.starrocks.compare import compared

USUAL = (
    "qps",
    "query_error",
    "query_internal_error",
    "p95",
    "connections",
    "cpu_avg_pct",
    "mem_avg_pct",
    "disk_used_bytes",
    "load_rows",
    "txn_failed",
    "compaction_score",
)


def trend(
    bridge: UnifiedQueryBridge,
    cluster: str,
    start: int,
    end: int,
    metrics: Sequence[str] = USUAL,
) -> list[dict[str, Any]]:
    """One dict a metric: ``now``, and ``before``, ``yesterday`` and ``last_week`` with their
    ``…_pct``, the change from then to now in per cent.

    A gauge is told by its mean, a counter by what it grew a second, so that windows that were not
    watched whole can be compared. What is not known, or undefined, is NULL. Raises UsageError for
    a number that does not exist.
    """
    for metric in metrics:
        check_name(metric)
    figures = ", ".join(_figure(metric) for metric in metrics)

    @cache
    def measured(since: int, until: int) -> dict[str, float | None]:
        (row,) = bridge.rows(
            f"SELECT {figures} FROM metrics_snapshots "
            "WHERE cluster = $1 AND time >= $2 AND time < $3",
            [cluster, when(since), when(until)],
        )
        return row

    rows = []
    for metric in metrics:
        found = compared(lambda since, until, of=metric: measured(since, until)[of], start, end)  # type: ignore[misc]
        unit = f"{UNITS[metric]}/s" if metric in COUNTERS else UNITS[metric]
        row: dict[str, Any] = {"metric": metric, "unit": unit, "now": found.now}
        for name in ("before", "yesterday", "last_week"):
            change = getattr(found, name)
            row |= {name: change.then, f"{name}_pct": change.pct}
        rows.append(row)
    return rows


def _figure(metric: str) -> str:
    if metric not in COUNTERS:
        return f"avg({metric}) AS {metric}"
    watched = f"sum(seconds) FILTER (WHERE {metric} IS NOT NULL)"
    return f"sum({metric}) / nullif({watched}, 0) AS {metric}"
