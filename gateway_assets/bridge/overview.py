"""What stands where: rows, bytes, days and times of every table, hot and cold."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway_assets.archive.manifest import live_files
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import reading
from gateway_assets.hot.visible import visible
from gateway_assets.table import Table
from gateway_assets.tables import TABLES


@dataclass(frozen=True, slots=True)
class Overview:
    """One table. Times are microseconds since the epoch, sizes bytes; None is unknown or none."""

    table: str
    hot_rows: int
    hot_bytes: int | None
    hidden_rows: int
    cold_rows: int
    cold_bytes: int
    cold_files: int
    days: int
    oldest: int | None
    newest: int | None
    about: str


def overview(connection: sqlite3.Connection) -> list[Overview]:
    """Every declared table, all as of one moment."""
    with reading(connection):
        return [_table_overview(connection, table) for table in TABLES]


def _table_overview(connection: sqlite3.Connection, table: Table) -> Overview:
    query = sql(
        'SELECT count(*), min("time"), max("time") FROM {table} WHERE {visible}',
        table=table.name,
        visible=visible(connection, table),
    )
    hot_rows, *hot_times = connection.execute(query).fetchone()
    (all_rows,) = connection.execute(
        sql("SELECT count(*) FROM {table}", table=table.name)
    ).fetchone()
    days = sql(
        'SELECT DISTINCT "time" / 86400000000 FROM {table} WHERE {visible}',
        table=table.name,
        visible=visible(connection, table),
    )
    files = live_files(connection, table)
    moments = [moment for moment in hot_times if moment is not None]
    moments += [moment for file in files for moment in (file.first_time, file.last_time)]
    return Overview(
        table=table.name,
        hot_rows=hot_rows,
        hot_bytes=_hot_bytes(connection, table),
        hidden_rows=all_rows - hot_rows,
        cold_rows=sum(file.rows for file in files),
        cold_bytes=sum(file.size for file in files),
        cold_files=len(files),
        days=len({day for (day,) in connection.execute(days)} | {file.day for file in files}),
        oldest=min(moments, default=None),
        newest=max(moments, default=None),
        about=table.about,
    )


def _hot_bytes(connection: sqlite3.Connection, table: Table) -> int | None:
    """Pages of the table and its indexes; unknown where SQLite was built without dbstat."""
    query = """
        SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE
        AND name IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)
    """
    try:
        (size,) = connection.execute(query, (table.name,)).fetchone()
    except sqlite3.OperationalError as error:
        if "dbstat" in str(error):
            return None
        raise
    return int(size or 0)
