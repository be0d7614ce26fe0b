"""Jobs of a StarRocks cluster that can fall behind or fail: routine loads and materialized views.

One row per job every five minutes, and one per refresh that failed.
"""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source

SOURCE = Source(
    name="job_samples",
    version=1,
    about="Routine loads and materialized views of a StarRocks cluster, every five minutes.",
    columns=(
        Column("time", Kind.TIME, "The tick, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        Column("kind", Kind.TEXT, "routine_load, materialized_view or refresh"),
        Column("name", Kind.TEXT, "Database and name, with a dot between them"),
        Column("state", Kind.TEXT, "As the cluster says", nullable=True),
        Column("is_active", Kind.INTEGER, "0: a view that is not refreshed", nullable=True),
        Column("lag", Kind.INTEGER, "Messages a routine load is behind", nullable=True),
        Column("rows", Kind.INTEGER, "Rows loaded, or of the view", nullable=True),
        Column("error_rows", Kind.INTEGER, "Rows refused so far", nullable=True),
        Column("seconds", Kind.REAL, "How long the last refresh took", "s", nullable=True),
        Column("error", Kind.TEXT, "Why it stopped or failed", nullable=True),
    ),
)
