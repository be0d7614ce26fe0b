"""True percentiles of latency over any time, from the histograms of the audit log."""

from __future__ import annotations

from typing import Any

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when
from gateway_assets.starrocks.histogram import added, percentile

PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def latency(
    bridge: UnifiedQueryBridge, cluster: str, start: int, end: int, step: int
) -> list[dict[str, Any]]:
    """One dict a step (seconds): ``queries`` and percentiles in milliseconds, exact to 2 %; None
    where a row of the step cannot be read.
    """
    rows = bridge.rows(
        f"SELECT time_bucket(INTERVAL {step} SECOND, time) AS time, "
        "sum(queries)::BIGINT AS queries, list(buckets) AS texts FROM latency_histogram "
        "WHERE cluster = $1 AND time >= $2 AND time < $3 GROUP BY 1 ORDER BY 1",
        [cluster, when(start), when(end)],
    )
    return [{"time": row["time"], "queries": row["queries"], **_told(row["texts"])} for row in rows]


def _told(texts: list[str]) -> dict[str, float | None]:
    counts = added(texts) or {}
    return {name: percentile(counts, part) for name, part in PERCENTILES.items()}
