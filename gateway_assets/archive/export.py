"""A day becomes a file: written beside its place, compared with the hot rows, then published.

    1  read the day's visible rows in one snapshot, write them, fsync
    2  compare file and hot rows value by value in a second snapshot
    3  in that same transaction: manifest row (publish and hide), final name, COMMIT

Steps 2 and 3 are settled (see ``hot.store.settle``): nothing can change between comparison and
commit, and as long as nobody writes meanwhile the write lock is held for milliseconds only.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.facts import FactsTaker
from gateway_assets.archive.manifest import Facts
from gateway_assets.archive.parquet import (
    arrow_batches,
    arrow_schema,
    read_batches,
    write_parquet,
)
from gateway_assets.archive.verify import file_sha256
from gateway_assets.errors import ArchiveError
from gateway_assets.files.appear import (
    explained,
    make_directory,
    partial_path,
    sync_directory,
)
from gateway_assets.hot.dirty import dirty_days
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import reading, settle
from gateway_assets.hot.visible import visible
from gateway_assets.table import Table

CHANGED_TRIES = 3


class Source(NamedTuple):
    """Where rows come from and where files go."""

    connection: sqlite3.Connection
    table: Table
    root: Path
    batch_size: int


class Exported(NamedTuple):
    rows: int
    size: int
    path: str


class _RowsChangedError(Exception):
    """The hot rows are not those that were written."""


def export_day(source: Source, day: int) -> Exported | None:
    """Archive the visible rows of a day.

    None when there is nothing to archive, or when the rows changed each time they were written:
    then they all are where they were. Raises LandingError when the disk refuses.
    """
    for _ in range(CHANGED_TRIES):
        target = source.root / part_path(source.table, day)
        partial = partial_path(target)
        with explained(target):
            try:
                facts = _write(source, day, partial)
                return _publish(source, day, facts, (partial, target)) if facts.rows else None
            except _RowsChangedError:
                continue
            finally:
                partial.unlink(missing_ok=True)
    return None


def part_path(table: Table, day: int) -> str:
    """A new file name for a day, relative to the archive's root; never the same twice."""
    year, month, number = clock.day_text(day).split("-")
    name = f"part-{clock.compact(clock.now())}-{secrets.token_hex(4)}.parquet"
    return f"{table.name}/year={year}/month={month}/day={number}/{name}"


def _write(source: Source, day: int, partial: Path) -> Facts:
    make_directory(partial.parent)
    taker = FactsTaker(source.table)
    with reading(source.connection), partial.open("wb") as file:
        write_parquet(file, taker.passing(_visible_batches(source, day)), source.table)
        file.flush()
        os.fsync(file.fileno())
    return taker.taken()


def _publish(source: Source, day: int, facts: Facts, names: tuple[Path, Path]) -> Exported:
    partial, target = names
    size, sha256 = partial.stat().st_size, file_sha256(partial)
    path = str(target.relative_to(source.root))

    def compare_and_publish() -> None:
        _compare(source, day, partial, facts)
        manifest.publish(
            source.connection, source.table, day, path, facts, size=size, sha256=sha256
        )
        partial.rename(target)
        sync_directory(target.parent)

    with _named_on_commit(partial, target):
        settle(source.connection, compare_and_publish)
    return Exported(facts.rows, size, path)


class _named_on_commit(AbstractContextManager[None]):  # noqa: N801  reads like a function
    """Take the final name back when the transaction around it does not commit."""

    def __init__(self, partial: Path, target: Path) -> None:
        self._partial, self._target = partial, target

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and self._target.exists():
            self._target.rename(self._partial)


def _compare(source: Source, day: int, partial: Path, facts: Facts) -> None:
    """Read the file back and the hot rows again; both must be what was written."""
    if day in dirty_days(source.connection, source.table):
        raise _RowsChangedError  # pruned before they were rolled up, late rows would not count
    taker = FactsTaker(source.table)
    written = taker.passing(read_batches(partial, source.table))
    for there, here in zip_longest(written, _visible_batches(source, day)):
        if here is None or there is None or not there.equals(here):
            raise _RowsChangedError
    if taker.taken() != facts:
        raise ArchiveError(f"{partial} does not read back as it was written", hint="check the disk")


def _visible_batches(source: Source, day: int) -> Iterator[pa.RecordBatch]:
    query = sql(
        'SELECT {columns} FROM {table} WHERE "time" >= ? AND "time" < ? AND {visible} '
        'ORDER BY "time", "id"',
        columns=[column.name for column in source.table.stored],
        table=source.table.name,
        visible=visible(source.connection, source.table),
    )
    cursor = source.connection.execute(query, clock.day_range(day))
    return arrow_batches(cursor, arrow_schema(source.table), source.batch_size)
