"""The tables of the hot database, built from the declarations.

``loaded_files``   the ledger: one row per landing file whose rows are in, with its sums
``dirty_buckets``  per roll-up and day: which rows it has not merged yet
``archive_files``  the manifest: which Parquet file holds which rows of which day
``archive_holds``  days that were restored and stay hot until a given time

The manifest lives here because one transaction must publish a file and hide its hot rows, and
SQLite commits atomically only within one file when it runs in WAL mode.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gateway_assets.errors import StoreError
from gateway_assets.hot.sql import Fragment, literal, quoted, sql
from gateway_assets.model import Column, Kind
from gateway_assets.table import Table
from gateway_assets.tables import TABLES

_SYSTEM = """
CREATE TABLE IF NOT EXISTS loaded_files (
    name TEXT PRIMARY KEY,
    table_name TEXT NOT NULL,
    first_id INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    sums TEXT NOT NULL,
    crc32 TEXT NOT NULL,
    complete INTEGER NOT NULL,
    size INTEGER NOT NULL,
    loaded_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS dirty_buckets (
    rollup TEXT NOT NULL,
    day INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    PRIMARY KEY (rollup, day, first_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS archive_files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    day INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('published', 'archived', 'retired')),
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    columns TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    hash_algorithm TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    published_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS archive_files_day ON archive_files (table_name, day, state);

CREATE TABLE IF NOT EXISTS archive_holds (
    table_name TEXT NOT NULL,
    day INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (table_name, day)
) STRICT, WITHOUT ROWID;
"""

_TYPES = {Kind.TIME: "INTEGER", Kind.INTEGER: "INTEGER", Kind.REAL: "REAL", Kind.TEXT: "TEXT"}


def create_all(connection: sqlite3.Connection) -> None:
    """Create what is missing. Raises StoreError when a table differs from its declaration."""
    if not _is_complete(connection):
        statements = [*_SYSTEM.split(";\n"), *(text for table in TABLES for text in ddl(table))]
        connection.execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, statements):
            connection.execute(statement)
        connection.execute("COMMIT")
    for table in TABLES:
        _compare(connection, table)


def ddl(table: Table) -> Iterator[str]:
    """The statements that create a declared table, its indexes and its guard."""
    yield sql(
        'CREATE TABLE IF NOT EXISTS {table} ("id" INTEGER PRIMARY KEY AUTOINCREMENT, {columns}) '
        "STRICT",
        table=table.name,
        columns=Fragment(", ".join(_column_ddl(column) for column in table.columns)),
    )
    yield sql(
        'CREATE INDEX IF NOT EXISTS {index} ON {table} ("time")',
        index=f"{table.name}_time",
        table=table.name,
    )
    if table.rollup:
        yield sql(
            "CREATE UNIQUE INDEX IF NOT EXISTS {index} ON {table} ({key})",
            index=f"{table.name}_key",
            table=table.name,
            key=conflict_key(table),
        )
    yield sql(_GUARD, trigger=f"{table.name}_guard", table=table.name, name=literal(table.name))


# A row that is already in a published Parquet file must not change unnoticed.
_GUARD = """
CREATE TRIGGER IF NOT EXISTS {trigger} BEFORE UPDATE ON {table}
WHEN EXISTS (
    SELECT 1 FROM archive_files
    WHERE table_name = {name} AND state = 'published'
      AND day = OLD."time" / 86400000000 AND OLD."id" BETWEEN first_id AND last_id
)
BEGIN SELECT RAISE(ABORT, 'the row is archived: restore its day first'); END
"""


def conflict_key(table: Table) -> Fragment:
    """The key of a roll-up's bucket. NULL counts as one value, apart from every text."""
    keys = [quoted(key) for key in table.rollup.by] if table.rollup else []
    return Fragment(", ".join(['"time"', *(f"COALESCE({key}, x'00')" for key in keys)]))


def _column_ddl(column: Column) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {_TYPES[column.kind]}{null}"


def _is_complete(connection: sqlite3.Connection) -> bool:
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    wanted = {f"{table.name}_guard" for table in TABLES} | {"archive_holds"}
    return wanted <= found


def _compare(connection: sqlite3.Connection, table: Table) -> None:
    query = "SELECT name, type FROM pragma_table_info(?)"
    found = connection.execute(query, (table.name,)).fetchall()
    wanted = [(column.name, _TYPES[column.kind]) for column in table.stored]
    if found != wanted:
        raise StoreError(
            f"table {table.name} has other columns than this release declares",
            hint="use the release that wrote this data directory, or another GATEWAY_DATA_DIR",
        )
