"""A table with all its rows, hot and archived, as a plain SQLite file that needs nothing of us."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from gateway_assets.archive.filters import answering_rows
from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.reading import UndecodableText, tolerate
from gateway_assets.archive.rows import raw_rows
from gateway_assets.archive.source import Source
from gateway_assets.archive.visible import visible
from gateway_assets.errors import ArchiveError, UsageError
from gateway_assets.files.appear import explained, partial_path, sync_directory
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import reading, translated
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, open_database, tiered
from gateway_assets.tiers.reflect import affinity
from gateway_assets.tiers.tiered import Tiered

CHUNK = 5_000
Row = tuple[Any, ...]


def copy_out(
    declared: Declared, settings: Settings, output: Path, progress: Progress = silent
) -> int:
    """Write the table with its own declaration and all rows; how many. Compared at the end."""
    if output.exists():
        raise UsageError(f"{output} exists already", hint="give another --output")
    partial = partial_path(output.absolute())
    with open_database(declared) as connection, explained(output), translated(output):
        table = tiered(connection, declared, settings)
        source = Source(connection, table, settings.archive)
        try:
            with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
                rows = _fill(source, copy, progress)
            partial.rename(output)
            sync_directory(output.absolute().parent)
        except UndecodableText:
            raise ArchiveError("a text in the table is no UTF-8", hint="this is a defect") from None
        finally:
            partial.unlink(missing_ok=True)
    return rows


def _fill(source: Source, copy: sqlite3.Connection, progress: Progress) -> int:
    table = source.table
    tolerate(source.connection)
    names = _create(copy, table)
    total, put = 0, 0
    copy.execute("BEGIN")
    with reading(source.connection):
        for done, own, rows in _all_rows(source, names):
            while chunk := list(islice(rows, CHUNK)):
                _insert(copy, table, own, chunk)
                put += sum(_fingerprint(_completed(row, own, table, names)) for row in chunk)
                total += len(chunk)
            progress(*done)
    copy.execute("COMMIT")
    tolerate(copy)
    query = sql("SELECT {names} FROM {table}", names=names, table=table.table)
    if sum(map(_fingerprint, copy.execute(query))) != put:
        raise ArchiveError(f"the copy of {table.name} differs", hint="check the disk")
    return total


def _create(copy: sqlite3.Connection, table: Tiered) -> list[str]:
    """Make the table, with columns of its own for what a view adds; the columns to fill."""
    copy.execute(table.shape.create)
    query = "SELECT strict FROM pragma_table_list(?) WHERE schema = 'main'"
    (strict,) = copy.execute(query, (table.table,)).fetchone()
    for field in table.added_fields:
        column = f"{quoted(field.name)} {'ANY' if strict else affinity(field.declared)}"
        alter = "ALTER TABLE {table} ADD COLUMN {column}"
        copy.execute(sql(alter, table=table.table, column=Fragment(column)))
    own = [field for field in table.table_fields if not field.generated]
    return [field.name for field in (*own, *table.added_fields)]


def _insert(copy: sqlite3.Connection, table: Tiered, names: list[str], chunk: list[Row]) -> None:
    def insert(mark: str) -> str:
        return sql(
            "INSERT INTO {table} ({names}) VALUES ({marks})",
            table=table.table,
            names=names,
            marks=Fragment(", ".join([mark] * len(names))),
        )

    copy.execute("SAVEPOINT chunk")
    try:
        copy.executemany(insert("?"), chunk)
    except UnicodeEncodeError:
        copy.execute("ROLLBACK TO chunk")
        copy.executemany(insert("iif(?, CAST(? AS TEXT), ?)"), map(_bound, chunk))
    copy.execute("RELEASE chunk")


def _all_rows(
    source: Source, names: list[str]
) -> Iterator[tuple[tuple[int, int], list[str], Iterator[Row]]]:
    """Archived rows, file by file, then hot ones, each with the columns it has; values of dropped
    columns stay behind.
    """
    table = source.table
    files = live_files(source.connection, table)
    for number, file in enumerate(files, start=1):
        fields = source.fields_of(file)
        own, places = _places(table, [field.id for field in fields], names)
        batches = answering_rows(source, file, fields)
        rows = (row for batch in batches for row in raw_rows(batch, fields))
        yield (
            (number, len(files) + 1),
            own,
            (tuple(row[place] for place in places) for row in rows),
        )
    query = sql(
        "SELECT {names} FROM {rows} WHERE {visible}",
        names=names,
        rows=table.rows,
        visible=visible(source.connection, table),
    )
    yield (len(files) + 1, len(files) + 1), names, iter(source.connection.execute(query))


def _places(table: Tiered, ids: list[int], names: list[str]) -> tuple[list[str], list[int]]:
    """The columns of today that a file has, and where."""
    now = {field.name: field.id for field in table.fields}
    own = [name for name in names if now[name] in ids]
    return own, [ids.index(now[name]) for name in own]


def _completed(row: Row, own: list[str], table: Tiered, names: list[str]) -> Row:
    """A row with the defaults that SQLite puts where a file has no column."""
    if own == names:
        return row
    defaults = {field.name: field.default for field in table.fields}
    values = dict(zip(own, row, strict=True))
    return tuple(values.get(name, defaults[name]) for name in names)


def _bound(row: Row) -> list[Any]:
    """Text as bytes cast to text, so that it comes through whatever its bytes are."""
    bound: list[Any] = []
    for value in row:
        if isinstance(value, str):
            bound += [1, value.encode("utf-8", "surrogateescape"), None]
        else:
            bound += [0, None, value]
    return bound


def _fingerprint(row: Row) -> int:
    """Differs when a value or its type does; summed, it does not depend on the order of rows."""
    return hash((row, tuple(map(type, row))))
