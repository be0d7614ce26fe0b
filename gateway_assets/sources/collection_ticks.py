"""Whether a cluster could be looked at: one row per cluster and tick, also for failed ones."""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

SOURCE = Source(
    name="collection_ticks",
    version=2,
    about="How each look at a StarRocks cluster went: who answered, what failed, how long it took.",
    columns=(
        Column("time", Kind.TIME, "The tick, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        Column("status", Kind.TEXT, "ok, partial (something did not answer) or failed"),
        Column("milliseconds", Kind.INTEGER, "How long it took", "ms"),
        Column("answered_by", Kind.TEXT, "Frontend that answered, host:port", nullable=True),
        Column("leader", Kind.TEXT, "Frontend that leads, host:port", nullable=True),
        Column("nodes", Kind.INTEGER, "Nodes whose metrics were asked for"),
        Column("nodes_answered", Kind.INTEGER, "Nodes that gave them"),
        Column("bytes", Kind.INTEGER, "Metrics read", "bytes"),
        Column("bad_lines", Kind.INTEGER, "Lines of metrics that could not be read"),
        Column("skipped", Kind.INTEGER, "Ticks skipped since the one before", summed=True),
        Column("errors", Kind.TEXT, "What failed, one line each", nullable=True),
        Column("interval_seconds", Kind.INTEGER, "From tick to tick; NULL: 30", "s", nullable=True),
    ),
)
