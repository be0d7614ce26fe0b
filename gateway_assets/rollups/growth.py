"""What a value at the end of a day grew since the last day that has one.

Days are looked for in both tiers, ``REACH_DAYS`` to either side: what grew in a longer gap says
nothing about a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.source import Source
from gateway_assets.archive.visible import visible
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.rollups.archived import copies
from gateway_assets.table import TIME, Growth, Table

REACH_DAYS = 100


def neighbouring_files(source: Source, day: int) -> list[ArchiveFile]:
    """The files of a summary's other days that may be looked at."""
    start, end = (day - REACH_DAYS) * clock.DAY, (day + REACH_DAYS + 1) * clock.DAY
    found = live_files(source.connection, source.table, start=start, end=end)
    return [file for file in found if file.day != day]


def columns_of_neighbours(table: Table) -> list[str]:
    assert table.summary
    return [TIME, *table.summary.by, *(growth.of for growth in table.summary.growths)]


def growth_of(
    source: Source, table: Table, day: int, row: Mapping[str, Any], has_copies: bool
) -> dict[str, Any]:
    """The columns of a row that tell of growth; NULL without an earlier day to compare with."""
    assert table.summary
    grown: dict[str, Any] = {}
    for growth in table.summary.growths:
        found = _nearest(source, table, growth, day, row, has_copies, back=True)
        value = row.get(growth.of)
        days = day - found[0] if found and value is not None else None
        grown[growth.days] = days
        grown[growth.column] = round((value - found[1]) / days) if found and days else None
    return grown


def days_after(
    source: Source,
    table: Table,
    day: int,
    before: Mapping[str, Any],
    row: Mapping[str, Any],
    has_copies: bool,
) -> set[int]:
    """The later days whose growth is another one because a row of this day changed."""
    assert table.summary
    days = set()
    for growth in table.summary.growths:
        if before.get(growth.of) != row.get(growth.of):
            found = _nearest(source, table, growth, day, row, has_copies, back=False)
            if found:
                days.add(found[0])
    return days


def _nearest(
    source: Source,
    table: Table,
    growth: Growth,
    day: int,
    row: Mapping[str, Any],
    has_copies: bool,
    *,
    back: bool,
) -> tuple[int, Any] | None:
    """The nearest earlier or later day of the same key with a value, and the value."""
    assert table.summary
    by = table.summary.by
    first, last = (day - REACH_DAYS, day - 1) if back else (day + 1, day + REACH_DAYS)
    same = " AND ".join(f"{quoted(key)} IS ?" for key in by)
    which = f'"time" BETWEEN ? AND ? AND {same} AND {quoted(growth.of)} IS NOT NULL'
    query = sql(
        "SELECT {time}, {of} FROM {rows} WHERE {which} ORDER BY {time} {order} LIMIT 1",
        time=TIME,
        of=growth.of,
        which=Fragment(which),
        rows=_rows(source, table, has_copies),
        order=Fragment("DESC" if back else "ASC"),
    )
    params = (first * clock.DAY, last * clock.DAY, *(row[key] for key in by))
    found = source.connection.execute(query, params).fetchone()
    return None if found is None else (clock.day_of(found[0]), found[1])


def _rows(source: Source, table: Table, has_copies: bool) -> Fragment:
    columns = columns_of_neighbours(table)
    hot = sql(
        "SELECT {columns} FROM {table} WHERE {visible}",
        columns=columns,
        table=table.name,
        visible=visible(source.connection, source.table),
    )
    if not has_copies:
        return Fragment(f"({hot})")
    cold = sql("SELECT {columns} FROM {copies}", columns=columns, copies=copies(source))
    return Fragment(f"({hot} UNION ALL {cold})")
