"""Where the next chunk of a range of rows ends, in raw time.

An index on the time is followed for as many rows as a chunk shall have. A table that is kept by
another column, and then by the time, would have to be sorted for that, once for each chunk. So
there a span of time is halved until few enough rows lie in it, and doubled while they do; each look
ends after the rows of two chunks, and the next chunk begins with the span of the last one.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from gateway_assets.archive.hops import first_time, lead
from gateway_assets.archive.source import Source
from gateway_assets.hot.sql import quoted, sql
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import Epoch


def is_spanned(connection: sqlite3.Connection, table: Tiered) -> bool:
    """Whether rows are found by spans: their times must be whole numbers for it."""
    is_whole = isinstance(table.written, Epoch) and not table.written.real
    return is_whole and bool(lead(connection, table))


def by_count(source: Source, start: Any, end: Any) -> Any:
    """The raw time before which the next ``pace.rows`` rows from ``start`` on lie; None when no
    more than these lie before ``end``.
    """
    table = source.table
    query = sql(
        "SELECT {time} FROM {table} WHERE {time} >= ? AND {time} < ? "
        "ORDER BY {time} LIMIT 1 OFFSET ?",
        time=table.time,
        table=table.table,
    )
    row = source.connection.execute(query, (start, end, source.pace.rows)).fetchone()
    if row is None:
        return None
    first = source.connection.execute(query, (start, end, 0)).fetchone()
    if row != first:
        return row[0]
    # More rows of one moment than a chunk holds: they go together.
    beyond = sql(
        "SELECT min({time}) FROM {table} WHERE {time} > ? AND {time} < ?",
        time=table.time,
        table=table.table,
    )
    return source.connection.execute(beyond, (row[0], end)).fetchone()[0]


def by_spans(source: Source, start: int, end: int) -> int | None:
    """The same for at most twice as many rows, or those of one moment."""
    time = quoted(source.table.time)
    first = first_time(source.connection, source.table, f"{time} >= ? AND {time} < ?", (start, end))
    if first is None:
        return None
    first = int(first)  # a fraction is no time of this format, but may stand in the column
    rest = end - first
    span = min(source.span or rest, rest)
    while span > 1 and _has_more(source, first, first + span):
        span //= 2
    while span < rest and not _has_more(source, first, first + min(2 * span, rest)):
        span = min(2 * span, rest)
    source.span = span
    return None if first + span >= end else first + span


def _has_more(source: Source, start: int, end: int) -> bool:
    """Whether there are more rows than two chunks have."""
    query = sql(
        "SELECT 1 FROM {table} WHERE {time} >= ? AND {time} < ? LIMIT 1 OFFSET ?",
        time=source.table.time,
        table=source.table.table,
    )
    most = 2 * source.pace.rows
    return source.connection.execute(query, (start, end, most)).fetchone() is not None
