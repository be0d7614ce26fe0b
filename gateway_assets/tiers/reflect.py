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
    default: str | None  # an SQL expression

    @property
    def affinity(self) -> str:
        return affinity(self.declared)


def affinity(declared: str) -> str:
    """After https://www.sqlite.org/datatype3.html#determination_of_column_affinity"""
    declared = declared.upper()
    if "INT" in declared:
        return "INTEGER"
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if "BLOB" in declared or declared in {"", "ANY"}:  # ANY keeps every type in STRICT tables
        return "BLOB"
    if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


class Reference(NamedTuple):
    """A foreign key of another table that points at this one."""

    child: str
    columns: tuple[str, ...]
    parents: tuple[str, ...]


class Key(NamedTuple):
    """The columns of a UNIQUE constraint, and how their texts are compared."""

    columns: tuple[str, ...]
    collations: tuple[str, ...]


class Shape(NamedTuple):
    """A table as SQLite describes it."""

    columns: tuple[LiveColumn, ...]
    primary_key: tuple[str, ...]
    unique: tuple[Key, ...]  # the primary key among them
    indexed: frozenset[str]  # columns that an index begins with
    rowid: str  # the name by which the rowid can be asked for, or nothing
    integer_key: str  # the column that is the rowid, or nothing
    reuses_ids: bool  # SQLite may give the largest id again once its row is gone
    references: tuple[Reference, ...]
    triggers: tuple[tuple[str, str], ...]  # of the application: event and name
    create: str

    @property
    def is_referred_to_wrongly(self) -> bool:
        """Whether a foreign key points at columns without a UNIQUE constraint: SQLite then fails
        every DELETE while it watches over foreign keys.
        """
        unique = {frozenset(key.columns) for key in self.unique}
        return any(frozenset(reference.parents) not in unique for reference in self.references)


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
    columns = live_columns(connection, table)
    rowid = "" if without_rowid else _rowid(columns)
    key = tuple(
        column.name for column in sorted(columns, key=lambda c: c.key_place) if column.key_place
    )
    integer_key = ""
    if not without_rowid and len(key) == 1:
        declared = next(column.declared for column in columns if column.name == key[0])
        integer_key = key[0] if declared.upper() == "INTEGER" else ""
    unique = tuple(_unique(connection, table))
    own_key = (Key(key, ("BINARY",)),) if integer_key else ()
    return Shape(
        columns=columns,
        primary_key=key,
        unique=(*own_key, *unique),
        indexed=_indexed(connection, table) | ({key[0]} if integer_key or without_rowid else set()),
        rowid=rowid,
        integer_key=integer_key,
        reuses_ids=bool(integer_key) and "AUTOINCREMENT" not in create.upper(),
        references=tuple(_references(connection, table, key)),
        triggers=_triggers(connection, table),
        create=create,
    )


def live_columns(connection: sqlite3.Connection, table: str) -> tuple[LiveColumn, ...]:
    """The columns of a table or view as they are now.

    A view's columns have the types of the columns they show; what it computes has none.
    """
    query = """
        SELECT name, type, "notnull", pk, hidden, dflt_value FROM pragma_table_xinfo(?) ORDER BY cid
    """
    return tuple(
        LiveColumn(name, declared, bool(not_null), place, hidden in {2, 3}, default)
        for name, declared, not_null, place, hidden, default in connection.execute(query, (table,))
    )


def _rowid(columns: tuple[LiveColumn, ...]) -> str:
    taken = {column.name.lower() for column in columns}
    return next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), "")


def _unique(connection: sqlite3.Connection, table: str) -> list[Key]:
    query = 'SELECT name FROM pragma_index_list(?) WHERE "unique" AND NOT partial'
    found = []
    for (index,) in connection.execute(query, (table,)).fetchall():
        parts = "SELECT name, coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno"
        columns = connection.execute(parts, (index,)).fetchall()
        if all(name is not None for name, _ in columns):  # an expression cannot be remembered
            names, collations = zip(*columns, strict=True)
            found.append(Key(names, collations))
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


def _triggers(connection: sqlite3.Connection, table: str) -> tuple[tuple[str, str], ...]:
    query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ?"
    found = []
    for name, text in connection.execute(query, (table,)):
        said = set(" ".join(text.upper().split()).partition(" ON ")[0].split())
        if not name.startswith(OURS):
            found += [(event, name) for event in ("DELETE", "INSERT") if event in said]
    return tuple(found)


def by_affinity(column: LiveColumn) -> Kind | None:
    """The kind that a column's declaration fixes; None where its values must tell."""
    fixed = {"INTEGER": Kind.INTEGER, "TEXT": Kind.TEXT, "REAL": Kind.REAL}
    if "BLOB" in column.declared.upper() and column.affinity == "BLOB":
        return Kind.BLOB
    return fixed.get(column.affinity)


def has_index_on(connection: sqlite3.Connection, table: str, column: str) -> bool:
    return column in _indexed(connection, table)


def row_estimate(connection: sqlite3.Connection, table: str, limit: int) -> int:
    """How many rows a table has, counted up to ``limit``."""
    query = sql("SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT ?)", table=table)
    (count,) = connection.execute(query, (limit,)).fetchone()
    return int(count)
