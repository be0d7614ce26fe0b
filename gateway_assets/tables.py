"""Every table of this project, one declaration each; all stages are driven by this list."""

from __future__ import annotations

from gateway_assets.errors import ConfigError
from gateway_assets.model import Column, Kind
from gateway_assets.settings import Settings
from gateway_assets.sources import (
    collection_ticks,
    ip_traffic,
    job_samples,
    latency_histogram,
    metrics_snapshots,
    node_samples,
    registry_history,
    slow_queries,
)
from gateway_assets.summaries import daily_snapshots
from gateway_assets.table import (
    DAILY,
    HOURLY,
    Merge,
    Places,
    State,
    Table,
    from_source,
    rolled_up,
)

IP_TRAFFIC = from_source(ip_traffic.SOURCE, hot_days=7, places=Places("remote_ip", behind=13))

_BY = ("host", "backend", "layer", "remote_ip", "process")
_ALSO_BY = ("unit", "country")  # further ones go to the end, and nothing else has to be done
_BYTES = (
    State(Column("tx_bytes", Kind.INTEGER, "Sent", "bytes", summed=True), Merge.SUM, "tx_bytes"),
    State(
        Column("rx_bytes", Kind.INTEGER, "Received", "bytes", summed=True), Merge.SUM, "rx_bytes"
    ),
    State(Column("samples", Kind.INTEGER, "Rows merged into this one", summed=True), Merge.COUNT),
    State(Column("first_seen", Kind.TIME, "Start of the first interval"), Merge.MIN, "time"),
    State(Column("last_seen", Kind.TIME, "End of the last interval"), Merge.MAX, "end_time"),
)

IP_TRAFFIC_HOURLY = rolled_up(
    IP_TRAFFIC,
    HOURLY,
    by=_BY,
    also_by=_ALSO_BY,
    states=_BYTES,
    hot_days=60,
    about="Bytes per UTC hour, remote address and process.",
)

IP_TRAFFIC_DAILY = rolled_up(
    IP_TRAFFIC,
    DAILY,
    by=_BY,
    also_by=_ALSO_BY,
    states=_BYTES,
    hot_days=400,
    about="Bytes per UTC day, remote address and process.",
)

METRICS_SNAPSHOTS = from_source(metrics_snapshots.SOURCE, hot_days=7)
NODE_SAMPLES = from_source(node_samples.SOURCE, hot_days=7)
COLLECTION_TICKS = from_source(collection_ticks.SOURCE, hot_days=7)
LATENCY_HISTOGRAM = from_source(latency_histogram.SOURCE, hot_days=7)
JOB_SAMPLES = from_source(job_samples.SOURCE, hot_days=7)
SLOW_QUERIES = from_source(slow_queries.SOURCE, hot_days=7)
# Every snapshot asks for the newest row of everything, and there are few.
REGISTRY_HISTORY = from_source(registry_history.SOURCE, hot_days=400)
DAILY_SNAPSHOTS = daily_snapshots.TABLE

# What a table is made from stands before it.
TABLES: tuple[Table, ...] = (
    IP_TRAFFIC,
    IP_TRAFFIC_HOURLY,
    IP_TRAFFIC_DAILY,
    METRICS_SNAPSHOTS,
    NODE_SAMPLES,
    COLLECTION_TICKS,
    LATENCY_HISTOGRAM,
    JOB_SAMPLES,
    SLOW_QUERIES,
    DAILY_SNAPSHOTS,
    REGISTRY_HISTORY,
)


def rollups_of(name: str) -> tuple[Table, ...]:
    """The tables that are made from this one: roll-ups and summaries."""
    return tuple(table for table in TABLES if name in table.below)


def check_settings(settings: Settings) -> None:
    """Raise ConfigError when a setting names a table that does not exist."""
    unknown = settings.hot_days.keys() - {known.name for known in TABLES}
    if unknown:
        known = ", ".join(table.name for table in TABLES)
        raise ConfigError(f"setting hot_days names {min(unknown)!r}", hint=f"tables: {known}")


def hot_days(table: Table, settings: Settings) -> int:
    """Days of this table that stay hot: the setting's number, else the declared one."""
    return settings.hot_days.get(table.name, table.hot_days)
