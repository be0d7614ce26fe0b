"""Opening the hot database, transactions, and SQLite's refusals as errors with a hint.

Only the standard library's sqlite3 opens this file: a second SQLite library in the process would
drop this one's locks (https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets.errors import Busy, StoreError
from gateway_assets.files.appear import explained, make_directory
from gateway_assets.hot.schema import create_all

BUSY_SECONDS = 30.0
_BUSY_PAUSE = 0.01


@contextmanager
def open_store(path: Path, *, any_thread: bool = False) -> Iterator[sqlite3.Connection]:
    """The hot database, created with all its tables when it is not there yet.

    Raises StoreError and Busy.
    """
    with opened(path, create_all, any_thread=any_thread) as connection:
        connection.execute("PRAGMA foreign_keys=ON")
        yield connection


@contextmanager
def opened(
    path: Path, create: Callable[[sqlite3.Connection], None], *, any_thread: bool = False
) -> Iterator[sqlite3.Connection]:
    """A database of this project; ``create`` makes the tables that are not there yet.

    WAL, so that readers never wait; synchronous=FULL, so that what a commit published is on
    disk before any other copy of it may go. Raises StoreError and Busy.
    """
    with explained(path):
        make_directory(path.parent)
    with translated(path):
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=not any_thread
        )
        try:
            _switch_to_wal(connection)
            connection.execute("PRAGMA synchronous=FULL")
            create(connection)
            yield connection
        finally:
            connection.close()


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Wait here for others that open a fresh database, too: SQLite does not wait for the lock that
    the switch needs where that might be a deadlock, https://www.sqlite.org/c3ref/busy_handler.html.
    """
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or time.monotonic() >= deadline:
                raise
            time.sleep(_BUSY_PAUSE)
        else:
            return


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction: the lock is taken at once, all of it commits or none."""
    with _transaction(connection, "BEGIN IMMEDIATE"):
        yield


@contextmanager
def writing_lightly(connection: sqlite3.Connection) -> Iterator[None]:
    """One write transaction that a power failure may take back, whole; never a crash of a process.

    In WAL mode it costs no fsync, and the next ``writing`` makes it durable with its own:
    https://www.sqlite.org/pragma.html#pragma_synchronous
    """
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        with writing(connection):
            yield
        return
    connection.execute("PRAGMA synchronous=NORMAL")
    try:
        with writing(connection):
            yield
    finally:
        connection.execute("PRAGMA synchronous=FULL")


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    """One read transaction: every query inside sees the same state."""
    with _transaction(connection, "BEGIN DEFERRED"):
        yield


@contextmanager
def _transaction(connection: sqlite3.Connection, begin: str) -> Iterator[None]:
    connection.execute(begin)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors about the file itself, in words that say what to do."""
    try:
        yield
    except sqlite3.Error as error:
        primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DBMOVED:
            raise StoreError(
                f"{path} was replaced or removed while it was in use",
                hint="nothing more was changed; run the same command again",
            ) from error
        if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise Busy(f"{path} is locked by another process", hint="try again") from error
        hint = _HINTS.get(primary)
        if hint is None:
            raise
        raise StoreError(f"{path}: {error}", hint=hint) from error


_HINTS = {
    sqlite3.SQLITE_FULL: "the disk is full: free space, then run the same command again",
    sqlite3.SQLITE_READONLY: "check the owner and mode of the data directory",
    sqlite3.SQLITE_PERM: "check the owner and mode of the data directory",
    sqlite3.SQLITE_CANTOPEN: "check the owner and mode of the data directory",
    sqlite3.SQLITE_IOERR: "check the disk (dmesg), then run the same command again",
    sqlite3.SQLITE_NOTADB: "this is not a SQLite file: restore it from a backup",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: restore it from a backup",
}
