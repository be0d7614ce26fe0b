"""Which hot rows count: all but those whose archived copy has been published already.

After a day is published its rows stay in the hot table, hidden, until they are pruned. They are
known by the day and the range of ids that the manifest names.
"""

from __future__ import annotations

import sqlite3

from gateway_assets import clock
from gateway_assets.hot.sql import Fragment, literal, sql
from gateway_assets.table import Table

_NOT_HIDDEN = """(
    "time" < {start} OR "time" >= {end} OR NOT EXISTS (
        SELECT 1 FROM archive_files AS file
        WHERE file.table_name = {name} AND file.state = 'published'
          AND file.day = {table}."time" / 86400000000
          AND {table}."id" BETWEEN file.first_id AND file.last_id
    )
)"""


def visible(connection: sqlite3.Connection, table: Table) -> Fragment:
    """A condition for WHERE, true for the rows that count, within one read transaction.

    Days outside those that hide anything are let through by time alone, so the manifest is
    looked up only for rows that may be hidden.
    """
    query = """
        SELECT min(day), max(day) FROM archive_files WHERE table_name = ? AND state = 'published'
    """
    first, last = connection.execute(query, (table.name,)).fetchone()
    if first is None:
        return Fragment("1")
    return Fragment(
        sql(
            _NOT_HIDDEN,
            table=table.name,
            name=literal(table.name),
            start=Fragment(clock.day_range(first)[0]),
            end=Fragment(clock.day_range(last)[1]),
        )
    )
