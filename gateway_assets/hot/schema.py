"""The tables of the hot database, built from the declarations.

``loaded_files``   the ledger: one row per landing file whose rows are in, with its sums
``loaded_days``    of files that were loaded before: one row per writer and day
``dirty_buckets``  per roll-up and day: which rows it has not merged yet; per summary: the days

The archive adds its own tables to this and to any other database, see ``archive.manifest``.
"""

from __future__ import annotations

import sqlite3

from gateway_assets.errors import StoreError
from gateway_assets.hot.dirty import mark_all, mark_later_columns, mark_later_key
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
    loaded_at INTEGER NOT NULL,
    facts TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS loaded_files_time ON loaded_files (table_name, loaded_at);

CREATE TABLE IF NOT EXISTS loaded_days (
    prefix TEXT NOT NULL,
    table_name TEXT NOT NULL,
    rows INTEGER NOT NULL,
    sums TEXT NOT NULL,
    counters TEXT,
    tails BLOB NOT NULL,
    crc32s BLOB NOT NULL,
    PRIMARY KEY (prefix, table_name)
) STRICT;

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
    """Create what is missing. Raises StoreError when a table differs from its declaration.

    Columns that a new release appended are added; a roll-up or summary that it brought, or brought
    a key or columns to, is told of the rows that are there already. All of it happens in one
    transaction.
    """
    if _is_current(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in filter(str.strip, _SYSTEM.split(";\n")):
        connection.execute(statement)
    if not _has_facts(connection):
        connection.execute("ALTER TABLE loaded_files ADD COLUMN facts TEXT")
    for table in TABLES:
        _bring_up_to_date(connection, table)
    connection.execute("COMMIT")


def _is_current(connection: sqlite3.Connection) -> bool:
    found = _schema(connection)
    return (
        {"dirty_buckets", "loaded_days", "loaded_files_time"} <= found.keys()
        and _has_facts(connection)
        and all(
            _columns(connection, table) == _declared(table)
            and all(found.get(name) == text for name, text in _indexes(table).items())
            for table in TABLES
        )
    )


def _has_facts(connection: sqlite3.Connection) -> bool:
    """Since files tell about their writers."""
    query = "SELECT 1 FROM pragma_table_info('loaded_files') WHERE name = 'facts'"
    return connection.execute(query).fetchone() is not None


def _bring_up_to_date(connection: sqlite3.Connection, table: Table) -> None:
    """Under the write lock: another process may have done it since the schema was looked at."""
    is_new = table.name not in _schema(connection)
    if not is_new:
        is_new = _drop_unused(connection, table)
    if is_new:
        connection.execute(_table_ddl(table))
    appended = _append_columns(connection, table)
    _compare(connection, table)
    found = _schema(connection)
    for name, text in _indexes(table).items():
        if found.get(name) != text:
            connection.execute(sql("DROP INDEX IF EXISTS {index}", index=name))
            connection.execute(text)
    if is_new and table.below:
        mark_all(connection, table)
    elif appended and table.summary:
        mark_later_columns(connection, table)
    elif table.rollup:
        for key in appended:
            mark_later_key(connection, table, table.rollup, key)


def _drop_unused(connection: sqlite3.Connection, table: Table) -> bool:
    """Drop a table that never had a row and has other columns, not only fewer or more at its end:
    nobody misses what an older release had there.
    """
    if all(
        one == other
        for one, other in zip(_columns(connection, table), _declared(table), strict=False)
    ):
        return False
    query = "SELECT 1 FROM sqlite_sequence WHERE name = ?"
    if connection.execute(query, (table.name,)).fetchone():
        return False
    connection.execute(sql("DROP TABLE {table}", table=table.name))
    return True


def _schema(connection: sqlite3.Connection) -> dict[str, str | None]:
    """What SQLite keeps of the statements that created tables and indexes, by name."""
    return dict(connection.execute("SELECT name, sql FROM sqlite_schema").fetchall())


def _table_ddl(table: Table) -> str:
    return sql(
        'CREATE TABLE {table} ("id" INTEGER PRIMARY KEY AUTOINCREMENT, {columns}) STRICT',
        table=table.name,
        columns=Fragment(", ".join(_column_ddl(column) for column in table.columns)),
    )


def _indexes(table: Table) -> dict[str, str]:
    """The statements that create a table's indexes, by name, as SQLite keeps them."""
    time, key = f"{table.name}_time", f"{table.name}_key"
    create = "INDEX {index} ON {table} ({columns})"
    statements = {
        time: "CREATE " + sql(create, index=time, table=table.name, columns=Fragment('"time"'))
    }
    if table.below:
        columns = conflict_key(table)
        statements[key] = "CREATE UNIQUE " + sql(
            create, index=key, table=table.name, columns=columns
        )
    return statements


def conflict_key(table: Table) -> Fragment:
    """The key of a roll-up's bucket. NULL counts as one value, apart from every text."""
    keys = (quoted(key) for key in table.by)
    return Fragment(", ".join(['"time"', *(f"COALESCE({key}, x'00')" for key in keys)]))


def _column_ddl(column: Column) -> str:
    null = "" if column.nullable else " NOT NULL"
    return f"{quoted(column.name)} {_TYPES[column.kind]}{null}"


def _append_columns(connection: sqlite3.Connection, table: Table) -> list[str]:
    """Add those that a new release appended to a table of an older one; their names."""
    there = _columns(connection, table)
    appended = []
    for column in table.stored[len(there) :]:
        if column.nullable and column.name not in dict(there):
            add = sql(
                "ALTER TABLE {table} ADD COLUMN {column}",
                table=table.name,
                column=Fragment(_column_ddl(column)),
            )
            connection.execute(add)
            appended.append(column.name)
    return appended


def _columns(connection: sqlite3.Connection, table: Table) -> list[tuple[str, str]]:
    query = "SELECT name, type FROM pragma_table_info(?)"
    return connection.execute(query, (table.name,)).fetchall()


def _declared(table: Table) -> list[tuple[str, str]]:
    return [(column.name, _TYPES[column.kind]) for column in table.stored]


def _compare(connection: sqlite3.Connection, table: Table) -> None:
    if _columns(connection, table) != _declared(table):
        raise StoreError(
            f"table {table.name} has other columns than this release declares",
            hint="use the release that wrote this data directory, or another GATEWAY_DATA_DIR; "
            f"where its rows may go: sqlite3 hot.db 'DROP TABLE {table.name}'",
        )
