"""Hidden rows leave the hot table, after they were compared with the file once more.

Rows go in short transactions with pauses between, so that other writers wait milliseconds and
the write-ahead log stays small. A crash in the middle leaves fewer hidden rows, nothing else.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile, set_state
from gateway_assets.archive.parquet import read_batches
from gateway_assets.errors import ArchiveError
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import reading, writing
from gateway_assets.table import Table

CHUNK_ROWS = 500
PAUSE_SECONDS = 0.01


def prune(connection: sqlite3.Connection, table: Table, file: ArchiveFile, root: Path) -> int:
    """Delete the hot copies of a published file's rows; how many went.

    Raises ArchiveDamaged when the file does not hold what the manifest says, ArchiveError when a
    hot copy differs from it; nothing is deleted then.
    """
    with reading(connection):
        if not _is_subsequence(hidden_rows(connection, table, file), file_rows(file, table, root)):
            raise ArchiveError(
                f"{file.path}: a hot row differs from its archived copy",
                hint="nothing was deleted and the archived copy answers; compare the two rows",
            )
    deleted = 0
    delete = sql(
        'DELETE FROM {table} WHERE "id" IN (SELECT "id" FROM {table} WHERE "time" >= ? '
        'AND "time" < ? AND "id" BETWEEN ? AND ? ORDER BY "time", "id" LIMIT ?)',
        table=table.name,
    )
    while True:
        with writing(connection):
            count = connection.execute(delete, (*_bounds(file), CHUNK_ROWS)).rowcount
            if count < CHUNK_ROWS:
                set_state(connection, file, "archived")
        deleted += count
        if count < CHUNK_ROWS:
            return deleted
        time.sleep(PAUSE_SECONDS)


def hidden_rows(
    connection: sqlite3.Connection, table: Table, file: ArchiveFile
) -> Iterator[tuple[Any, ...]]:
    """The hot copies of a file's rows, in the file's order."""
    query = sql(
        'SELECT {columns} FROM {table} WHERE "time" >= ? AND "time" < ? AND "id" BETWEEN ? AND ? '
        'ORDER BY "time", "id"',
        columns=[column.name for column in table.stored],
        table=table.name,
    )
    return connection.execute(query, _bounds(file))


def file_rows(file: ArchiveFile, table: Table, root: Path) -> Iterator[tuple[Any, ...]]:
    """A file's rows as SQLite holds them: tuples, times as integers."""
    for batch in read_batches(file.below(root), table):
        columns = [
            column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            for column in batch.columns
        ]
        yield from zip(*(column.to_pylist() for column in columns), strict=True)


def _bounds(file: ArchiveFile) -> tuple[int, int, int, int]:
    return (*clock.day_range(file.day), file.first_id, file.last_id)


def _is_subsequence(part: Iterator[Any], whole: Iterator[Any]) -> bool:
    """Whether ``part`` is ``whole`` with nothing but omissions; ``in`` consumes the iterator."""
    return all(row in whole for row in part)
