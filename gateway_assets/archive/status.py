"""How a table is tiered, and what is in the way: rules, time, columns, rows that cannot leave."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field

from gateway_assets import clock
from gateway_assets.archive import manifest
from gateway_assets.archive.months import months
from gateway_assets.archive.prepare import obstacle
from gateway_assets.archive.source import Source
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, open_database, tiered
from gateway_assets.tiers.tiered import Tiered


@dataclass(slots=True)
class Status:
    """One table. ``unusable_rows`` have no time that is understood; ``retained_rows`` are old
    enough, but ``where`` keeps them.
    """

    table: str
    database: str
    time: str
    time_format: str
    hot_days: int
    keep_days: int | None
    where: str
    schema_version: int
    changes: list[str]
    unusable_rows: int
    retained_rows: int
    months: int
    journal_mode: str
    backup: str
    free_bytes: int
    problems: list[str] = field(default_factory=list)


def status(declared: Declared, settings: Settings) -> Status:
    """Look at a table; one pass over its hot rows."""
    with open_database(declared) as connection:
        table = tiered(connection, declared, settings)
        source = Source(connection, table, settings.archive)
        unusable, retained = _staying(source)
        (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        found = Status(
            table=table.name,
            database=str(table.database),
            time=table.time,
            time_format=table.written.name,
            hot_days=table.hot_days,
            keep_days=table.keep_days,
            where=table.where,
            schema_version=table.version,
            changes=list(table.changes),
            unusable_rows=unusable,
            retained_rows=retained,
            months=len(months(connection, table)),
            journal_mode=mode,
            backup=manifest.fact(connection, "backup"),
            free_bytes=page * free,
        )
        what, hint = obstacle(source)
        found.problems = [*_problems(found), *([f"{what} ({hint})"] if what else [])]
        if table.view:
            found.problems += _misshown(connection, table)
    return found


def _misshown(connection: sqlite3.Connection, table: Tiered) -> list[str]:
    """What is wrong with the view that a table is read through, if anything is."""
    shown = "gateway_archive_shown"  # a name that means nothing else in the query
    same = " AND ".join(
        f"{shown}.{quoted(column.name)} IS {quoted(table.table)}.{quoted(column.name)}"
        for column in table.shape.columns
    )
    query = sql(
        "SELECT count(*) FROM {table} "
        "WHERE (SELECT count(*) FROM {view} AS {shown} WHERE {same}) <> 1",
        table=table.table,
        view=table.view,
        shown=shown,
        same=Fragment(same),
    )
    (rows,) = connection.execute(query).fetchone()
    what = f"view {table.view} does not show {rows:,} rows exactly once, as they are"
    why = "answers are wrong, and their days are not archived; correct the view"
    return [f"{table.name}: {what}: {why}"] if rows else []


def _staying(source: Source) -> tuple[int, int]:
    table = source.table
    usable = table.written.usable(table.time)
    query = sql(
        "SELECT COALESCE(sum(NOT usable), 0), COALESCE(sum(usable AND old AND NOT let_go), 0) "
        "FROM (SELECT ({usable}) IS TRUE AS usable, {time} < ? AS old, ({where}) IS TRUE AS let_go "
        "FROM {table})",
        usable=usable,
        time=table.time,
        where=Fragment(table.where or "1"),
        table=table.table,
    )
    start = _first_hot(table)
    unusable, retained = source.connection.execute(query, (start,)).fetchone()
    return int(unusable), int(retained)


def _first_hot(table: Tiered) -> object:
    return table.written.bounds(clock.day_of(clock.now()) - table.hot_days)[0]


def _problems(found: Status) -> list[str]:
    problems = []
    name = found.table
    if found.unusable_rows:
        problems.append(
            f"{name}: {found.unusable_rows:,} rows stay hot: their {quoted(found.time)} is not "
            f"written as {found.time_format}"
        )
    if found.retained_rows:
        problems.append(
            f"{name}: {found.retained_rows:,} old rows stay hot: they do not meet {found.where!r}"
        )
    if found.journal_mode != "wal":
        problems.append(
            f"{name}: its database is in journal mode {found.journal_mode!r}: writers wait while a "
            "day is read; PRAGMA journal_mode=WAL lets them go on"
        )
    return problems
