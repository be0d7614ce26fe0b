"""What became of a table's columns since its last archived file.

A column keeps its id when it keeps its name, or when another name stands at its place with the
same declared type (ALTER TABLE … RENAME COLUMN leaves both). New columns get new ids; dropped
ones stay known, because archived files have them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.guess import guessed_field
from gateway_assets.tiers.reflect import LiveColumn, Shape


class Drift(NamedTuple):
    """The columns now, those that have gone, and what changed, in words."""

    fields: tuple[Field, ...]
    dropped: tuple[Field, ...]
    changes: tuple[str, ...]


def drift(
    connection: sqlite3.Connection,
    table: str,
    shape: Shape,
    known: tuple[Field, ...],
    gone: tuple[Field, ...],
) -> Drift:
    """Unite the stored columns with those that the table has now."""
    named = {field.name.lower(): field for field in known}
    renamed = _renamed(shape.columns, known)
    following = max((field.id for field in (*known, *gone)), default=0) + 1
    fields: list[Field] = []
    changes: list[str] = []
    for column in shape.columns:
        field = named.get(column.name.lower())
        if field is None and column.name in renamed:
            field = renamed[column.name]
            changes.append(f"column {field.name} is now called {column.name}")
        elif field is None:
            field = guessed_field(connection, table, column, following)
            field = field._replace(default=_default(connection, column))
            following += 1
            changes.append(f"column {column.name} was added")
        fields.append(field._replace(name=column.name, generated=column.generated))
    kept = {field.id for field in fields}
    lost = tuple(field for field in known if field.id not in kept)
    changes += [f"column {field.name} was dropped" for field in lost]
    return Drift(tuple(fields), (*gone, *lost), tuple(changes))


def _renamed(now: Sequence[LiveColumn], before: Sequence[Field]) -> dict[str, Field]:
    """New name -> the column it was, for places where only the name differs."""
    if len(now) < len(before):
        return {}
    there = {column.name.lower() for column in now}
    were = {field.name.lower() for field in before}
    return {
        column.name: field
        for column, field in zip(now, before, strict=False)
        if column.declared == field.declared
        and field.name.lower() not in there
        and column.name.lower() not in were
    }


def _default(connection: sqlite3.Connection, column: LiveColumn) -> int | float | str | None:
    """What rows have that were there before the column: SQLite lets this be a constant only."""
    if column.default is None:
        return None
    try:
        (value,) = connection.execute(
            f"SELECT CAST({column.default} AS {_CASTS.get(column.affinity, 'NUMERIC')})"
        ).fetchone()
    except sqlite3.Error:
        return None
    return value if isinstance(value, int | float | str) else None


_CASTS = {"INTEGER": "NUMERIC", "TEXT": "TEXT", "REAL": "REAL"}
