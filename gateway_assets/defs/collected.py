"""One look at the declared StarRocks clusters, when somebody asks for it; `gateway collect` makes
all others, and is the only one that looks while it runs.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg

from gateway_assets.defs.describe import OWNERS
from gateway_assets.defs.landing import GROUP
from gateway_assets.errors import Busy
from gateway_assets.settings import Settings
from gateway_assets.sources import collection_ticks
from gateway_assets.tables import (
    COLLECTION_TICKS,
    JOB_SAMPLES,
    LATENCY_HISTOGRAM,
    METRICS_SNAPSHOTS,
    NODE_SAMPLES,
    SLOW_QUERIES,
)

if TYPE_CHECKING:
    from gateway_assets.collect.tick import Ticked

NAME = "raw_cluster_snapshot"
COLLECTED = (
    METRICS_SNAPSHOTS,
    NODE_SAMPLES,
    COLLECTION_TICKS,
    LATENCY_HISTOGRAM,
    JOB_SAMPLES,
    SLOW_QUERIES,
)  # what gateway collect lands
_WORST_FIRST = ("failed", "partial", "ok")


def snapshot_asset(settings: Settings) -> dg.AssetsDefinition:
    """Looks once at all declared clusters, asks everything, and lands what they said."""

    @dg.asset(
        name=NAME,
        group_name=GROUP,
        kinds={"starrocks", "file"},
        owners=OWNERS,
        description="One look at every declared StarRocks cluster, now. Only by hand: "
        "`gateway collect` looks every half minute, and while it runs nothing is asked here.",
        metadata={"dagster/uri": str(settings.landing)},
    )
    def looked(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        from gateway_assets.collect.config import clusters_of
        from gateway_assets.collect.loop import once

        clusters = clusters_of(settings)
        if not clusters:
            return _not_asked(0, "no cluster is declared")
        try:
            ticked = once(clusters, settings)
        except Busy as error:
            return _not_asked(len(clusters), error.message)
        looks = _looks(ticked)
        for look in looks:
            if look["errors"]:
                context.log.warning(f"{look['cluster']}: {look['errors']}")
        return dg.MaterializeResult(metadata=_figures(ticked, looks))

    return looked


def _not_asked(clusters: int, why: str) -> dg.MaterializeResult:
    return dg.MaterializeResult(metadata={"clusters": clusters, "status": f"not asked: {why}"})


def _looks(ticked: "Ticked") -> list[dict[str, Any]]:
    """The rows of collection_ticks, by column."""
    source = collection_ticks.SOURCE
    names = [column.name for column in source.columns]
    return [dict(zip(names, row, strict=True)) for row in ticked.rows.get(source.name, [])]


def _figures(ticked: "Ticked", looks: list[dict[str, Any]]) -> dict[str, Any]:
    statuses = {look["status"] for look in looks}
    return {
        "clusters": len(looks),
        "status": next(status for status in _WORST_FIRST if status in statuses),
        "nodes": sum(look["nodes"] for look in looks),
        "nodes_answered": sum(look["nodes_answered"] for look in looks),
        "milliseconds": max(look["milliseconds"] for look in looks),
        "errors": sum(len((look["errors"] or "").splitlines()) for look in looks),
        "rows": sum(len(rows) for rows in ticked.rows.values()),
        "looks": dg.MetadataValue.md(_markdown(looks)),
    }


def _markdown(looks: list[dict[str, Any]]) -> str:
    head = "| cluster | status | ms | answered by | nodes | answered | errors |"
    rows = [
        f"| {look['cluster']} | {look['status']} | {look['milliseconds']:,} "
        f"| {look['answered_by'] or ''} | {look['nodes']} | {look['nodes_answered']} "
        f"| {_cell(look['errors'])} |"
        for look in looks
    ]
    return "\n".join([head, "|---|---|--:|---|--:|--:|---|", *rows])


def _cell(text: str | None) -> str:
    """Text of a server, which may hold what ends a cell or a row."""
    return (text or "").replace("|", "\\|").replace("\n", "; ")
