"""The state of a StarRocks cluster, and what happened in it, one row per tick.

Counters are what they grew in the ``seconds`` before ``time``, added up over all nodes that
answered, so any set of rows may be added up. Unknown is NULL: a metric that a version does not
have, a node that did not answer, a first look.
"""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source
from gateway_assets.starrocks.definitions import DERIVED, METRICS

SOURCE = Source(
    name="metrics_snapshots",
    version=2,
    about="State and work of a StarRocks cluster, one row per tick, from `gateway collect`.",
    columns=(
        Column("time", Kind.TIME, "The tick, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        *DERIVED,
        *(metric.declared for metric in METRICS),
    ),
)
