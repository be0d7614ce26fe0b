"""Rows and sums of a table over both tiers, and whether they are what was put in.

The cold side comes from the manifest, so a total costs one pass over the visible hot rows of the
days it is asked for and, but for files that answer for a part of their rows, no look at any
Parquet file.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.parquet import read_batches
from gateway_assets.archive.rows import raw_rows
from gateway_assets.archive.source import file_fields
from gateway_assets.archive.visible import visible
from gateway_assets.hot import ledger
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.table import Merge, Table
from gateway_assets.tiers.catalog import has_table
from gateway_assets.tiers.tiered import Tiered

_ALWAYS = (-(2**63), 2**63 - 1)


@dataclass(slots=True)
class Totals:
    """How many rows, and the sum of every summed column over them."""

    rows: int = 0
    sums: dict[str, int] = field(default_factory=dict)

    def add(self, rows: int, sums: dict[str, int]) -> None:
        self.rows += rows
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0) + value


def stored(
    connection: sqlite3.Connection, table: Tiered, root: Path, day: int | None = None
) -> Totals:
    """What a table answers for, in both tiers, for one day or for all. Call it in ``reading``."""
    assert table.own
    totals = Totals(sums=dict.fromkeys(table.summed, 0))
    bounds = clock.day_range(day) if day is not None else _ALWAYS
    statement = _sum_statement(table.own, visible(connection, table))
    rows, *sums = connection.execute(statement, bounds).fetchone()
    totals.add(rows, dict(zip(table.summed, sums, strict=True)))
    for file in live_files(connection, table, day):
        cold = of_file(connection, table, file, root)
        totals.add(cold.rows, cold.sums)
    return totals


def of_file(connection: sqlite3.Connection, table: Tiered, file: ArchiveFile, root: Path) -> Totals:
    """What a file answers for: by the manifest, or by reading when that is only a part of it."""
    if file.answers_until is None:
        columns = file.columns  # of an older file: without those that came later
        return Totals(
            file.rows,
            {name: columns[name]["sum"] if name in columns else 0 for name in table.summed},
        )
    fields = file_fields(connection, file)
    places = {field.name: place for place, field in enumerate(fields) if field.name in table.summed}
    time = next(place for place, field in enumerate(fields) if field.id == table.time_field.id)
    totals = Totals(sums=dict.fromkeys(table.summed, 0))
    for batch in read_batches(file.below(root), fields):
        for row in raw_rows(batch, fields):
            if row[time] < file.answers_until:
                totals.add(1, {name: row[place] or 0 for name, place in places.items()})
    return totals


def removed(connection: sqlite3.Connection, table: Tiered, day: int | None = None) -> Totals:
    """What was removed on purpose: expired and erased rows."""
    totals = Totals(sums=dict.fromkeys(table.summed, 0))
    if not has_table(connection, "gateway_archive_removed"):
        return totals
    query = """
        SELECT rows, sums FROM gateway_archive_removed
        WHERE table_name = ? AND (? IS NULL OR day = ?)
    """
    for rows, sums in connection.execute(query, (table.name, day, day)):
        totals.add(rows, json.loads(sums))
    return totals


def rows_removed(
    connection: sqlite3.Connection, name: str, day: int, reason: str | None = None
) -> int:
    """How many rows of a day of a table were removed on purpose, for one reason or for any."""
    if not has_table(connection, "gateway_archive_removed"):
        return 0
    query = """
        SELECT COALESCE(sum(rows), 0) FROM gateway_archive_removed
        WHERE table_name = ? AND day = ? AND (? IS NULL OR reason = ?)
    """
    (rows,) = connection.execute(query, (name, day, reason, reason)).fetchone()
    return int(rows)


def with_removed(connection: sqlite3.Connection, table: Tiered, root: Path, day: int) -> Totals:
    """What a day would answer for had nothing been removed on purpose."""
    totals, gone = stored(connection, table, root, day), removed(connection, table, day)
    totals.add(gone.rows, gone.sums)
    return totals


def loaded(connection: sqlite3.Connection, table: Table) -> Totals:
    """What the ledger says was ever loaded into a table."""
    totals = Totals(sums=dict.fromkeys(table.summed, 0))
    for rows, sums in ledger.totals(connection, table):
        totals.add(rows, sums)
    return totals


def owed(connection: sqlite3.Connection, table: Tiered) -> Totals:
    """What was loaded into a table and not removed on purpose."""
    assert table.own
    totals, gone = loaded(connection, table.own), removed(connection, table)
    totals.add(-gone.rows, {name: -value for name, value in gone.sums.items()})
    return totals


def expected_sums(made: Table, below: Totals) -> dict[str, int]:
    """What the summed columns of a table must add up to, given the rows of that below it."""
    return {
        state.column.name: below.rows if state.merge is Merge.COUNT else below.sums[state.of]
        for state in made.states
        if state.column.summed
    }


def unlike_below(
    connection: sqlite3.Connection, made: Tiered, below: Tiered, root: Path, day: int
) -> str:
    """How the sums of a day differ from those of the rows below; empty when they are the same.

    Call it in ``reading``. A summary's day is computed from what is there at the time, so once
    rows of any table below were removed there is nothing to compare it with.
    """
    assert made.own
    names = made.own.below
    if made.own.summary and any(rows_removed(connection, name, day) for name in names):
        return ""
    wanted = expected_sums(made.own, with_removed(connection, below, root, day))
    there = with_removed(connection, made, root, day).sums
    return "" if there == wanted else f"{made.name} has {there}, its rows {wanted}"


def files_that_differ(
    connection: sqlite3.Connection, table: Table, names: Iterable[str]
) -> list[str]:
    """Of these loaded files, those whose rows in the hot table do not sum up to their footer."""
    query = "SELECT first_id, rows, sums FROM loaded_files WHERE name = ?"
    statement = _sum_statement(table, Fragment('"id" BETWEEN ? AND ?'))
    differing = []
    for name in names:
        first, rows, sums = connection.execute(query, (name,)).fetchone()
        found = connection.execute(statement, (*_ALWAYS, first, first + rows - 1)).fetchone()
        wanted = json.loads(sums)
        if found != (rows, *(wanted.get(column, 0) for column in table.summed)):
            differing.append(name)
    return differing


def _sum_statement(table: Table, condition: Fragment) -> str:
    sums = (f"COALESCE(sum({quoted(name)}), 0)" for name in table.summed)
    return sql(
        'SELECT {figures} FROM {table} WHERE "time" >= ? AND "time" < ? AND {condition}',
        figures=Fragment(", ".join(["count(*)", *sums])),
        table=table.name,
        condition=condition,
    )
