"""What SQLite says about a table: columns, keys, indexes, who refers to it, its triggers."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from gateway_assets.errors import ConfigError
from gateway_assets.hot.sql import sql
from gateway_assets.model import Kind

OURS = "gateway_archive_"  # what the archive creates in a database begins with this


class LiveColumn(NamedTuple):
    name: str
    declared: str
    not_null: bool
    key_place: int  # 1 for the first column of the primary key, 0 for none of it
    generated: bool

    @property
    def affinity(self) -> str:
        """After https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
        declared = self.declared.upper()
        if "INT" in declared:
            return "INTEGER"
        if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
            return "TEXT"
        if "BLOB" in declared or not declared:
            return "BLOB"
        if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
            return "REAL"
        return "NUMERIC"


class Reference(NamedTuple):
    """A foreign key of another table that points at this one."""

    child: str
    columns: tuple[str, ...]
    parents: tuple[str, ...]


class Shape(NamedTuple):
    """A table as SQLite describes it."""

    columns: tuple[LiveColumn, ...]
    primary_key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]  # the primary key among them
    indexed: frozenset[str]  # columns that an index begins with
    has_rowid: bool
    integer_key: str  # the column that is the rowid, or nothing
    reuses_ids: bool  # SQLite may give the largest id again once its row is gone
    references: tuple[Reference, ...]
    delete_triggers: tuple[str, ...]
    create: str

    def named(self, name: str) -> LiveColumn:
        return next(column for column in self.columns if column.name == name)


def reflect(connection: sqlite3.Connection, table: str) -> Shape:
    """Read a table's shape. Raises ConfigError for what is no ordinary table."""
    found = connection.execute(
        "SELECT type, sql FROM sqlite_schema WHERE name = ? AND type IN ('table', 'view')", (table,)
    ).fetchone()
    if found is None:
        known = connection.execute(
            "SELECT group_concat(name, ', ') FROM sqlite_schema WHERE type = 'table' "
            "AND name NOT LIKE 'sqlite~_%' ESCAPE '~' AND name NOT LIKE 'gateway~_archive~_%' "
            "ESCAPE '~'"
        ).fetchone()[0]
        raise ConfigError(f"there is no table {table!r} in the database", hint=f"tables: {known}")
    kind, create = found
    if kind == "view":
        raise ConfigError(f"{table!r} is a view", hint="declare the tables below it")
    (kind, without_rowid) = connection.execute(
        "SELECT type, wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,)
    ).fetchone()
    if kind != "table":
        raise ConfigError(f"{table!r} is a {kind} table", hint="only ordinary tables can be tiered")
    columns = _columns(connection, table)
    key = tuple(
        column.name for column in sorted(columns, key=lambda c: c.key_place) if column.key_place
    )
    integer_key = ""
    if not without_rowid and len(key) == 1:
        declared = next(column.declared for column in columns if column.name == key[0])
        integer_key = key[0] if declared.upper() == "INTEGER" else ""
    unique = tuple(_unique(connection, table))
    return Shape(
        columns=columns,
        primary_key=key,
        unique=unique if not integer_key else (key, *unique),
        indexed=_indexed(connection, table) | ({key[0]} if integer_key or without_rowid else set()),
        has_rowid=not without_rowid,
        integer_key=integer_key,
        reuses_ids=bool(integer_key) and "AUTOINCREMENT" not in create.upper(),
        references=tuple(_references(connection, table, key)),
        delete_triggers=_delete_triggers(connection, table),
        create=create,
    )


def _columns(connection: sqlite3.Connection, table: str) -> tuple[LiveColumn, ...]:
    query = 'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid'
    return tuple(
        LiveColumn(name, declared, bool(not_null), place, hidden in {2, 3})
        for name, declared, not_null, place, hidden in connection.execute(query, (table,))
    )


def _unique(connection: sqlite3.Connection, table: str) -> list[tuple[str, ...]]:
    query = 'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial'
    found = []
    for (index,) in connection.execute(query, (table,)).fetchall():
        names = "SELECT name FROM pragma_index_info(?) ORDER BY seqno"
        columns = tuple(name for (name,) in connection.execute(names, (index,)))
        if None not in columns:  # an expression cannot be remembered by its columns
            found.append(columns)
    return found


def _indexed(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    query = """
        SELECT info.name FROM pragma_index_list(?) AS list, pragma_index_info(list.name) AS info
        WHERE info.seqno = 0 AND NOT list.partial AND info.name IS NOT NULL
    """
    return frozenset(name for (name,) in connection.execute(query, (table,)))


def _references(
    connection: sqlite3.Connection, table: str, key: tuple[str, ...]
) -> list[Reference]:
    query = """
        SELECT child.name, fk.id, fk."from", fk."to"
        FROM sqlite_schema AS child, pragma_foreign_key_list(child.name) AS fk
        WHERE child.type = 'table' AND fk."table" = ? COLLATE NOCASE ORDER BY 1, 2, fk.seq
    """
    pairs: dict[tuple[str, int], list[tuple[str, str | None]]] = {}
    for child, number, column, parent in connection.execute(query, (table,)):
        pairs.setdefault((child, number), []).append((column, parent))
    return [
        Reference(
            child,
            tuple(column for column, _ in columns),
            tuple(parent or own for (_, parent), own in zip(columns, key or ("",), strict=False)),
        )
        for (child, _), columns in pairs.items()
    ]


def _delete_triggers(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?"
    return tuple(
        name
        for name, text in connection.execute(query, (table,))
        if not name.startswith(OURS)
        and "DELETE" in " ".join(text.upper().split()).partition(" ON ")[0].split()
    )


def by_affinity(column: LiveColumn) -> Kind | None:
    """The kind that a column's declaration fixes; None where its values must tell."""
    fixed = {"INTEGER": Kind.INTEGER, "TEXT": Kind.TEXT, "REAL": Kind.REAL}
    if column.affinity == "BLOB" and column.declared:
        return Kind.BLOB
    return fixed.get(column.affinity)


def has_index_on(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return column in _indexed(connection, table)


def row_estimate(connection: sqlite3.Connection, table: str, limit: int) -> int:
    """How many rows a table has, counted up to ``limit``."""
    query = sql("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?)", table=table)
    (count,) = connection.execute(query, (limit,)).fetchone()
    return int(count)
