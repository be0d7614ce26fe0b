"""Bring what is made from other tables up to date, day by day: roll-ups and summaries.

Loading leaves marks in ``dirty_buckets``. What a mark asks for and clearing it happen in one
transaction, so whatever is killed when, nothing is merged twice and no day is forgotten.

A table that is younger than its rows begins with marks for all of them, the archived ones too.
A day of which keys of rows have changed is grouped again, after that.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import ArchiveFile, select
from gateway_assets.archive.source import Source
from gateway_assets.errors import ArchiveDamaged, Busy, GatewayError, StoreError
from gateway_assets.hot.dirty import waiting_days, waiting_ids
from gateway_assets.hot.store import reading, writing
from gateway_assets.progress import Progress, silent
from gateway_assets.rollups.archived import answers, copy_rows, forget_rows, waiting_files
from gateway_assets.rollups.growth import columns_of_neighbours, neighbouring_files
from gateway_assets.rollups.merge import columns_below, merge_day
from gateway_assets.rollups.summarize import (
    Computed,
    columns_summarized,
    compute_day,
    is_of_now,
    put_day,
)
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tiers.catalog import find, tiered


@dataclass(slots=True)
class RollupResult:
    """What one run did. ``kept`` are days that stay as they are, and why."""

    table: str
    days: list[str] = field(default_factory=list)
    merged_rows: int = 0  # of the table below, into a roll-up
    computed_rows: int = 0  # of a summary
    restored_days: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
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
    """Bring a roll-up or a summary up to date, for all dirty days or for some.

    Days after these whose growth changes by it are brought right, too.
    """
    started = time.monotonic()
    result = RollupResult(table.name)
    sources = _sources(connection, table, settings)
    waiting = [day for day in waiting_days(connection, table) if days is None or day in days]
    done = 0
    while waiting:
        day, *waiting = waiting
        try:
            following = _drain_day(sources, table, settings, day, result)
            waiting = sorted({*waiting, *following})
        except GatewayError as error:
            # One day whose archive is damaged must not stop the others.
            result.failed[clock.day_text(day)] = error.message
        done += 1
        progress(done, done + len(waiting))
    for source in sources:
        forget_rows(source)
    result.seconds = time.monotonic() - started
    return result


def _sources(connection: sqlite3.Connection, table: Table, settings: Settings) -> list[Source]:
    """What has to be read: the tables below and, for growth, a summary's own other days."""
    if not table.below:
        raise StoreError(f"table {table.name} is not made from another")
    names = [*table.below, *([table.name] if table.summary else [])]
    return [
        Source(connection, tiered(connection, find(settings, name), settings), settings.archive)
        for name in names
    ]


def _drain_day(
    sources: Sequence[Source], table: Table, settings: Settings, day: int, result: RollupResult
) -> set[int]:
    """Bring one day up to date; later days that have to follow."""
    connection = sources[0].connection
    for tries_left in reversed(range(TRIES)):
        copied = [_copy_archived(source, table, day) for source in sources]
        # Beside other writers; the last time under the lock, or a day of which rows come all the
        # time would never be done.
        computed = _computed(sources, table, day, copied) if table.summary and tries_left else None
        with writing(connection):
            # Looked at under the write lock: an archiver may publish the day at any other time.
            archived = _is_archived(connection, table, day)
            if (
                not archived
                and copied == [_archived(source, table, day) for source in sources]
                and (computed is None or is_of_now(sources[-1], table, day, computed))
            ):
                following = _bring(sources, table, settings, day, copied, computed, result)
                result.days.append(clock.day_text(day))
                return following
        if archived:
            UniversalArchiver(settings).restore(table, [day], hold_days=0)
            result.restored_days.append(clock.day_text(day))
    raise Busy(f"{table.name} {clock.day_text(day)} is archived again and again", hint="try again")


Answers = list[tuple[int, str, object]]


def _computed(
    sources: Sequence[Source], table: Table, day: int, copied: Sequence[Answers]
) -> Computed:
    with reading(sources[0].connection):
        return compute_day(sources, table, day, [bool(files) for files in copied])


def _bring(
    sources: Sequence[Source],
    table: Table,
    settings: Settings,
    day: int,
    copied: Sequence[Answers],
    computed: Computed | None,
    result: RollupResult,
) -> set[int]:
    """What a day's marks ask for, in the caller's transaction; later days that have to follow."""
    if table.rollup:
        (source,) = sources
        result.merged_rows += merge_day(source, table, settings, day, bool(copied[0]))
        return set()
    has_copies = [bool(files) for files in copied]
    computed = computed or compute_day(sources, table, day, has_copies)
    summarized = put_day(sources, table, day, has_copies, computed)
    result.computed_rows += summarized.rows
    if summarized.kept:
        result.kept[clock.day_text(day)] = summarized.kept
    return summarized.following


def _copy_archived(source: Source, table: Table, day: int) -> Answers:
    """Copy the archived ones of the rows that are looked at; which files were read.

    Before the write lock is taken, because reading files takes its time.
    """
    with reading(source.connection):
        files = _files(source, table, day)
    if files:
        try:
            copy_rows(source, files, _columns(source, table))
        except ArchiveDamaged:
            # A file that was swapped meanwhile has gone; its rows are in another one.
            if answers(files) == _archived(source, table, day):
                raise
    return answers(files)


def _archived(source: Source, table: Table, day: int) -> Answers:
    return answers(_files(source, table, day))


def _files(source: Source, table: Table, day: int) -> list[ArchiveFile]:
    if source.table.name == table.name:
        return neighbouring_files(source, day)
    return waiting_files(source, day, waiting_ids(source.connection, table, day))


def _columns(source: Source, table: Table) -> list[str]:
    if source.table.name == table.name:
        return columns_of_neighbours(table)
    return columns_summarized(source) if table.summary else columns_below(table)


def _is_archived(connection: sqlite3.Connection, table: Table, day: int) -> bool:
    """Whether rows of a day are (also) in a file; merging must find all of them in the table."""
    return bool(
        select(
            connection,
            "table_name = ? AND day = ? AND state IN ('published', 'archived')",
            [table.name, day],
        )
    )
