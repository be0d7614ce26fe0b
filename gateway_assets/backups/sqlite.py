"""A database that others are writing, copied by SQLite's online backup, https://sqlite.org/backup.html.

A live database is never opened as a file: closing it again would drop the locks that this process
holds on it (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks). The copy is read
``immutable``, so that nothing appears beside it and its bytes stay those that were hashed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from gateway_assets.archive.backup import damage
from gateway_assets.backups.place import folder_for, settled
from gateway_assets.errors import BackupError
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import BUSY_SECONDS, translated

_PAGES = 2048  # copied between two calls of ``progress``


def copy_database(source: Path, target: Path, progress: Callable[[float], object]) -> None:
    """Copy a database as of one moment; ``progress`` gets the share that is done.

    One read transaction spans the copy, so no commit, however many there are, makes it begin
    again. In WAL mode nobody waits for it; in the older modes writers wait until it ends.

    Raises StoreError, Busy, and BackupError when the copy does not pass SQLite's check.
    """
    folder_for(target)
    with (
        translated(source),
        closing(_connected(source, "mode=rw")) as live,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # It is synced when it is whole; a half one is thrown away.
        copy.execute("PRAGMA synchronous=OFF")
        copy.execute("PRAGMA journal_mode=OFF")
        live.execute("BEGIN")
        live.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        live.backup(
            copy,
            pages=_PAGES,
            progress=lambda _, remaining, total: progress(1 - remaining / max(total, 1)),
        )
        live.execute("COMMIT")
    settled(target)
    with opened_copy(target) as copy:
        found = damage(copy)
    if found:
        raise BackupError(
            f"{source}: its copy fails SQLite's check: {found}",
            hint="the database is damaged: see PRAGMA integrity_check",
        )


@contextmanager
def opened_copy(path: Path) -> Iterator[sqlite3.Connection]:
    """A copy that nobody writes. Raises StoreError."""
    with translated(path), closing(_connected(path, "mode=ro&immutable=1")) as connection:
        yield connection


def _connected(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def rows_by_table(connection: sqlite3.Connection) -> dict[str, int]:
    """How many rows each table has; virtual tables need modules that may not be here."""
    names = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name"
    ).fetchall()
    return {
        name: connection.execute(sql("SELECT count(*) FROM {table}", table=name)).fetchone()[0]
        for (name,) in names
    }
