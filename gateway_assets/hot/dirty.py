"""Dirty buckets: which rows, by day, a roll-up has not merged yet."""

from __future__ import annotations

import sqlite3

from gateway_assets.table import Table
from gateway_assets.tables import rollups_of


def mark(connection: sqlite3.Connection, table: Table, ranges: dict[int, tuple[int, int]]) -> None:
    """Tell each roll-up of a table which ids of which day it has not seen."""
    connection.executemany(
        "INSERT INTO dirty_buckets VALUES (?, ?, ?, ?)",
        (
            (rollup.name, day, *ids)
            for rollup in rollups_of(table.name)
            for day, ids in ranges.items()
        ),
    )


def waiting_days(connection: sqlite3.Connection, rollup: Table) -> list[int]:
    """The days whose rows a roll-up has not merged yet."""
    query = "SELECT DISTINCT day FROM dirty_buckets WHERE rollup = ? ORDER BY day"
    return [day for (day,) in connection.execute(query, (rollup.name,))]


def waiting_ids(connection: sqlite3.Connection, rollup: Table, day: int) -> list[tuple[int, int]]:
    """The ranges of ids, both ends included, that a roll-up has not merged for a day."""
    query = "SELECT first_id, last_id FROM dirty_buckets WHERE rollup = ? AND day = ?"
    return connection.execute(query, (rollup.name, day)).fetchall()


def clear(connection: sqlite3.Connection, rollup: Table, day: int) -> None:
    connection.execute("DELETE FROM dirty_buckets WHERE rollup = ? AND day = ?", (rollup.name, day))


def dirty_days(connection: sqlite3.Connection, table: Table) -> set[int]:
    """The days of a table that must not move: a roll-up has still to read or to change them."""
    concerned = [table, *rollups_of(table.name)]
    return {day for rollup in concerned for day in waiting_days(connection, rollup)}
