"""A table read through a view that describes its rows, with columns of other tables.

The view shows every row of the table exactly once, under the names of the table's columns, and
adds columns by a join. What it adds is answered and archived as it shows it at that moment, and
never written back: to everything behind, an added column is a generated one.
"""

from __future__ import annotations

import sqlite3

from gateway_assets.errors import ConfigError
from gateway_assets.tiers.reflect import LiveColumn, Shape, live_columns


def described(connection: sqlite3.Connection, shape: Shape, view: str) -> Shape:
    """A table's shape with the columns of its view. Raises ConfigError for an unusable view."""
    if shape.rowid and not shape.integer_key:
        raise ConfigError(
            f"it cannot be read through view {view!r}: nothing but its rowid tells rows apart",
            hint="a view needs a table WITHOUT ROWID, or with an INTEGER PRIMARY KEY",
        )
    there = {column.name.lower() for column in _view_columns(connection, view)}
    for column in shape.columns:
        if column.name.lower() not in there:
            raise ConfigError(
                f"view {view!r} does not show column {column.name!r}",
                hint="it needs every column of the table under its own name",
            )
    return shape._replace(columns=(*shape.columns, *_added(connection, shape.columns, view)))


def columns_now(connection: sqlite3.Connection, table: str, view: str) -> list[str]:
    """The names of a table's columns and of those that its view adds, as they are now."""
    columns = live_columns(connection, table)
    added = _added(connection, columns, view) if view else ()
    return [column.name for column in (*columns, *added)]


def _added(
    connection: sqlite3.Connection, columns: tuple[LiveColumn, ...], view: str
) -> tuple[LiveColumn, ...]:
    own = {column.name.lower() for column in columns}
    return tuple(
        column._replace(generated=True)
        for column in _view_columns(connection, view)
        if column.name.lower() not in own
    )


def _view_columns(connection: sqlite3.Connection, view: str) -> tuple[LiveColumn, ...]:
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'view' AND name = ?"
    if connection.execute(query, (view,)).fetchone() is None:
        raise ConfigError(
            f"there is no view {view!r} in the database", hint="create it, or correct the line"
        )
    try:
        return live_columns(connection, view)
    except sqlite3.OperationalError as error:
        raise ConfigError(
            f"view {view!r} cannot be read: {error}", hint="create it again"
        ) from None
