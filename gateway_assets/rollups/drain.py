"""Merge the rows that a roll-up has not seen: state by state, day by day.

Loading leaves in ``dirty_buckets`` the range of ids it inserted, by roll-up and day. Draining a
day aggregates exactly those rows, merges them into the rows that are there and deletes the mark,
in one transaction; so a row is merged once, whatever is killed when.

A roll-up that is younger than its rows begins with marks for all of them, the archived ones too.
A day of which keys of rows have changed is grouped again, after that.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import count_removed, select
from gateway_assets.archive.source import Source
from gateway_assets.archive.totals import expected_sums, removed
from gateway_assets.archive.visible import visible
from gateway_assets.errors import ArchiveDamaged, Busy, GatewayError, StoreError
from gateway_assets.hot.dirty import AGAIN, FROM_THE_START, clear, waiting_days, waiting_ids
from gateway_assets.hot.schema import conflict_key
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import reading, writing
from gateway_assets.progress import Progress, silent
from gateway_assets.rollups.archived import (
    COPIES,
    answers,
    copy_rows,
    forget_rows,
    waiting_files,
)
from gateway_assets.rollups.groups import GROUPS, begin_groups, replace_groups
from gateway_assets.settings import Settings
from gateway_assets.table import TIME, Merge, Rollup, State, Table
from gateway_assets.tiers.catalog import find, tiered


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


TRIES = 5


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
    below = tiered(connection, find(settings, _rollup(table).below), settings)
    source = Source(connection, below, settings.archive)
    waiting = [day for day in waiting_days(connection, table) if days is None or day in days]
    for number, day in enumerate(waiting, start=1):
        try:
            _drain_day(source, table, settings, day, result)
        except GatewayError as error:
            # One day whose archive is damaged must not stop the others.
            result.failed[clock.day_text(day)] = error.message
        progress(number, len(waiting))
    forget_rows(connection)
    result.seconds = time.monotonic() - started
    return result


def _drain_day(
    source: Source, table: Table, settings: Settings, day: int, result: RollupResult
) -> None:
    connection = source.connection
    for _ in range(TRIES):
        copied = _copy_archived(source, table, day)
        with writing(connection):
            # Looked at under the write lock: an archiver may publish the day at any other time.
            archived = _is_archived(connection, table, day)
            if not archived and copied == _archived_below(source, table, day):
                result.merged_rows += _merge_day(source, table, settings, day, bool(copied))
                result.days.append(clock.day_text(day))
                return
        if archived:
            UniversalArchiver(settings).restore(table, [day], hold_days=0)
            result.restored_days.append(clock.day_text(day))
    raise Busy(f"{table.name} {clock.day_text(day)} is archived again and again", hint="try again")


Answers = list[tuple[int, str, object]]


def _copy_archived(source: Source, table: Table, day: int) -> Answers:
    """Copy the archived ones of the rows that wait; which files were read.

    Before the write lock is taken, because reading files takes its time.
    """
    with reading(source.connection):
        files = waiting_files(source, day, waiting_ids(source.connection, table, day))
    if files:
        try:
            copy_rows(source, files, _columns_below(table))
        except ArchiveDamaged:
            # A file that was swapped meanwhile has gone; its rows are in another one.
            if answers(files) == _archived_below(source, table, day):
                raise
    return answers(files)


def _archived_below(source: Source, table: Table, day: int) -> Answers:
    return answers(waiting_files(source, day, waiting_ids(source.connection, table, day)))


def _is_archived(connection: sqlite3.Connection, table: Table, day: int) -> bool:
    """Whether rows of a day are (also) in a file; merging must find all of them in the table."""
    return bool(
        select(
            connection,
            "table_name = ? AND day = ? AND state IN ('published', 'archived')",
            [table.name, day],
        )
    )


def _merge_day(source: Source, table: Table, settings: Settings, day: int, has_copies: bool) -> int:
    """Merge what is waiting for a day and clear its marks; how many rows were merged."""
    connection, below = source.connection, source.table
    hot = Fragment(visible(connection, below))
    start, end = clock.day_range(day)

    def merge(into: str, first: int, last: int) -> int:
        ids = {"start": start, "end": end, "first": first, "last": last}
        rows = _merge(connection, table, into, _hot_rows(below.table, first), hot, ids)
        if has_copies:
            rows += _merge(connection, table, into, COPIES, Fragment("1"), ids)
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


def _columns_below(table: Table) -> list[str]:
    """The columns that merging looks at."""
    rollup = _rollup(table)
    states = (state.of for state in rollup.states if state.of)
    return list(dict.fromkeys(["id", TIME, *rollup.by, *states]))


def _count_removed(source: Source, table: Table, settings: Settings, day: int) -> None:
    """What was removed below before the roll-up could see it counts as removed from it, too."""
    gone = removed(source.connection, source.table, day)
    upper = tiered(source.connection, find(settings, table), settings)
    sums = expected_sums(_rollup(table), gone)
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
