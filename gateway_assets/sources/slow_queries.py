"""The slowest statements of each five minutes of a StarRocks cluster, from its audit log table.

Queries of a database that differ in constants only are one row: the slowest of them, and how often
and how long all of them ran. So one statement that is asked again and again hides no other.
"""

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
    about="The slowest statements of a StarRocks cluster, at most twenty of each five minutes.",
    columns=(
        Column("time", Kind.TIME, "When the slowest of the queries began, UTC"),
        Column("cluster", Kind.TEXT, "Name of the cluster"),
        Column("queries", Kind.INTEGER, "Such among the 200 slowest of the time", summed=True),
        Column("failed", Kind.INTEGER, "Of them failed", summed=True),
        Column("total_milliseconds", Kind.INTEGER, "All of them together", "ms", summed=True),
        Column("query_id", Kind.TEXT, "The cluster's own number of the slowest"),
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
    is_private=True,
)
