"""The state of one node of a StarRocks cluster.

A row is written every five minutes, and at once when a node appears, goes, restarts or changes.
Counters are what they grew since the node's row before.
"""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source


def _count(name: str, about: str, unit: str = "") -> Column:
    return Column(name, Kind.INTEGER, about, unit, nullable=True, summed=True)


def _whole(name: str, about: str, unit: str = "") -> Column:
    return Column(name, Kind.INTEGER, about, unit, nullable=True)


def _real(name: str, about: str, unit: str = "") -> Column:
    return Column(name, Kind.REAL, about, unit, nullable=True)


def _text(name: str, about: str) -> Column:
    return Column(name, Kind.TEXT, about, nullable=True)


SOURCE = Source(
    name="node_samples",
    version=1,
    about="State of each node of a StarRocks cluster, every five minutes and when it changes.",
    columns=(
        Column("time", Kind.TIME, "The tick, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        Column("node", Kind.TEXT, "Host and port of the node"),
        Column("kind", Kind.TEXT, "fe, be or cn"),
        _text("node_id", "The cluster's own name or number of the node"),
        _text("role", "LEADER, FOLLOWER or OBSERVER of a frontend"),
        Column("is_up", Kind.INTEGER, "1: the cluster says that it is alive"),
        Column("is_decommissioned", Kind.INTEGER, "1: it is being removed, which is no outage"),
        _text("version", "As the node says"),
        Column("started_at", Kind.TIME, "Start of its process", nullable=True),
        _text("scrape", "How fetching its metrics ended: ok, or why not"),
        _real("cpu_pct", "CPU", "%"),
        _real("mem_pct", "Memory, of its limit", "%"),
        _whole("disk_total_bytes", "Its disks", "bytes"),
        _whole("disk_used_bytes", "Of them not free", "bytes"),
        _whole("disk_data_bytes", "Of them taken by data", "bytes"),
        _real("disk_max_pct", "Use of its fullest disk", "%"),
        _whole("tablets", "Replicas of tablets on it"),
        _whole("running_queries", "Queries that run on it"),
        _whole("connections", "Connections to it"),
        _whole("compaction_score", "Highest compaction score of its tablets"),
        _real("heap_pct", "Heap of a frontend, of its limit", "%"),
        _whole("journal_id", "Last entry of the journal that a frontend has replayed"),
        _whole("cache_used_bytes", "Data cache in use", "bytes"),
        _whole("cache_total_bytes", "Size of the data cache", "bytes"),
        _real("p99", "99th percentile of latency on this frontend", "ms"),
        _real("seconds", "Length of the interval the counters stand for", "s"),
        _whole("resets", "Times its counters began again at zero"),
        _count("query_total", "Queries"),
        _count("query_error", "Queries that failed"),
        _count("query_internal_error", "Queries that the cluster failed"),
        _count("compactions_failed", "Compactions that failed"),
        _text("error", "What the cluster says is wrong with it"),
    ),
)
