"""Sizes at the end of each UTC day, and what they grew since the last day that is known."""

from __future__ import annotations

from typing import Any

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when

_BEFORE = 100 * clock.DAY  # how far back a day is compared with


def growth(bridge: UnifiedQueryBridge, cluster: str, start: int, end: int) -> list[dict[str, Any]]:
    """One dict a day of ``[start, end)``: sizes in bytes as last known on that day.

    ``…_growth_bytes`` is the growth a day since ``…_growth_days`` days ago, the last day with that
    size, so a gap is no double step. Both are NULL without such a day. A day that is not over has
    its sizes of now.
    """
    rows = bridge.rows(
        "SELECT time, disk_used_bytes, disk_total_bytes, table_bytes, storage_bytes, "
        "used_growth_bytes, growth_days AS used_growth_days, table_growth_bytes, "
        "table_growth_days, coverage_pct, gap_seconds FROM daily_snapshots "
        "WHERE cluster = $1 AND time >= $2 AND time < $3 ORDER BY time",
        [cluster, when(start - _BEFORE), when(end)],
    )
    _add_growth_of_storage(rows)
    return [row for row in rows if row["time"] >= when(start)]


def _add_growth_of_storage(rows: list[dict[str, Any]]) -> None:
    """Objects in storage are not compared in ``daily_snapshots``."""
    before: dict[str, Any] | None = None
    for row in rows:
        row["storage_growth_bytes"] = row["storage_growth_days"] = None
        if row["storage_bytes"] is None:
            continue
        if before is not None and (days := (row["time"] - before["time"]).days) <= 100:
            grown = row["storage_bytes"] - before["storage_bytes"]
            row["storage_growth_bytes"], row["storage_growth_days"] = round(grown / days), days
        before = row
