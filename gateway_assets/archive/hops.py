"""The first and the last time of a table's rows, by seeks.

An index that begins with the time is asked at once. A primary key of which the time is the second
column is asked once for each value of the first, its lead: SQLite skips from one of them to the
next, but only where its statistics say that each has many rows,
https://www.sqlite.org/optoverview.html#the_skip_scan_optimization. So a table may do without an
index on the time, which can be as large as the table itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.tiers.tiered import Tiered


def lead(connection: sqlite3.Connection, table: Tiered) -> str:
    """The column before the time in the primary key, when SQLite skips from value to value of it;
    nothing when an index begins with the time, or when every row would be looked at.
    """
    key = table.shape.primary_key
    if table.time in table.shape.indexed or key[1:2] != (table.time,):
        return ""
    query = sql(
        "EXPLAIN QUERY PLAN SELECT 1 FROM {table} WHERE {time} >= ? AND {time} < ?",
        table=table.table,
        time=table.time,
    )
    plan = connection.execute(query, (0, 1)).fetchall()
    return key[0] if any(f"(ANY({key[0]})" in step for *_, step in plan) else ""


def is_sought(connection: sqlite3.Connection, table: Tiered) -> bool:
    """Whether SQLite finds a range of times without a look at every row."""
    return table.time in table.shape.indexed or bool(lead(connection, table))


def first_time(
    connection: sqlite3.Connection, table: Tiered, condition: str, params: Sequence[Any]
) -> Any:
    """The least raw time of the rows that meet a condition on the time; None when none does."""
    return _end(connection, table, "min", condition, params)


def last_time(
    connection: sqlite3.Connection, table: Tiered, condition: str, params: Sequence[Any]
) -> Any:
    """The largest."""
    return _end(connection, table, "max", condition, params)


def _end(
    connection: sqlite3.Connection,
    table: Tiered,
    which: str,
    condition: str,
    params: Sequence[Any],
) -> Any:
    leading = lead(connection, table)
    if leading:
        # Conditions name the table's columns by its own name, so nothing else may have it here.
        template = (
            "SELECT {which}((SELECT {which}({time}) FROM {table} "
            "WHERE {table}.{lead} IS gateway_archive_leads.{lead} AND {condition})) "
            "FROM (SELECT DISTINCT {lead} FROM {table}) AS gateway_archive_leads"
        )
    else:
        template = "SELECT {which}({time}) FROM {table} WHERE {condition}"
    query = sql(
        template,
        which=Fragment(which),
        time=table.time,
        table=table.table,
        lead=leading,
        condition=Fragment(condition),
    )
    return connection.execute(query, params).fetchone()[0]
