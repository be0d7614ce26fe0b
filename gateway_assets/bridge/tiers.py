"""The two tiers of tables at one moment: visible hot rows in Arrow, and the files that are live."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.months import Month, folder, month_of, months
from gateway_assets.archive.parquet import arrow_schema
from gateway_assets.archive.reading import UndecodableText, batches, tolerate
from gateway_assets.archive.source import file_fields
from gateway_assets.archive.verify import file_sha256
from gateway_assets.archive.visible import visible
from gateway_assets.bridge.scans import Need
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import reading
from gateway_assets.model import INT64_MAX, INT64_MIN
from gateway_assets.tiers.fields import Field, Misfit
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import FIRST_DAY, LAST_DAY, Epoch

BATCH_ROWS, BATCH_BYTES = 65_536, 2**30


class ColdFile(NamedTuple):
    """One Parquet file to read, and the raw time before which it answers (None: all of it)."""

    path: Path
    size: int
    answers_until: object
    sha256: str


class Cold(NamedTuple):
    """Files that were written with the same columns."""

    fields: tuple[Field, ...]
    files: list[ColdFile]


class Tiers(NamedTuple):
    """What a statement needs of one table's rows, each in exactly one of the two.

    ``table`` has the kinds that all of these rows fit; ``hot`` the needed columns only.
    """

    table: Tiered
    hot: pa.Table
    cold: list[Cold]
    live: list[ArchiveFile]


def read_tiers(
    connection: sqlite3.Connection, needed: list[tuple[Tiered, Need]], root: Path
) -> list[Tiers]:
    """The tiers of several tables of one database, all as of the same moment."""
    try:
        with reading(connection):
            return [_read(connection, table, need, root) for table, need in needed]
    except UndecodableText:
        tolerate(connection)
        return read_tiers(connection, needed, root)


def _read(connection: sqlite3.Connection, table: Tiered, need: Need, root: Path) -> Tiers:
    start = need.start if need.start > INT64_MIN else None
    end = need.end if need.end < INT64_MAX else None
    live = live_files(connection, table, start=start, end=end)
    while True:
        try:
            hot = _visible_rows(connection, table, need)
            break
        except Misfit as misfit:
            table = table.wider(misfit)
    return Tiers(table, hot, _cold(connection, table, live, root), live)


def _cold(
    connection: sqlite3.Connection, table: Tiered, live: list[ArchiveFile], root: Path
) -> list[Cold]:
    """The files by the columns they have; whole months by their copy."""
    grouped: dict[int, list[ColdFile]] = {}
    copies = _usable_months(connection, table, live, root)
    covered = {number for month in copies for number in month.covers}
    for month in copies:
        place = folder(root) / month.path
        grouped.setdefault(month.schema_version, []).append(
            ColdFile(place, month.size, None, month.sha256)
        )
    versions: dict[int, tuple[Field, ...]] = {}
    for file in live:
        versions.setdefault(file.schema_version, ())
        if file.number not in covered:
            cold = ColdFile(file.below(root), file.size, file.answers_until, file.sha256)
            grouped.setdefault(file.schema_version, []).append(cold)
    one_of = {file.schema_version: file for file in live}
    return [
        Cold(file_fields(connection, one_of[version]), files)
        for version, files in sorted(grouped.items())
    ]


def _usable_months(
    connection: sqlite3.Connection, table: Tiered, live: list[ArchiveFile], root: Path
) -> list[Month]:
    """Copies that stand for exactly the live files of their month, all of which are needed."""
    wanted: dict[str, set[int]] = {}
    for file in live:
        # A file that answers for a part only is in no copy: 0 is no file's number.
        whole = file.answers_until is None
        wanted.setdefault(month_of(file.day), set()).add(file.number if whole else 0)
    if all(len(numbers) < 2 for numbers in wanted.values()):
        return []
    return [
        month
        for month in months(connection, table)
        if frozenset(wanted.get(month.month, ())) == month.covers
        and (folder(root) / month.path).exists()
    ]


def check_files(tiers: Tiers) -> None:
    """Raise ArchiveDamaged for a file that is missing or cut."""
    for cold in tiers.cold:
        for file in cold.files:
            try:
                size = file.path.stat().st_size
            except FileNotFoundError:
                raise damaged(tiers.table, f"archive file {file.path} is missing") from None
            if size != file.size:
                what = f"archive file {file.path} has {size} bytes instead of {file.size}"
                raise damaged(tiers.table, what)
            _check_bytes(tiers.table, file)


_whole: dict[tuple[str, int, int], str] = {}  # path, inode, time of change -> SHA-256


def _check_bytes(table: Tiered, file: ColdFile) -> None:
    """DuckDB looks at no checksum of a page: each file is hashed once, and when it changed."""
    stat = file.path.stat()
    key = (str(file.path), stat.st_ino, stat.st_mtime_ns)
    if key not in _whole:
        _whole[key] = file_sha256(file.path)
    if _whole[key] != file.sha256:
        raise damaged(table, f"archive file {file.path} holds other bytes than were written")


def damaged(table: Tiered, what: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        what,
        hint=f"put it back from a backup, then check: gateway archive verify {table.name}",
    )


def _visible_rows(connection: sqlite3.Connection, table: Tiered, need: Need) -> pa.Table:
    # At least one column: rows are counted even when none of their values is needed.
    fields = [field for field in table.fields if field.name in need.columns] or [table.fields[0]]
    between, params = _between(table, need)
    query = sql(
        "SELECT {columns} FROM {table} WHERE {between} AND {visible}",
        columns=[field.name for field in fields],
        table=table.table,
        between=between,
        visible=visible(connection, table),
    )
    cursor = connection.execute(query, params)
    found = list(batches(cursor, fields, BATCH_ROWS, BATCH_BYTES))
    whole = pa.Table.from_batches(found, arrow_schema(fields))
    return whole.select([field.name for field in fields])


def _day(moment: int) -> int:
    """The day of a moment, kept within the calendar."""
    return min(max(clock.day_of(moment), FIRST_DAY), LAST_DAY)


def _between(table: Tiered, need: Need) -> tuple[Fragment, list[object]]:
    """A condition on the raw time column that lets every needed row through."""
    name, written = quoted(table.time), table.written
    parts: list[str] = []
    params: list[object] = []
    if need.start > INT64_MIN:
        parts.append(f"{name} >= ?")
        if isinstance(written, Epoch):
            params.append(max(need.start * written.per_second // clock.SECOND, INT64_MIN))
        else:
            params.append(written.bounds(_day(need.start))[0])
    if need.end < INT64_MAX:
        parts.append(f"{name} < ?")
        if isinstance(written, Epoch):
            params.append(min(need.end * written.per_second // clock.SECOND + 1, INT64_MAX))
        else:
            params.append(written.bounds(_day(need.end))[1])
    return Fragment(" AND ".join(parts) or "1"), params
