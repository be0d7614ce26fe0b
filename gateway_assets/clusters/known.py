"""Which clusters there are, when each was looked at, and how moments are handed to SQL."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import UsageError

SEEN = 30 * clock.DAY  # a cluster that nobody has looked at for longer has to be named


def when(moment: int) -> datetime:
    """Microseconds since the epoch as SQL takes them."""
    return datetime.fromtimestamp(moment / clock.SECOND, UTC)


def names(bridge: UnifiedQueryBridge, at: int | None = None, within: int = SEEN) -> list[str]:
    """The clusters that were looked at in the last 30 days, or ``within`` so many microseconds."""
    moment = clock.now() if at is None else at
    rows = bridge.rows(
        "SELECT DISTINCT cluster FROM collection_ticks WHERE time >= $1 AND time <= $2 ORDER BY 1",
        [when(moment - within), when(moment)],
    )
    return [row["cluster"] for row in rows]


def chosen(bridge: UnifiedQueryBridge, cluster: str) -> str:
    """The cluster that was named, whenever it was looked at, else the only one of the last 30 days.

    Raises UsageError.
    """
    known = names(bridge)
    if cluster in known or (cluster and _was_ever_seen(bridge, cluster)):
        return cluster
    if not known:
        raise UsageError(
            "no cluster has been looked at in the last 30 days",
            hint="declare one in clusters.toml, then: gateway collect; what landed becomes rows "
            "by: gateway load. Or, to try it: gateway demo cluster --collect",
        )
    if cluster:
        raise UsageError(f"there is no cluster {cluster!r}", hint=f"clusters: {', '.join(known)}")
    if len(known) > 1:
        raise UsageError("which cluster?", hint=f"--cluster, one of: {', '.join(known)}")
    return known[0]


def _was_ever_seen(bridge: UnifiedQueryBridge, cluster: str) -> bool:
    # By its days: of a name that never was, all rows are read, and a day is only one.
    return bool(
        bridge.rows("SELECT 1 AS seen FROM daily_snapshots WHERE cluster = $1 LIMIT 1", [cluster])
    )
