"""Which hot rows count: all but those whose archived copy has been published already.

After a day is published its rows stay in the hot table, hidden, until they are pruned. Which they
are is told by their time and by the condition under which they were let go; any change of the day
in between takes the publication back (see ``guard``), so nothing newer is ever hidden.
"""

from __future__ import annotations

import sqlite3

from gateway_assets.archive.manifest import FILES
from gateway_assets.hot.sql import Fragment, literal, quoted, sql
from gateway_assets.tiers.catalog import has_table
from gateway_assets.tiers.tiered import Tiered

# Said again as the partial index has it, without which SQLite would look at every file.
_INDEXED = "state IN ('writing', 'published')"


def visible(connection: sqlite3.Connection, table: Tiered) -> Fragment:
    """A condition for WHERE, true for the rows that count, within one read transaction.

    Rows outside the range that hides anything are let through by time alone, so the manifest is
    looked up only for rows that may be hidden.
    """
    if not has_table(connection, FILES):
        return Fragment("1")
    query = f"""
        SELECT time_format, let_go, min(hidden_from), max(hidden_until) FROM {FILES}
        WHERE table_name = ? AND state = 'published' AND {_INDEXED} GROUP BY 1, 2
    """
    terms = [
        _not_hidden(connection, table, row[:2], row[2:])
        for row in connection.execute(query, (table.name,)).fetchall()
    ]
    return Fragment(" AND ".join(terms) or "1")


def count_hidden(connection: sqlite3.Connection, table: Tiered) -> int:
    """How many rows do not count. Only those in the range that hides any are looked at."""
    if not has_table(connection, FILES):
        return 0
    query = f"""
        SELECT min(hidden_from), max(hidden_until) FROM {FILES}
        WHERE table_name = ? AND state = 'published' AND {_INDEXED}
    """
    ends = connection.execute(query, (table.name,)).fetchone()
    hidden = sql(
        "SELECT count(*) FROM {table} WHERE {time} >= ? AND {time} < ? AND NOT ({visible})",
        table=table.table,
        time=table.time,
        visible=visible(connection, table),
    )
    return int(connection.execute(hidden, ends).fetchone()[0])


def _not_hidden(
    connection: sqlite3.Connection,
    table: Tiered,
    rules: tuple[str, str],
    ends: tuple[object, object],
) -> str:
    column = f"{quoted(table.table)}.{quoted(table.time)}"
    low, high = (_constant(connection, value) for value in ends)
    # A name that no table has, so that it means nothing else in anybody's conditions.
    hiding = "gateway_archive_hiding"
    same_day = "" if table.written.is_exact else f" AND {hiding}.day = {table.day_of(column)}"
    return (
        f"(({column} IS NULL OR {column} < {low} OR {column} >= {high}) OR "
        f"NOT ({table.eligible_by(*rules)} AND EXISTS (SELECT 1 FROM {FILES} AS {hiding} "
        f"WHERE {hiding}.table_name = {literal(table.name)} AND {hiding}.state = 'published' "
        f"AND {hiding}.{_INDEXED} "
        f"AND {column} >= {hiding}.hidden_from AND {column} < {hiding}.hidden_until "
        f"AND {hiding}.time_format = {literal(rules[0])} "
        f"AND {hiding}.let_go = {literal(rules[1])}{same_day})))"
    )


def _constant(connection: sqlite3.Connection, value: object) -> str:
    """A raw time as an SQL constant, written by SQLite itself."""
    (text,) = connection.execute("SELECT quote(?)", (value,)).fetchone()
    return str(text)
