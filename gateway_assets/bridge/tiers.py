"""The two tiers of a table at one moment: visible hot rows in Arrow, and the live files."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive.checksum import file_sha256
from gateway_assets.archive.months import Month, folder, month_of
from gateway_assets.archive.reading import batches
from gateway_assets.archive.rows import arrow_schema
from gateway_assets.archive.visible import visible
from gateway_assets.bridge.databases import Look, Snapshot
from gateway_assets.bridge.index import LiveFile
from gateway_assets.bridge.ranges import MOST, Ranges, hull
from gateway_assets.bridge.scans import Need
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.model import INT64_MAX, INT64_MIN, Kind
from gateway_assets.tiers.fields import Field, Misfit
from gateway_assets.tiers.reflect import affinity
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import FIRST_DAY, LAST_DAY, Epoch

BATCH_ROWS, BATCH_BYTES = 65_536, 2**30
MOST_MET = 50_000  # files of which the checksum is known, some 20 MB


class ColdFile(NamedTuple):
    """One Parquet file to read, and the raw time before which it answers (None: all of it).

    ``is_met`` when this process has read it before: then its footer is kept by DuckDB, as long as
    there is memory within its limit, and its checksum is known.
    """

    path: Path
    size: int
    answers_until: object
    sha256: str
    rows: int
    is_met: bool


class Cold(NamedTuple):
    """Files that were written with the same columns."""

    fields: tuple[Field, ...]
    files: list[ColdFile]


class Tiers(NamedTuple):
    """What a statement needs of one table's rows, each in exactly one of the two.

    ``table`` has the kinds that all of these rows fit. ``hot`` holds the needed columns; None
    when only ``hot_rows`` matters. ``counted`` rows are in files of which nothing but their
    number is needed; ``live`` are the files behind ``cold`` and its monthly copies.
    """

    table: Tiered
    hot: pa.Table | None
    hot_rows: int
    cold: list[Cold]
    counted: int
    live: list[LiveFile]
    known_files: int

    @property
    def opened(self) -> list[ColdFile]:
        return [file for cold in self.cold for file in cold.files]


def read_tiers(
    snapshot: Snapshot, look: Look, hot: Need | None, cold: Need | None, root: Path
) -> Tiers:
    """The tiers of a table as of the snapshot; None for a tier that is not asked for.

    Raises UndecodableText, see ``Database.reading``.
    """
    connection, index = snapshot.connection, look.files
    live = index.some(index.that_meet(connection, cold.ranges)) if cold is not None else []
    counted = 0
    files = live
    if cold is not None and cold.only_counts:
        counted = sum(file.rows for file in live if file.answers_until is None)
        files = [file for file in live if file.answers_until is not None]
    table = look.table
    rows, number = None, 0
    if hot is not None and hot.only_counts:
        number = count_visible(connection, table, hot)
    elif hot is not None:
        rows, table = visible_rows(connection, table, hot)
        number = rows.num_rows
    groups = grouped(look, files, root)
    return Tiers(table, rows, number, groups, counted, files, len(index.files))


def grouped(look: Look, files: list[LiveFile], root: Path) -> list[Cold]:
    """Files by the columns they have; whole months by their copy."""
    found: dict[int, list[ColdFile]] = {}
    copies = _usable_months(look, files, root)
    covered = {number for month in copies for number in month.covers}
    for month in copies:
        place = folder(root) / month.path
        found.setdefault(month.schema_version, []).append(_cold_file(place, month, None))
    for file in files:
        if file.number not in covered:
            cold = _cold_file(file.below(root), file, file.answers_until)
            found.setdefault(file.schema_version, []).append(cold)
    return [Cold(look.files.versions[version], some) for version, some in sorted(found.items())]


def _cold_file(path: Path, known: Month | LiveFile, answers_until: object) -> ColdFile:
    met = str(path) in _met
    return ColdFile(path, known.size, answers_until, known.sha256, known.rows, met)


def _usable_months(look: Look, files: list[LiveFile], root: Path) -> list[Month]:
    """Copies that stand for exactly the live files of their month, all of which are needed."""
    wanted: dict[str, set[int]] = {}
    for file in files:
        # A file that answers for a part only is in no copy: 0 is no file's number.
        whole = file.answers_until is None
        wanted.setdefault(month_of(file.day), set()).add(file.number if whole else 0)
    return [
        month
        for month in look.files.months
        if frozenset(wanted.get(month.month, ())) == month.covers
        and (folder(root) / month.path).exists()
    ]


def check_files(tiers: Tiers) -> None:
    """Raise ArchiveDamaged for a file that is missing, cut, or holds other bytes."""
    for file in tiers.opened:
        check_file(tiers.table, file)


def check_file(table: Tiered, file: ColdFile) -> None:
    try:
        stat = file.path.stat()
    except FileNotFoundError:
        raise damaged(table, f"archive file {file.path} is missing") from None
    if stat.st_size != file.size:
        what = f"archive file {file.path} has {stat.st_size} bytes instead of {file.size}"
        raise damaged(table, what)
    # DuckDB looks at no checksum of a page: each file is hashed once, and when it changed.
    path, now = str(file.path), (stat.st_ino, stat.st_mtime_ns)
    state, sha256 = _met.get(path, (None, ""))
    if state != now:
        try:
            sha256 = file_sha256(file.path)
        except ArchiveDamaged as error:
            raise damaged(table, error.message) from error
        if len(_met) >= MOST_MET:
            _met.clear()
        _met[path] = now, sha256
    if sha256 != file.sha256:
        raise damaged(table, f"archive file {file.path} holds other bytes than were written")


_met: dict[str, tuple[tuple[int, int], str]] = {}  # path: inode and time of change; SHA-256


def damaged(table: Tiered, what: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        what,
        hint=f"put it back from a backup, then check: gateway archive verify {table.name}",
    )


def count_visible(connection: sqlite3.Connection, table: Tiered, need: Need) -> int:
    condition, params = within(table, need)
    query = sql(
        "SELECT count(*) FROM {table} WHERE {condition} AND {visible}",
        table=table.rows,
        condition=condition,
        visible=visible(connection, table),
    )
    (count,) = connection.execute(query, params).fetchone()
    return int(count)


def visible_rows(
    connection: sqlite3.Connection, table: Tiered, need: Need
) -> tuple[pa.Table, Tiered]:
    """Visible rows with the needed columns, and the table with kinds that they fit."""
    while True:
        # At least one column: rows are counted even when none of their values is needed.
        fields = [f for f in table.fields if f.name in need.columns] or [table.fields[0]]
        condition, params = within(table, need)
        query = sql(
            "SELECT {columns} FROM {table} WHERE {condition} AND {visible}",
            columns=[field.name for field in fields],
            table=table.rows,
            condition=condition,
            visible=visible(connection, table),
        )
        try:
            found = list(
                batches(connection.execute(query, params), fields, BATCH_ROWS, BATCH_BYTES)
            )
        except Misfit as misfit:
            table = table.wider(misfit)
            continue
        whole = pa.Table.from_batches(found, arrow_schema(fields))
        return whole.select([field.name for field in fields]), table


def within(table: Tiered, need: Need) -> tuple[Fragment, list[object]]:
    """A condition on raw columns that lets every needed row through."""
    parts: list[str] = []
    params: list[object] = []
    for field in table.fields:
        ranges = need.ranges.get(field.name)
        if ranges is None:
            continue
        if not ranges:
            return Fragment("0"), []
        if field.kind is Kind.TIME:
            _add_times(field, ranges, parts, params)
        elif field.kind is Kind.INTEGER or (field.kind is Kind.TEXT and is_compared_as_text(field)):
            _add_values(field, ranges, parts, params, ordered=field.name == table.time)
    return Fragment(" AND ".join(parts) or "1"), params


def is_compared_as_text(field: Field) -> bool:
    """Whether SQLite leaves a text alone that is compared with a column of texts."""
    return affinity(field.declared) in {"TEXT", "BLOB"}


def _add_values(
    field: Field, ranges: Ranges, parts: list[str], params: list[object], *, ordered: bool
) -> None:
    """``ordered`` texts sort alike in any encoding of a database: times do."""
    name = quoted(field.name)
    if field.kind is Kind.TEXT:
        name += " COLLATE BINARY"
    if all(low == high and low is not None for low, high in ranges) and len(ranges) <= MOST:
        parts.append(f"{name} IN ({', '.join('?' * len(ranges))})")
        params.extend(low for low, _ in ranges)
        return
    if field.kind is Kind.TEXT and not ordered:
        return
    ends = hull(ranges)
    assert ends is not None
    for operator, value in zip((">=", "<="), ends, strict=True):
        if value is not None:
            parts.append(f"{name} {operator} ?")
            params.append(
                value if isinstance(value, str) else min(max(value, INT64_MIN), INT64_MAX)
            )


def _add_times(field: Field, ranges: Ranges, parts: list[str], params: list[object]) -> None:
    name, written = quoted(field.name), field.codec
    ends = hull(ranges)
    assert ends is not None
    start, end = ends
    if start is not None and start > INT64_MIN:
        parts.append(f"{name} >= ?")
        if isinstance(written, Epoch):
            params.append(max(start * written.per_second // clock.SECOND, INT64_MIN))
        else:
            params.append(written.bounds(_day(start))[0])
    if end is not None and end < INT64_MAX:
        parts.append(f"{name} < ?")
        if isinstance(written, Epoch):
            params.append(min(end * written.per_second // clock.SECOND + 1, INT64_MAX))
        else:
            params.append(written.bounds(_day(end))[1])


def _day(moment: int) -> int:
    """The day of a moment, kept within the calendar."""
    return min(max(clock.day_of(moment), FIRST_DAY), LAST_DAY)
