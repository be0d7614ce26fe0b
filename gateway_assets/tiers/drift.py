"""What became of a table's columns since its last archived file.

A column keeps its id when it keeps its name, or when another name stands at its place with the
same declared type (ALTER TABLE … RENAME COLUMN leaves both). New columns get new ids; dropped
ones stay known, because archived files have them.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.guess import guessed_field
from gateway_assets.tiers.reflect import Shape


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
    named = {field.name: field for field in known}
    names = [column.name for column in shape.columns]
    renamed = _renamed(names, [field.name for field in known])
    following = max((field.id for field in (*known, *gone)), default=0) + 1
    fields: list[Field] = []
    changes: list[str] = []
    for column in shape.columns:
        field = named.get(column.name)
        if field is None and column.name in renamed:
            old = named[renamed[column.name]]
            field = old._replace(name=column.name)
            changes.append(f"column {old.name} is now called {column.name}")
        elif field is None:
            field = guessed_field(connection, table, column, following)
            following += 1
            changes.append(f"column {column.name} was added")
        fields.append(field)
    kept = {field.id for field in fields}
    lost = tuple(field for field in known if field.id not in kept)
    changes += [f"column {field.name} was dropped" for field in lost]
    return Drift(tuple(fields), (*gone, *lost), tuple(changes))


def _renamed(now: list[str], before: list[str]) -> dict[str, str]:
    """New name -> old name, for places where only the name differs."""
    if len(now) < len(before):
        return {}
    return {
        new: old
        for new, old in zip(now, before, strict=False)
        if new != old and old not in now and new not in before
    }
