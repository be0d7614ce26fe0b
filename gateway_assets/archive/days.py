"""The UTC days that hot rows are of, by seeks where an index tells days apart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from gateway_assets.archive.hops import first_time, is_sought, lead
from gateway_assets.archive.manifest import select
from gateway_assets.archive.visible import visible
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import Epoch

_LEAST = -(2**63)  # sorts before every other number and every text


def visible_days(connection: sqlite3.Connection, table: Tiered, *, leaving: bool) -> Iterator[int]:
    """The days of visible rows that have a usable time; ``leaving``: of those that may leave."""
    which = table.eligible if leaving else _usable(table)
    shown = visible(connection, table)
    if not table.written.is_exact or not is_sought(connection, table):
        query = sql(
            "SELECT DISTINCT {day} FROM {table} WHERE {which} AND {shown} ORDER BY 1",
            day=table.day_of(quoted(table.time)),
            table=table.table,
            which=which,
            shown=shown,
        )
        yield from (day for (day,) in connection.execute(query).fetchall())
        return
    # Rows that may not leave show even while all others of their day are hidden.
    hidden = _wholly_hidden(connection, table) if leaving or not table.where else set()
    for day in _days(connection, table):
        if day not in hidden and _has_row(connection, table, day, f"{which} AND {shown}"):
            yield day


def _usable(table: Tiered) -> Fragment:
    # ``IS TRUE`` keeps SQLite from seeking by the ends of the calendar instead of by those given.
    return Fragment(f"({table.written.usable(table.time)}) IS TRUE")


def _wholly_hidden(connection: sqlite3.Connection, table: Tiered) -> set[int]:
    """The days of which every row that may leave is hidden."""
    return {
        file.day
        for file in select(connection, "table_name = ? AND state = 'published'", [table.name])
        if file.hidden_from == file.day_from
        and (file.time_format, file.let_go) == (table.written.name, table.pinned_where)
    }


def _has_row(connection: sqlite3.Connection, table: Tiered, day: int, condition: str) -> bool:
    query = sql(
        "SELECT 1 FROM {table} WHERE {time} >= ? AND {time} < ? AND {condition} LIMIT 1",
        table=table.table,
        time=table.time,
        condition=Fragment(condition),
    )
    return connection.execute(query, table.written.bounds(day)).fetchone() is not None


def _days(connection: sqlite3.Connection, table: Tiered) -> Iterator[int]:
    """Every UTC day that some row is of."""
    time, leading = quoted(table.time), lead(connection, table)
    raw = _first(connection, table, table.written.bounds(0)[0] if table.own else _LEAST)
    while raw is not None:
        day = table.written.day(raw)
        if day is None:
            if not _may_follow(table, raw):
                return
            raw = first_time(connection, table, f"{time} > ?", (raw,))
            continue
        yield day
        # Any row of the next day is found sooner than the first of all leads.
        while leading and _has_row(connection, table, day + 1, _usable(table)):
            day += 1
            yield day
        raw = _first(connection, table, table.written.bounds(day)[1])


def _first(connection: sqlite3.Connection, table: Tiered, start: Any) -> Any:
    return first_time(connection, table, f"{quoted(table.time)} >= ?", (start,))


def _may_follow(table: Tiered, value: Any) -> bool:
    """Whether usable times may stand behind a value that is none: SQLite sorts numbers, text,
    bytes, and text by its bytes."""
    if isinstance(table.written, Epoch):
        return isinstance(value, int | float | None)
    return not isinstance(value, bytes) and (not isinstance(value, str) or value < ":")
