"""The newest state of each node that the cluster still lists."""

from __future__ import annotations

from typing import Any

from gateway_assets import clock
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.clusters.known import when

RECENT = 30 * 60 * clock.SECOND  # each node has a row every five minutes


def nodes(
    bridge: UnifiedQueryBridge, cluster: str = "", at: int | None = None
) -> list[dict[str, Any]]:
    """Each node's last row, frontends first.

    A node that replaces another at its address has a row of the same moment: it is the one that
    is up.
    """
    moment = clock.now() if at is None else at
    return bridge.rows(
        "SELECT * EXCLUDE (id) FROM node_samples "
        "WHERE time > $1 AND time <= $2 AND ($3 = '' OR cluster = $3) "
        "QUALIFY row_number() OVER (PARTITION BY cluster, kind, node "
        "ORDER BY time DESC, is_up DESC) = 1 "
        "ORDER BY cluster, CASE kind WHEN 'fe' THEN 0 WHEN 'be' THEN 1 ELSE 2 END, node",
        [when(moment - RECENT), when(moment), cluster],
    )
