"""What stands where: rows, bytes, days and times of every table, hot and cold."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.totals import of_file
from gateway_assets.archive.visible import visible
from gateway_assets.hot.sql import quoted, sql
from gateway_assets.hot.store import reading
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, catalog, open_database, tiered
from gateway_assets.tiers.tiered import Tiered


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


def overview(settings: Settings) -> list[Overview]:
    """Every declared table, each as of one moment."""
    return [overview_of(declared, settings) for declared in catalog(settings)]


def overview_of(declared: Declared, settings: Settings) -> Overview:
    with open_database(declared) as connection, reading(connection):
        return _table_overview(connection, tiered(connection, declared, settings), settings)


def _table_overview(connection: sqlite3.Connection, table: Tiered, settings: Settings) -> Overview:
    query = sql(
        "SELECT count(*) FROM {table} WHERE {visible}",
        table=table.table,
        visible=visible(connection, table),
    )
    (hot_rows,) = connection.execute(query).fetchone()
    (all_rows,) = connection.execute(
        sql("SELECT count(*) FROM {table}", table=table.table)
    ).fetchone()
    hot_days = _hot_days(connection, table)
    files = live_files(connection, table)
    moments = [*_hot_ends(connection, table)]
    moments += [moment for file in files for moment in (file.first_time, file.last_time)]
    return Overview(
        table=table.name,
        hot_rows=hot_rows,
        hot_bytes=_hot_bytes(connection, table),
        hidden_rows=all_rows - hot_rows,
        cold_rows=sum(of_file(connection, table, file, settings.archive).rows for file in files),
        cold_bytes=sum(file.size for file in files),
        cold_files=len(files),
        days=len(hot_days | {file.day for file in files}),
        oldest=min(moments, default=None),
        newest=max(moments, default=None),
        about=table.about,
    )


def _hot_days(connection: sqlite3.Connection, table: Tiered) -> set[int]:
    """The UTC days of the visible hot rows that have a usable time."""
    query = sql(
        "SELECT DISTINCT {day} FROM {table} WHERE {usable} AND {visible}",
        day=table.day_of(quoted(table.time)),
        table=table.table,
        usable=table.written.usable(table.time),
        visible=visible(connection, table),
    )
    return {day for (day,) in connection.execute(query)}


def _hot_ends(connection: sqlite3.Connection, table: Tiered) -> list[int]:
    """The first and the last moment of the visible hot rows, as far as the format tells them."""
    usable = table.written.usable(table.time)
    query = sql(
        "SELECT min({time}), max({time}) FROM {table} WHERE {usable} AND {visible}",
        time=table.time,
        table=table.table,
        usable=usable,
        visible=visible(connection, table),
    )
    ends = connection.execute(query).fetchone()
    return [moment for raw in ends if (moment := table.written.moment(raw)) is not None]


def _hot_bytes(connection: sqlite3.Connection, table: Tiered) -> int | None:
    """Pages of the table and its indexes; unknown where SQLite was built without dbstat."""
    query = """
        SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE
        AND name IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)
    """
    try:
        (size,) = connection.execute(query, (table.table,)).fetchone()
    except sqlite3.OperationalError as error:
        if "dbstat" in str(error):
            return None
        raise
    return int(size or 0)
