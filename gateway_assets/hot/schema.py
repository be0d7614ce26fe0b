"""The tables of the hot database, built from the declarations.

``loaded_files``   the ledger: one row per landing file whose rows are in, with its sums
``dirty_buckets``  per roll-up and day: which rows it has not merged yet

The archive adds its own tables to this and to any other database, see ``archive.manifest``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from gateway_assets.errors import StoreError
from gateway_assets.hot.sql import Fragment, quoted, sql
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
        _append_columns(connection, table)
        _compare(connection, table)


def ddl(table: Table) -> Iterator[str]:
    """The statements that create a declared table, and its indexes."""
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


def conflict_key(table: Table) -> Fragment:
    """The key of a roll-up's bucket. NULL counts as one value, apart from every text."""
    keys = [quoted(key) for key in table.rollup.by] if table.rollup else []
    return Fragment(", ".join(['"time"', *(f"COALESCE({key}, x'00')" for key in keys)]))


def _column_ddl(column: Column) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {_TYPES[column.kind]}{null}"


def _is_complete(connection: sqlite3.Connection) -> bool:
    found = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    wanted = {f"{table.name}_time" for table in TABLES} | {"dirty_buckets"}
    return wanted <= found


def _append_columns(connection: sqlite3.Connection, table: Table) -> None:
    """Add those that a new release appended to a table of an older one."""
    for column in table.stored[len(_columns(connection, table)) :]:
        if column.nullable:
            add = sql(
                "ALTER TABLE {table} ADD COLUMN {column}",
                table=table.name,
                column=Fragment(_column_ddl(column)),
            )
            try:
                connection.execute(add)
            except sqlite3.OperationalError as error:
                if "duplicate column" not in str(error):  # another process was faster
                    raise


def _columns(connection: sqlite3.Connection, table: Table) -> list[tuple[str, str]]:
    query = "SELECT name, type FROM pragma_table_info(?)"
    return connection.execute(query, (table.name,)).fetchall()


def _compare(connection: sqlite3.Connection, table: Table) -> None:
    wanted = [(column.name, _TYPES[column.kind]) for column in table.stored]
    if _columns(connection, table) != wanted:
        raise StoreError(
            f"table {table.name} has other columns than this release declares",
            hint="use the release that wrote this data directory, or another GATEWAY_DATA_DIR",
        )
