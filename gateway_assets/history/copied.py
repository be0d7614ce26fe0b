"""The tables of the copy in gateway.db, from the registry's models, and its rows.

A copy has the columns, the key and the indexes of the model, and no other rule: what PostgreSQL
has let in must never be refused here, also not what a later release lets in.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex

from gateway_assets.errors import RegistryError
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.registry.alerts import Alert, Transition
from gateway_assets.registry.model import Model
from gateway_assets.registry.upgrade import COPY_PROGRESS
from gateway_assets.registry.users import AuditLog
from gateway_assets.tiers.catalog import has_table

# What is copied, with the column that the archive goes by: its index orders what is read.
COPIED: tuple[tuple[Table, str], ...] = tuple(
    (Model.metadata.tables[model.__tablename__], time)
    for model, time in ((Alert, "fired_at"), (Transition, "event_ns"), (AuditLog, "created_at"))
)
_PROGRESS_DDL = f"""
CREATE TABLE IF NOT EXISTS {COPY_PROGRESS} (
    table_name TEXT PRIMARY KEY, server TEXT NOT NULL, horizon INTEGER NOT NULL,
    refreshed_at INTEGER NOT NULL
)
"""
_DIALECT = sqlite.dialect()

Raw = tuple[Any, ...]


def create(connection: sqlite3.Connection) -> None:
    """Create what is missing, in the caller's transaction; columns that a release added are added.

    Raises RegistryError for a file that is a registry itself.
    """
    if has_table(connection, "alembic_version"):
        raise RegistryError(
            "gateway.db is a registry of its own, not a copy of one",
            hint="registry_url names another: move data/gateway.db away, then run it again",
        )
    connection.execute(_PROGRESS_DDL)
    for table, _ in COPIED:
        connection.execute(_table_ddl(table))
        query = "SELECT name FROM pragma_table_info(?)"
        there = {name for (name,) in connection.execute(query, (table.name,))}
        added = [column for column in table.columns if column.name not in there]
        for column in added:
            add = f"ALTER TABLE {quoted(table.name)} ADD COLUMN {_column_ddl(column)}"
            connection.execute(add)
        if added:  # older rows may have values in it: they are all read again
            connection.execute(f"DELETE FROM {COPY_PROGRESS} WHERE table_name = ?", (table.name,))
        for index in table.indexes:
            made = CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT)
            connection.execute(str(made))


def _table_ddl(table: Table) -> str:
    columns = ", ".join(_column_ddl(column) for column in table.columns)
    return sql(
        "CREATE TABLE IF NOT EXISTS {table} ({columns}, PRIMARY KEY ({key}))",
        table=table.name,
        columns=Fragment(columns),
        key=key_of(table),
    )


def _column_ddl(column: Column[Any]) -> str:
    kind = column.type.dialect_impl(_DIALECT).compile(dialect=_DIALECT)
    return f"{quoted(column.name)} {kind}"


def key_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def as_raw(table: Table) -> Callable[[Sequence[Any]], Raw]:
    """Turns a row of the model into the values that SQLite holds."""
    converters = [_converter(column) for column in table.columns]
    return lambda row: tuple(
        converter(value) for converter, value in zip(converters, row, strict=True)
    )


def _converter(column: Column[Any]) -> Callable[[Any], Any]:
    convert = column.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)

    def converted(value: Any) -> Any:
        raw = value if convert is None or value is None else convert(value)
        # SQLite has no NaN: https://www.sqlite.org/floatingpoint.html
        return None if isinstance(raw, float) and math.isnan(raw) else raw

    return converted


def keys(table: Table, rows: Iterable[Raw]) -> list[Raw]:
    """The keys of rows."""
    names = [column.name for column in table.columns]
    places = [names.index(name) for name in key_of(table)]
    return [tuple(row[place] for place in places) for row in rows]
