"""The two tiers of tables at one moment: visible hot rows in Arrow, and the files that are live."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.parquet import arrow_batches, arrow_schema
from gateway_assets.bridge.scans import Need
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import sql
from gateway_assets.hot.store import reading
from gateway_assets.hot.visible import visible
from gateway_assets.table import ID, Table

BATCH_ROWS = 65_536


class Tiers(NamedTuple):
    """What a statement needs of one table's rows, each in exactly one of the two.

    ``hot`` has the needed columns only, in the table's order.
    """

    table: Table
    hot: pa.Table
    cold: list[ArchiveFile]


def read_tiers(connection: sqlite3.Connection, needed: dict[Table, Need]) -> list[Tiers]:
    """The tiers of several tables, all as of the same moment."""
    with reading(connection):
        return [
            Tiers(table, _visible_rows(connection, table, need), _files(connection, table, need))
            for table, need in needed.items()
        ]


def _files(connection: sqlite3.Connection, table: Table, need: Need) -> list[ArchiveFile]:
    return [
        file
        for file in live_files(connection, table)
        if file.last_time >= need.start and file.first_time < need.end
    ]


def existing_paths(tiers: Tiers, root: Path) -> list[str]:
    """The paths of the cold files. Raises ArchiveDamaged for one that is missing or cut."""
    paths = []
    for file in tiers.cold:
        path = file.below(root)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise damaged(tiers.table, f"archive file {path} is missing") from None
        if size != file.size:
            what = f"archive file {path} has {size} bytes instead of {file.size}"
            raise damaged(tiers.table, what)
        paths.append(str(path))
    return paths


def damaged(table: Table, what: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        what,
        hint=f"put it back from a backup, then check: gateway archive verify {table.name}",
    )


def _visible_rows(connection: sqlite3.Connection, table: Table, need: Need) -> pa.Table:
    # At least one column: rows are counted even when none of their values is needed.
    names = [column.name for column in table.stored if column.name in need.columns] or [ID.name]
    query = sql(
        'SELECT {columns} FROM {table} WHERE "time" >= ? AND "time" < ? AND {visible}',
        columns=names,
        table=table.name,
        visible=visible(connection, table),
    )
    whole = arrow_schema(table)
    schema = pa.schema([whole.field(name) for name in names])
    cursor = connection.execute(query, (need.start, need.end))
    return pa.Table.from_batches(arrow_batches(cursor, schema, BATCH_ROWS), schema)
