"""Merge the rows that a roll-up has not seen: state by state, day by day.

Loading leaves in ``dirty_buckets`` the range of ids it inserted, by roll-up and day. Draining a
day aggregates exactly those rows, merges them into the rows that are there and deletes the mark,
in one transaction; so a row is merged once, whatever is killed when.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import live_files
from gateway_assets.errors import StoreError
from gateway_assets.hot.dirty import clear, waiting_days, waiting_ids
from gateway_assets.hot.schema import conflict_key
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import writing
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.table import Merge, Rollup, State, Table


@dataclass(slots=True)
class RollupResult:
    """What one run merged."""

    table: str
    days: list[str] = field(default_factory=list)
    merged_rows: int = 0
    restored_days: list[str] = field(default_factory=list)
    seconds: float = 0.0


def drain(
    connection: sqlite3.Connection,
    table: Table,
    settings: Settings,
    days: Collection[int] | None = None,
    progress: Progress = silent,
) -> RollupResult:
    """Bring a roll-up up to date, for all dirty days or for some."""
    started = time.monotonic()
    result = RollupResult(table.name)
    waiting = [day for day in waiting_days(connection, table) if days is None or day in days]
    for number, day in enumerate(waiting, start=1):
        if live_files(connection, table, day):
            UniversalArchiver(connection, settings).restore(table, day, hold_days=0)
            result.restored_days.append(clock.day_text(day))
        with writing(connection):
            _merge_day(connection, table, day, result)
        result.days.append(clock.day_text(day))
        progress(number, len(waiting))
    result.seconds = time.monotonic() - started
    return result


def _merge_day(
    connection: sqlite3.Connection, table: Table, day: int, result: RollupResult
) -> None:
    statement = merge_statement(table)
    for first, last in waiting_ids(connection, table, day):
        start, end = clock.day_range(day)
        values = {"bucket": start, "end": end, "first": first, "last": last}
        connection.execute(statement, values)
        count = _count_statement(table)
        result.merged_rows += connection.execute(count, values).fetchone()[0]
    clear(connection, table, day)


_IN_BUCKET = Fragment('"time" >= :bucket AND "time" < :end AND "id" BETWEEN :first AND :last')


def merge_statement(table: Table) -> str:
    """One statement that aggregates a range of rows below and merges it into the roll-up."""
    rollup = _rollup(table)
    return sql(
        "INSERT INTO {table} ({columns}) SELECT :bucket, {keys}, {states} FROM {below} "
        "WHERE {in_bucket} GROUP BY {keys} ON CONFLICT ({conflict}) DO UPDATE SET {merged}",
        table=table.name,
        columns=[column.name for column in table.columns],
        keys=rollup.by,
        states=Fragment(", ".join(_aggregate(state) for state in rollup.states)),
        below=rollup.below,
        in_bucket=_IN_BUCKET,
        conflict=conflict_key(table),
        merged=Fragment(", ".join(_merged(state) for state in rollup.states)),
    )


def _count_statement(table: Table) -> str:
    below = _rollup(table).below
    return sql("SELECT count(*) FROM {below} WHERE {in_bucket}", below=below, in_bucket=_IN_BUCKET)


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
