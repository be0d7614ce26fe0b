"""Kinds and time formats from a table's first and last rows, where the declaration is silent.

A guess is made once, when a table is first seen; from the first archived file on it is kept in
the database. A later value that does not fit widens the column (see ``fields``).
"""

from __future__ import annotations

import re
import sqlite3
from typing import Any

from gateway_assets.errors import ConfigError
from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import WHOLE_END, Field
from gateway_assets.tiers.reflect import LiveColumn, Shape, by_affinity
from gateway_assets.tiers.times import (
    DATE,
    FORMATS,
    ISO,
    ISO_OFFSET,
    TimeFormat,
    spelled_format,
)

SAMPLE_ROWS, LOOKED_AT = 500, 100_000
_TIME_NAMES = ("created_at", "timestamp", "time", "ts", "date", "updated_at", "at")
_TIME_LIKE = re.compile(r"(^|_)(at|time|date|timestamp|ts|until|since|seen)$")
# A number's size tells its unit: each bound lies in the year 5138 of the unit before it.
_UNITS = ((10**11, "epoch_s"), (10**14, "epoch_ms"), (10**17, "epoch_us"), (2**63, "epoch_ns"))


def time_column(shape: Shape, named: str) -> str:
    """The column that says when a row happened. Raises ConfigError when none stands out."""
    names = [column.name for column in shape.columns]
    if named:
        if named not in names:
            raise ConfigError(f"there is no column {named!r}", hint=f"columns: {', '.join(names)}")
        return named
    lowered = {name.lower(): name for name in names}
    for usual in _TIME_NAMES:
        if usual in lowered:
            return lowered[usual]
    raise ConfigError(
        "no column looks like the time of a row", hint='say which it is: time = "column"'
    )


def time_format(
    connection: sqlite3.Connection, table: str, column: str, *, is_integer: bool = False
) -> TimeFormat:
    """How moments are written in a column. Raises ConfigError when its values tell nothing."""
    values = _sample(connection, table, column)
    if not values:
        # An empty table: nothing is archived by this guess, and the first rows will tell.
        return FORMATS["epoch_s"] if is_integer else ISO
    found = _format_of(values)
    if found is None:
        shown = ", ".join(repr(value)[:40] for value in values[:3]) or "no values"
        raise ConfigError(
            f"column {column!r} holds no times that are understood: {shown}",
            hint=f"give time_format, one of: {', '.join(FORMATS)}; or another column as time",
        )
    return found


def guessed_fields(
    connection: sqlite3.Connection, table: str, shape: Shape, time: str, written: TimeFormat
) -> tuple[Field, ...]:
    """All columns with the kinds to begin with."""
    fields = []
    for number, column in enumerate(shape.columns, start=1):
        kind, spelling = _kind(connection, table, column, time, written)
        fields.append(
            Field(number, column.name, kind, spelling, True, column.generated, column.declared)
        )
    return tuple(fields)


def guessed_field(
    connection: sqlite3.Connection, table: str, column: LiveColumn, number: int
) -> Field:
    """One column that was added later."""
    kind, spelling = _kind(connection, table, column, "", ISO)
    return Field(number, column.name, kind, spelling, True, column.generated, column.declared)


def _kind(
    connection: sqlite3.Connection,
    table: str,
    column: LiveColumn,
    time: str,
    written: TimeFormat,
) -> tuple[Kind, str]:
    if column.name == time:
        return written.kind, written.name if written.kind is Kind.TIME else ""
    fixed = by_affinity(column)
    dated = "DATE" in column.declared.upper() or "TIME" in column.declared.upper()
    if fixed is not None and not (fixed is Kind.TEXT and _TIME_LIKE.search(column.name.lower())):
        return fixed, ""
    values = _sample(connection, table, column.name)
    types = {type(value) for value in values}
    if types == {str}:
        spelling = spelled_format(values)
        return (Kind.TIME, spelling.name) if spelling else (Kind.TEXT, "")
    if not types:
        return (fixed or (Kind.TEXT if dated else Kind.INTEGER)), ""
    return (fixed or _kind_of_numbers(column, values, types)), ""


def _kind_of_numbers(column: LiveColumn, values: list[Any], types: set[type]) -> Kind:
    """Of values in a column that may hold any type."""
    if types == {bytes}:
        return Kind.BLOB
    fractions = any(word in column.declared.upper() for word in ("DEC", "NUM", "MONEY"))
    if types == {int} and not (fractions and all(abs(value) < WHOLE_END for value in values)):
        return Kind.INTEGER
    numeric = column.affinity == "NUMERIC" or types == {float}
    return Kind.REAL if types <= {int, float} and numeric else Kind.ANY


def _format_of(values: list[Any]) -> TimeFormat | None:
    numbers = sorted(value for value in values if isinstance(value, int | float))
    texts = [value for value in values if isinstance(value, str)]
    if len(numbers) > len(texts):
        middle = numbers[len(numbers) // 2]
        if any(isinstance(value, float) for value in numbers):
            return FORMATS["epoch_s_real"] if 0 <= middle < 10**11 else None
        if middle < 0:
            return None
        return next(FORMATS[name] for bound, name in _UNITS if middle < bound)
    good = [text for text in texts if ISO.day(text) is not None]
    if len(good) * 2 <= len(texts):
        return None
    if all(len(text) == 10 for text in good):
        return DATE
    if any(re.search(r"[+-]\d\d:\d\d$", text[10:]) for text in good):
        if spelled := spelled_format(good):
            return spelled
        return ISO_OFFSET
    return spelled_format(good) or ISO


def _sample(connection: sqlite3.Connection, table: str, column: str) -> list[Any]:
    """Values from the table's first and last rows, without NULLs, never reading it all."""
    # Views, and tables WITHOUT ROWID, have no order that costs nothing: their first rows must do.
    orders = ("ORDER BY rowid", "ORDER BY rowid DESC") if _has_rowid(connection, table) else ("",)
    values = []
    for order in orders:
        query = sql(
            "SELECT {column} FROM (SELECT {column} FROM {table} {order} LIMIT ?) "
            "WHERE {column} IS NOT NULL LIMIT ?",
            column=column,
            table=table,
            order=Fragment(order),
        )
        try:
            values += [v for (v,) in connection.execute(query, (LOOKED_AT, SAMPLE_ROWS))]
        except sqlite3.OperationalError:
            # Text that is no UTF-8: the raw bytes tell as much.
            raw = sql(
                "SELECT CAST({column} AS BLOB) FROM {table} WHERE {column} IS NOT NULL LIMIT ?",
                column=column,
                table=table,
            )
            values += [v for (v,) in connection.execute(raw, (SAMPLE_ROWS,))]
    return values


def _has_rowid(connection: sqlite3.Connection, table: str) -> bool:
    query = "SELECT type = 'table' AND NOT wr FROM pragma_table_list(?) WHERE schema = 'main'"
    return bool(connection.execute(query, (table,)).fetchone()[0])
