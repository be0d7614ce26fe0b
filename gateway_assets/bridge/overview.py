"""What stands where: rows, bytes, days and times of every table, hot and cold."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from gateway_assets.archive.days import visible_days
from gateway_assets.archive.hops import first_time, last_time
from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.totals import of_file
from gateway_assets.archive.visible import count_hidden, visible
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
    (all_rows,) = connection.execute(
        sql("SELECT count(*) FROM {table}", table=table.table)
    ).fetchone()
    hidden_rows = count_hidden(connection, table)
    hot_days = sorted(visible_days(connection, table, leaving=False))
    files = live_files(connection, table)
    moments = [*_hot_ends(connection, table, hot_days)]
    moments += [moment for file in files for moment in (file.first_time, file.last_time)]
    return Overview(
        table=table.name,
        hot_rows=all_rows - hidden_rows,
        hot_bytes=_hot_bytes(connection, table),
        hidden_rows=hidden_rows,
        cold_rows=sum(of_file(connection, table, file, settings.archive).rows for file in files),
        cold_bytes=sum(file.size for file in files),
        cold_files=len(files),
        days=len({*hot_days, *(file.day for file in files)}),
        oldest=min(moments, default=None),
        newest=max(moments, default=None),
        about=table.about,
    )


def _hot_ends(connection: sqlite3.Connection, table: Tiered, days: list[int]) -> list[int]:
    """The first and the last moment of the visible hot rows, as far as the format tells them."""
    if not days:
        return []
    name = quoted(table.time)
    counts = f"({table.written.usable(table.time)}) IS TRUE AND {visible(connection, table)}"
    condition = f"{name} >= ? AND {name} < ? AND {counts}"
    first, last = (table.written.bounds(day) for day in (days[0], days[-1]))
    ends = (
        first_time(connection, table, condition, first),
        last_time(connection, table, condition, last),
    )
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
