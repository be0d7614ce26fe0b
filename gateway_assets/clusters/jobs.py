"""Slow queries, materialized views and routine loads."""

from __future__ import annotations

from typing import Any

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when

RECENT = 30 * 60 * clock.SECOND  # each job has a row every five minutes


def slow_queries(
    bridge: UnifiedQueryBridge, cluster: str, start: int, end: int, limit: int
) -> list[dict[str, Any]]:
    """The slowest of a time, longest first."""
    return bridge.rows(
        "SELECT * EXCLUDE (id) FROM slow_queries "
        "WHERE cluster = $1 AND time >= $2 AND time < $3 ORDER BY milliseconds DESC LIMIT $4",
        [cluster, when(start), when(end), limit],
    )


def jobs(
    bridge: UnifiedQueryBridge, cluster: str, kind: str, at: int | None = None
) -> list[dict[str, Any]]:
    """The newest state of each ``routine_load`` or ``materialized_view``, those that fail first."""
    moment = clock.now() if at is None else at
    return bridge.rows(
        "SELECT time, name, state, is_active, lag, rows, error_rows, seconds, error "
        "FROM job_samples WHERE cluster = $1 AND kind = $2 AND time > $3 AND time <= $4 "
        "QUALIFY row_number() OVER (PARTITION BY name ORDER BY time DESC) = 1 "
        "ORDER BY error IS NULL, lag DESC NULLS LAST, name",
        [cluster, kind, when(moment - RECENT), when(moment)],
    )
