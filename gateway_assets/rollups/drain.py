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
from gateway_assets.archive.manifest import select
from gateway_assets.errors import Busy, GatewayError, StoreError
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
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def raise_failures(self) -> None:
        """Raise StoreError for the days that failed, after all others were merged."""
        for day, why in self.failed.items():
            raise StoreError(f"{self.table} {day}: {why}", hint="mend that, then: gateway rollup")


ARCHIVED_TRIES = 5


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
        try:
            _drain_day(connection, table, settings, day, result)
        except GatewayError as error:
            # One day whose archive is damaged must not stop the others.
            result.failed[clock.day_text(day)] = error.message
        progress(number, len(waiting))
    result.seconds = time.monotonic() - started
    return result


def _drain_day(
    connection: sqlite3.Connection,
    table: Table,
    settings: Settings,
    day: int,
    result: RollupResult,
) -> None:
    for _ in range(ARCHIVED_TRIES):
        with writing(connection):
            # Looked at under the write lock: an archiver may publish the day at any other time.
            if not _is_archived(connection, table, day):
                result.merged_rows += _merge_day(connection, table, day)
                result.days.append(clock.day_text(day))
                return
        UniversalArchiver(settings).restore(table, [day], hold_days=0)
        result.restored_days.append(clock.day_text(day))
    raise Busy(f"{table.name} {clock.day_text(day)} is archived again and again", hint="try again")


def _is_archived(connection: sqlite3.Connection, table: Table, day: int) -> bool:
    """Whether rows of a day are (also) in a file; merging must find all of them in the table."""
    return bool(
        select(
            connection,
            "table_name = ? AND day = ? AND state IN ('published', 'archived')",
            [table.name, day],
        )
    )


def _merge_day(connection: sqlite3.Connection, table: Table, day: int) -> int:
    """Merge what is waiting for a day and clear its marks; how many rows were merged."""
    merge, count = merge_statement(table), _count_statement(table)
    start, end = clock.day_range(day)
    rows = 0
    for first, last in waiting_ids(connection, table, day):
        values = {"bucket": start, "end": end, "first": first, "last": last}
        connection.execute(merge, values)
        rows += connection.execute(count, values).fetchone()[0]
    clear(connection, table, day)
    return rows


# NOT INDEXED: by id, which is the rows' own order. By the index on time, every range of ids would
# look at the whole day.
_IN_BUCKET = Fragment('"time" >= :bucket AND "time" < :end AND "id" BETWEEN :first AND :last')


def merge_statement(table: Table) -> str:
    """One statement that aggregates a range of rows below and merges it into the roll-up."""
    rollup = _rollup(table)
    return sql(
        "INSERT INTO {table} ({columns}) SELECT :bucket, {keys}, {states} FROM {below} NOT INDEXED "
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
    return sql(
        "SELECT count(*) FROM {below} NOT INDEXED WHERE {in_bucket}",
        below=below,
        in_bucket=_IN_BUCKET,
    )


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
