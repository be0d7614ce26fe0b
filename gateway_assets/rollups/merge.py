"""Merge the rows that a roll-up has not seen: state by state.

Loading leaves in ``dirty_buckets`` the range of ids it inserted, by roll-up and day. Exactly those
rows are aggregated and merged into the rows that are there, so a row is merged once. A day of which
keys have changed is grouped again, after that.
"""

from __future__ import annotations

import sqlite3

from gateway_assets import clock
from gateway_assets.archive.manifest import count_removed
from gateway_assets.archive.source import Source
from gateway_assets.archive.totals import expected_sums, removed
from gateway_assets.archive.visible import visible
from gateway_assets.errors import StoreError
from gateway_assets.hot.dirty import AGAIN, FROM_THE_START, clear, waiting_ids
from gateway_assets.hot.schema import conflict_key
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.rollups.archived import copies
from gateway_assets.rollups.groups import GROUPS, begin_groups, replace_groups
from gateway_assets.settings import Settings
from gateway_assets.table import TIME, Merge, Rollup, State, Table
from gateway_assets.tiers.catalog import find, tiered


def merge_day(source: Source, table: Table, settings: Settings, day: int, has_copies: bool) -> int:
    """Merge what is waiting for a day and clear its marks; how many rows were merged."""
    connection, below = source.connection, source.table
    hot = Fragment(visible(connection, below))
    start, end = clock.day_range(day)

    def merge(into: str, first: int, last: int) -> int:
        ids = {"start": start, "end": end, "first": first, "last": last}
        rows = _merge(connection, table, into, _hot_rows(below.table, first), hot, ids)
        if has_copies:
            rows += _merge(connection, table, into, copies(source), Fragment("1"), ids)
        return rows

    rows = 0
    # From the highest id down: what is to be grouped again must have been merged before.
    for first, last in sorted(waiting_ids(connection, table, day), reverse=True):
        if first == AGAIN:
            begin_groups(connection, table)
            merge(GROUPS, first, last)
            replace_groups(connection, table, day)
            continue
        rows += merge(table.name, first, last)
        if first == FROM_THE_START:
            _count_removed(source, table, settings, day)
    clear(connection, table, day)
    return rows


def _hot_rows(table: str, first: int) -> Fragment:
    """A late file's few rows are found by id, which is the rows' own order: by the index on time,
    every range of ids would look at the whole day. All rows of the day are found by time.
    """
    if first <= FROM_THE_START:
        return Fragment(sql("{table} INDEXED BY {index}", table=table, index=f"{table}_time"))
    return Fragment(sql("{table} NOT INDEXED", table=table))


def _merge(
    connection: sqlite3.Connection,
    table: Table,
    into: str,
    rows: Fragment,
    also: Fragment,
    ids: dict[str, int],
) -> int:
    connection.execute(merge_statement(table, into, rows, also), ids)
    count = sql("SELECT count(*) FROM {rows} WHERE {which}", rows=rows, which=_which(also))
    (number,) = connection.execute(count, ids).fetchone()
    return int(number)


def merge_statement(table: Table, into: str, rows: Fragment, also: Fragment) -> str:
    """One statement that aggregates a range of rows below and merges it into the roll-up, or into
    another table of its columns.
    """
    rollup = _rollup(table)
    width = rollup.bucket.width
    return sql(
        "INSERT INTO {into} ({columns}) SELECT {bucket}, {keys}, {states} FROM {rows} "
        "WHERE {which} GROUP BY {bucket}, {keys} ON CONFLICT ({conflict}) DO UPDATE SET {merged}",
        into=into,
        columns=[TIME, *rollup.by, *(state.column.name for state in rollup.states)],
        bucket=Fragment(f"{quoted(TIME)} / {width} * {width}"),
        keys=rollup.by,
        states=Fragment(", ".join(_aggregate(state) for state in rollup.states)),
        rows=rows,
        which=_which(also),
        conflict=conflict_key(table),
        merged=Fragment(", ".join(_merged(state) for state in rollup.states)),
    )


def _which(also: Fragment) -> Fragment:
    range_of_day = '"time" >= :start AND "time" < :end AND "id" BETWEEN :first AND :last'
    return Fragment(f"{range_of_day} AND {also}")


def columns_below(table: Table) -> list[str]:
    """The columns that merging looks at."""
    rollup = _rollup(table)
    states = (state.of for state in rollup.states if state.of)
    return list(dict.fromkeys(["id", TIME, *rollup.by, *states]))


def _count_removed(source: Source, table: Table, settings: Settings, day: int) -> None:
    """What was removed below before the roll-up could see it counts as removed from it, too."""
    gone = removed(source.connection, source.table, day)
    upper = tiered(source.connection, find(settings, table), settings)
    sums = expected_sums(table, gone)
    count_removed(source.connection, upper, day, "before the roll-up", gone.rows, sums)


def _aggregate(state: State) -> str:
    return "count(*)" if state.merge is Merge.COUNT else f"{state.merge}({quoted(state.of)})"


def _merged(state: State) -> str:
    name = quoted(state.column.name)
    if state.merge in {Merge.SUM, Merge.COUNT}:
        return f"{name} = {name} + excluded.{name}"
    return f"{name} = {state.merge}({name}, excluded.{name})"


def _rollup(table: Table) -> Rollup:
    if table.rollup is None:
        raise StoreError(f"table {table.name} is not rolled up from another")
    return table.rollup
