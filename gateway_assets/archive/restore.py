"""A day comes back to the hot table: pruning read backwards.

    1  the file is marked 'published', so that hot copies of its rows are hidden
    2  the rows that are missing in hot are inserted, in short paced transactions
    3  compared one by one, the file is retired and its rows show, in one transaction

At every moment either the file or the hot rows answer, never both and never neither.
"""

from __future__ import annotations

import sqlite3
import time
from itertools import islice, zip_longest
from pathlib import Path

from gateway_assets.archive import prune
from gateway_assets.archive.manifest import ArchiveFile, live_files, set_state
from gateway_assets.archive.prune import file_rows, hidden_rows
from gateway_assets.archive.verify import damage
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.hot.store import reading, settle, writing
from gateway_assets.table import Table


def restore_day(
    connection: sqlite3.Connection, table: Table, day: int, root: Path, hold_until: int
) -> int:
    """Bring all archived rows of a day back to hot; how many came.

    The day is not archived again before ``hold_until`` (a moment; 0 holds nothing). Raises
    ArchiveDamaged when a file is not what the manifest says; the archive stays as it was.
    """
    files = live_files(connection, table, day)
    for file in files:
        found = damage(file, table, root)
        if found:
            raise ArchiveDamaged(found, hint="take the file from a backup, then restore again")
    for file in files:
        _copy_missing(connection, table, file, root)

    def compare_and_show() -> None:
        for file in files:
            _compare(connection, table, file, root)
        for file in files:
            set_state(connection, file, "retired")
        if hold_until:
            connection.execute(
                "INSERT OR REPLACE INTO archive_holds VALUES (?, ?, ?)",
                (table.name, day, hold_until),
            )

    settle(connection, compare_and_show)
    return sum(file.rows for file in files)


def _copy_missing(
    connection: sqlite3.Connection, table: Table, file: ArchiveFile, root: Path
) -> None:
    with reading(connection):
        present = {row[0] for row in hidden_rows(connection, table, file)}
    if file.state == "archived":
        with writing(connection):
            set_state(connection, file, "published")
    missing = (row for row in file_rows(file, table, root) if row[0] not in present)
    columns = [column.name for column in table.stored]
    insert = sql(
        "INSERT INTO {table} ({columns}) VALUES ({marks})",
        table=table.name,
        columns=columns,
        marks=Fragment(", ".join("?" * len(columns))),
    )
    while chunk := list(islice(missing, prune.CHUNK_ROWS)):
        with writing(connection):
            connection.executemany(insert, chunk)
        time.sleep(prune.PAUSE_SECONDS)


def _compare(connection: sqlite3.Connection, table: Table, file: ArchiveFile, root: Path) -> None:
    pairs = zip_longest(hidden_rows(connection, table, file), file_rows(file, table, root))
    for hot, cold in pairs:
        if hot != cold:
            raise ArchiveDamaged(
                f"{file.path}: row {(cold or hot)[0]} differs between archive and hot table",
                hint=f"the archive still answers; see: gateway archive verify {table.name}",
            )
