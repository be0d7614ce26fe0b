"""Dirty buckets: which rows, by day, a roll-up has not merged yet, or has by keys that changed, and
which days of a summary are to be computed again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from gateway_assets import clock
from gateway_assets.hot.sql import Fragment, literal, sql
from gateway_assets.model import INT64_MAX
from gateway_assets.table import Rollup, Table
from gateway_assets.tables import rollups_of

# Ids begin at 1; a mark from here on stands for all rows that were there before the roll-up.
FROM_THE_START = 0
# A mark from here on says that rows which are merged already are to be grouped again.
AGAIN = -1


def mark(connection: sqlite3.Connection, table: Table, ranges: dict[int, tuple[int, int]]) -> None:
    """Tell what is made from a table which ids of which day it has not seen."""
    for above in rollups_of(table.name):
        if above.summary:
            mark_days(connection, above, ranges)
        else:
            connection.executemany(
                "INSERT INTO dirty_buckets VALUES (?, ?, ?, ?)",
                ((above.name, day, *ids) for day, ids in ranges.items()),
            )


def mark_days(connection: sqlite3.Connection, summary: Table, days: Iterable[int]) -> None:
    """Have days of a summary computed again: one mark a day, that stands for all rows below.

    A mark that is made again is another one, so who computes beside other writers can tell. It ends
    at a random number beyond all ids, because one that counts would begin again once it is cleared.
    """
    connection.executemany(
        "INSERT OR REPLACE INTO dirty_buckets VALUES (?, ?, ?, ? - (random() & 0xffffffff))",
        ((summary.name, day, FROM_THE_START, INT64_MAX) for day in days),
    )


def mark_all(connection: sqlite3.Connection, table: Table) -> None:
    """Tell a roll-up or summary that has just been created of every row that was there before it.

    Call it in the transaction that creates the table, so that it happens once. Also days of which
    nothing is left are marked: what was removed of them still counts when sums are compared.
    """
    if table.summary:
        mark_days(connection, table, days_below(connection, table))
        return
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    row = connection.execute(query, table.below).fetchone()
    if row is None:
        return
    connection.executemany(
        "INSERT INTO dirty_buckets VALUES (?, ?, ?, ?)",
        ((table.name, day, FROM_THE_START, row[0]) for day in days_below(connection, table)),
    )


def mark_again(connection: sqlite3.Connection, table: Table, day: int) -> None:
    """Tell each roll-up of a table that keys of a day's rows have changed.

    Call it in the transaction that changes them.
    """
    for above in rollups_of(table.name):
        if above.rollup:
            _mark_again(connection, above, day)


def mark_later_key(connection: sqlite3.Connection, table: Table, rollup: Rollup, key: str) -> None:
    """Tell a roll-up that a key has come of all days whose rows have values of it.

    Call it in the transaction that adds the column. Days without keep the NULL that they have.
    """
    days = {
        *_hot_days_with(connection, rollup.below, key),
        *_archive_days_with(connection, rollup.below, key),
    }
    for day in sorted(days):
        _mark_again(connection, table, day)


def mark_later_columns(connection: sqlite3.Connection, summary: Table) -> None:
    """Tell a summary that columns have come of all days of which there are rows below.

    Call it in the transaction that adds them. Other days keep the NULL that they have.
    """
    days: set[int] = set()
    for name in summary.below:
        days.update(_hot_days(connection, name), _file_days(connection, name))
    mark_days(connection, summary, sorted(days))


def _mark_again(connection: sqlite3.Connection, rollup: Table, day: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO dirty_buckets VALUES (?, ?, ?, ?)",
        (rollup.name, day, AGAIN, INT64_MAX),
    )


def days_below(connection: sqlite3.Connection, table: Table) -> list[int]:
    """The days of which there are, or were, rows below, hot or archived."""
    days: set[int] = set()
    for name in table.below:
        days.update(_hot_days(connection, name), _archive_days(connection, name))
    return sorted(days)


def _hot_days(connection: sqlite3.Connection, table: str) -> list[int]:
    """The days of a table's rows: one index seek a day."""
    query = sql(
        """
        WITH RECURSIVE days (day) AS (
            SELECT min("time") / :width FROM {table} UNION ALL
            SELECT (SELECT min("time") FROM {table} WHERE "time" >= (day + 1) * :width) / :width
            FROM days WHERE day IS NOT NULL
        )
        SELECT day FROM days WHERE day IS NOT NULL
        """,
        table=table,
    )
    return [day for (day,) in connection.execute(query, {"width": clock.DAY})]


def _hot_days_with(connection: sqlite3.Connection, table: str, column: str) -> list[int]:
    """The days of which a row has a value in this column."""
    query = sql(
        'SELECT EXISTS (SELECT 1 FROM {table} WHERE "time" >= ? AND "time" < ? AND {column} '
        "IS NOT NULL)",
        table=table,
        column=column,
    )
    return [
        day
        for day in _hot_days(connection, table)
        if connection.execute(query, clock.day_range(day)).fetchone()[0]
    ]


def _archive_days_with(connection: sqlite3.Connection, table: str, column: str) -> list[int]:
    """The days of which an archived row has a value, by the NULLs that the manifest counts."""
    if not _has_archive(connection):
        return []
    query = """
        SELECT DISTINCT day FROM gateway_archive_files
        WHERE table_name = ? AND state IN ('published', 'archived')
            AND json_extract(columns, ?) < rows
    """
    nulls = f'$."{column}"[2]'
    return [day for (day,) in connection.execute(query, (table, nulls))]


def _has_archive(connection: sqlite3.Connection) -> bool:
    """By the archive's tables' names: it stands above this package."""
    known = "SELECT 1 FROM sqlite_schema WHERE name = 'gateway_archive_removed'"
    return connection.execute(known).fetchone() is not None


def _archive_days(connection: sqlite3.Connection, table: str) -> set[int]:
    """The days that the archive knows, also those of which nothing is left."""
    if not _has_archive(connection):
        return set()
    query = "SELECT day FROM gateway_archive_removed WHERE table_name = ?"
    removed = {day for (day,) in connection.execute(query, (table,))}
    return removed | _file_days(connection, table)


def _file_days(connection: sqlite3.Connection, table: str) -> set[int]:
    """The days of archived rows."""
    if not _has_archive(connection):
        return set()
    query = """
        SELECT day FROM gateway_archive_files
        WHERE table_name = ? AND state IN ('published', 'archived')
    """
    return {day for (day,) in connection.execute(query, (table,))}


def waiting_days(connection: sqlite3.Connection, rollup: Table) -> list[int]:
    """The days whose rows a roll-up has not merged yet."""
    query = "SELECT DISTINCT day FROM dirty_buckets WHERE rollup = ? ORDER BY day"
    return [day for (day,) in connection.execute(query, (rollup.name,))]


def waiting_ids(connection: sqlite3.Connection, rollup: Table, day: int) -> list[tuple[int, int]]:
    """The ranges of ids, both ends included, that a roll-up has not merged for a day."""
    query = "SELECT first_id, last_id FROM dirty_buckets WHERE rollup = ? AND day = ?"
    return connection.execute(query, (rollup.name, day)).fetchall()


def unmerged(rollup: Table) -> Fragment:
    """SQL that is true for rows below which a roll-up has been told of by id and has not merged.

    Not on a day that it has still to merge from the start: what is missing then is counted there.
    """
    mark = f'rollup = {literal(rollup.name)} AND day = "time" / {clock.DAY}'
    return Fragment(
        f"EXISTS (SELECT 1 FROM dirty_buckets WHERE {mark} "
        f'AND first_id > {FROM_THE_START} AND "id" BETWEEN first_id AND last_id) '
        f"AND NOT EXISTS (SELECT 1 FROM dirty_buckets WHERE {mark} "
        f"AND first_id = {FROM_THE_START})"
    )


def clear(connection: sqlite3.Connection, rollup: Table, day: int) -> None:
    connection.execute("DELETE FROM dirty_buckets WHERE rollup = ? AND day = ?", (rollup.name, day))


def dirty_days(connection: sqlite3.Connection, table: Table) -> set[int]:
    """The days of a table that must not move: a roll-up has still to read or to change them."""
    concerned = [table, *rollups_of(table.name)]
    return {day for rollup in concerned for day in waiting_days(connection, rollup)}
