"""The slowest queries of each five minutes of a StarRocks cluster, from its audit log table."""

from __future__ import annotations

from gateway_assets.model import Column, Kind
from gateway_assets.source import Source


def _whole(name: str, about: str, unit: str = "") -> Column:
    return Column(name, Kind.INTEGER, about, unit, nullable=True)


def _text(name: str, about: str) -> Column:
    return Column(name, Kind.TEXT, about, nullable=True)


SOURCE = Source(
    name="slow_queries",
    version=1,
    about="The slowest queries of a StarRocks cluster, at most twenty of each five minutes.",
    columns=(
        Column("time", Kind.TIME, "When the query began, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        Column("query_id", Kind.TEXT, "The cluster's own number of it"),
        Column("milliseconds", Kind.INTEGER, "How long it took", "ms"),
        _text("user", "Who asked"),
        _text("database", "Of which database"),
        _text("frontend", "Address of the frontend that was asked"),
        _text("state", "EOF, OK or ERR"),
        _whole("scan_bytes", "Read", "bytes"),
        _whole("scan_rows", "Rows read"),
        _whole("return_rows", "Rows answered"),
        _whole("cpu_ns", "Time of all processors", "ns"),
        _whole("memory_bytes", "Memory it took", "bytes"),
        _text("digest", "The same for statements that differ in constants only"),
        _text("statement", "The first 2,000 characters of it"),
    ),
)
