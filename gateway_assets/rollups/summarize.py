"""Compute a day of a summary again, whole, from all rows of the day in the tables below.

Computing takes time in proportion to the day's rows, so it happens before the write lock is taken;
putting what came of it into the table is a few rows.

Rows of a key that is there already are changed in place, so their ids stay; what has not changed
is not touched. A row is never removed. A day that is not over is computed once more when it is. A
day of which rows below have expired keeps its rows: they are all that is left of those. Rows that
were erased are to leave the figures, too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.archive.source import Source
from gateway_assets.archive.totals import rows_removed
from gateway_assets.archive.visible import visible
from gateway_assets.hot.dirty import clear, mark_days, waiting_ids
from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.rollups.archived import copies
from gateway_assets.rollups.growth import days_after, growth_of
from gateway_assets.table import TIME, Summary, Table

Key = tuple[object, ...]
Row = dict[str, Any]  # by column name


class Computed(NamedTuple):
    """A day's rows as they are to be, the marks that asked for them, and when it was."""

    marks: list[tuple[int, int]]
    rows: dict[Key, Row]
    moment: int


class Summarized(NamedTuple):
    """How many rows of the day were computed, days that have to follow, why rows were kept."""

    rows: int
    following: set[int]
    kept: str


def compute_day(
    sources: Sequence[Source], table: Table, day: int, has_copies: Sequence[bool]
) -> Computed:
    """Compute a day, in the caller's transaction, which may be one that only reads.

    The sources are the tables below and, last, the summary itself. Without a mark another process
    has been faster, and what is archived was not looked at.
    """
    summary = table.summary
    assert summary
    *below, own = sources
    marks, now = waiting_ids(own.connection, table, day), clock.now()
    if not marks:
        return Computed([], {}, now)
    rows = {
        source.table.name: _rows_of_day(source, day, copied)
        for source, copied in zip(below, has_copies[:-1], strict=True)
    }
    found = summary.compute(own.connection, rows, day, now)
    return Computed(marks, {tuple(row[key] for key in summary.by): row for row in found}, now)


def is_of_now(source: Source, table: Table, day: int, computed: Computed) -> bool:
    """Whether nothing has marked the day since it was computed, and nobody has cleared its mark."""
    return waiting_ids(source.connection, table, day) == computed.marks


def put_day(
    sources: Sequence[Source],
    table: Table,
    day: int,
    has_copies: Sequence[bool],
    computed: Computed,
) -> Summarized:
    """Put a computed day into the table and clear its mark, in the caller's transaction, in which
    it must be of now.
    """
    summary = table.summary
    assert summary
    if not computed.marks:
        return Summarized(0, set(), "")
    *below, own = sources
    connection, found = own.connection, computed.rows
    there = _there(connection, table, summary, day)
    kept = _why_kept(below, there, day)
    if kept:
        # What is left below is less than what these rows were computed from.
        found = {**found, **there}
    following: set[int] = set()
    for key, row in found.items():
        before = there.get(key, {})
        grown = growth_of(own, table, day, row, has_copies[-1])
        _put(connection, table, day, {**row, **grown}, before.get("id"), before)
        following |= days_after(own, table, day, before, row, has_copies[-1])
    clear(connection, table, day)
    mark_days(connection, table, following)
    if computed.moment < clock.day_range(day)[1]:
        mark_days(connection, table, [day])
    return Summarized(len(found), following, kept)


def columns_summarized(source: Source) -> list[str]:
    """The columns of a table below that computing may look at: all."""
    return [field.name for field in source.table.fields]


def _rows_of_day(source: Source, day: int, has_copies: bool) -> str:
    """What to write behind FROM for all rows of a day that count, hot and archived."""
    start, end = clock.day_range(day)
    columns = columns_summarized(source)
    which = Fragment(f'"time" >= {start} AND "time" < {end}')
    hot = sql(
        "SELECT {columns} FROM {table} WHERE {which} AND {visible}",
        columns=columns,
        table=source.table.table,
        which=which,
        visible=visible(source.connection, source.table),
    )
    if not has_copies:
        return f"({hot})"
    cold = sql(
        "SELECT {columns} FROM {copies} WHERE {which}",
        columns=columns,
        copies=copies(source),
        which=which,
    )
    return f"({hot} UNION ALL {cold})"


def _there(
    connection: sqlite3.Connection, table: Table, summary: Summary, day: int
) -> dict[Key, Row]:
    """The day's rows as they are, by key."""
    names = [column.name for column in table.stored]
    query = sql("SELECT {names} FROM {table} WHERE {time} = ?", names=names, table=table.name,
                time=TIME)  # fmt: skip
    rows = (dict(zip(names, row, strict=True)) for row in connection.execute(query, _start(day)))
    return {tuple(row[key] for key in summary.by): row for row in rows}


def _why_kept(below: Sequence[Source], there: Mapping[Key, Row], day: int) -> str:
    if not there:
        return ""
    for source in below:
        gone = rows_removed(source.connection, source.table.name, day, "expired")
        if gone:
            return f"{gone} rows of {source.table.name} have expired since; its rows stay"
    return ""


def _put(
    connection: sqlite3.Connection,
    table: Table,
    day: int,
    row: Row,
    number: int | None,
    before: Mapping[str, Any],
) -> None:
    names = [column.name for column in table.columns]
    values = [day * clock.DAY, *(row.get(name) for name in names[1:])]
    if number is None:
        statement = "INSERT INTO {table} ({names}) VALUES ({marks})"
        marks = Fragment(", ".join("?" * len(names)))
        connection.execute(sql(statement, table=table.name, names=names, marks=marks), values)
    elif values != [before[name] for name in names]:
        changes = Fragment(", ".join(sql("{name} = ?", name=name) for name in names))
        statement = sql("UPDATE {table} SET {to} WHERE id = ?", table=table.name, to=changes)
        connection.execute(statement, [*values, number])


def _start(day: int) -> tuple[int]:
    return (day * clock.DAY,)
