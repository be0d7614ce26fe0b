"""A day comes back to the hot table: pruning read backwards.

From the latest time to the earliest, in short paced transactions: each inserts some rows, compares
what the table now holds with the file, and moves the file's ``answers_until`` down. So every row is
answered from exactly one place at every moment, and rows that have come since stay as they are.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from gateway_assets.archive import manifest
from gateway_assets.archive.columns import arrow_array
from gateway_assets.archive.duck import sorted_rows
from gateway_assets.archive.known import forget_rows
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.parquet import read_backwards
from gateway_assets.archive.reading import tolerate
from gateway_assets.archive.rows import raw_rows
from gateway_assets.archive.source import Source
from gateway_assets.archive.verify import damage
from gateway_assets.errors import ArchiveDamaged, ArchiveError
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import writing
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field

Rows = list[tuple[Any, ...]]


def restore_day(source: Source, day: int, hold_until: int) -> int:
    """Bring all archived rows of a day back to hot; how many came.

    The day is not archived again before ``hold_until`` (a moment; 0 holds nothing). Raises
    ArchiveDamaged when a file is not what the manifest says; the archive stays as it was.
    """
    connection, table = source.connection, source.table
    files = live_files(connection, table, day)
    for file in files:
        found = damage(file, source.fields_of(file), source.root)
        if found:
            raise ArchiveDamaged(found, hint="take the file from a backup, then restore again")
        _columns(source, file)
    if hold_until:
        with writing(connection):
            connection.execute(
                "INSERT OR REPLACE INTO gateway_archive_holds VALUES (?, ?, ?)",
                (table.name, day, hold_until),
            )
    return sum(_restore_file(source, file) for file in files)


def _restore_file(source: Source, file: ArchiveFile) -> int:
    connection = source.connection
    if file.state == "published":
        with writing(connection):
            take_back(connection, file.number)
        left = manifest.file_numbered(connection, file.number)
        if left is None or left.state != "archived":
            return file.rows
        file = left
    columns, fields = _columns(source, file)
    restored = 0
    for chunk in _chunks(source, file, fields, columns):
        with source.writing(len(chunk)):
            now = manifest.file_numbered(connection, file.number)
            if now is None or now.state != "archived":
                raise ArchiveError(f"{file.path} changed while it was restored", hint="run again")
            start = min(row[columns.time] for row in chunk)
            _insert(source, chunk, columns, (start, now.answers_until))
            manifest.update(connection, file.number, answers_until=start)
        restored += len(chunk)
    with writing(connection):
        manifest.update(connection, file.number, state="retired")
    return restored


def take_back(connection: sqlite3.Connection, number: int) -> None:
    """Undo a publication: hidden rows show again. What was pruned stays with the file."""
    file = manifest.file_numbered(connection, number)
    if file is None or file.state != "published":
        return
    if file.hidden_from == file.day_from:
        manifest.update(connection, number, state="retired")
    else:
        manifest.update(connection, number, state="archived", answers_until=file.hidden_from)


class _Columns:
    """Which values of a file's rows are inserted, and how."""

    def __init__(self, source: Source, fields: Sequence[Field]) -> None:
        now = {field.id: field for field in source.table.fields}
        self.all_fields = fields
        self.places = [
            place
            for place, field in enumerate(fields)
            if field.id in now and not now[field.id].generated
        ]
        self.fields = [fields[place] for place in self.places]
        self.names = [now[field.id].name for field in self.fields]
        ids = [field.id for field in fields]
        self.time = ids.index(source.table.time_field.id)


def _columns(source: Source, file: ArchiveFile) -> tuple[_Columns, Sequence[Field]]:
    """Raises ArchiveError when the table has no place for some of the file's values."""
    fields = source.fields_of(file)
    now = {field.id for field in source.table.fields}
    facts = file.columns
    for field in fields:
        if field.id not in now and not field.generated and facts[field.name]["nulls"] < file.rows:
            raise ArchiveError(
                f"{file.path} has values of column {field.name}, which {source.table.name} no "
                "longer has",
                hint="add the column again, or read the day with: gateway archive export",
            )
    return _Columns(source, fields), fields


def _chunks(
    source: Source, file: ArchiveFile, fields: Sequence[Field], columns: _Columns
) -> Iterator[Rows]:
    """The rows that the file answers for, latest first; rows of one raw time stay together."""
    chunk: Rows = []
    for row in _latest_first(source, file, fields, columns.time):
        moment = row[columns.time]
        if file.answers_until is not None and not moment < file.answers_until:
            continue
        if len(chunk) >= source.pace.rows and moment != chunk[-1][columns.time]:
            yield chunk
            chunk = []
        chunk.append(row)
    if chunk:
        yield chunk


def _latest_first(
    source: Source, file: ArchiveFile, fields: Sequence[Field], time: int
) -> Iterator[tuple[Any, ...]]:
    path, name = file.below(source.root), fields[time].name
    names = source.table.named(number for number in json.loads(file.row_order) if number)
    if names and names[0] == source.table.time:
        batches = read_backwards(path, fields)
    else:
        batches = (
            batch.take(_reversed(batch.num_rows))
            for batch in sorted_rows([path], fields, [name], descending=True)
        )
    for batch in batches:
        yield from reversed(list(raw_rows(batch, fields)))


def _reversed(rows: int) -> pa.Array:
    return arrow_array(range(rows - 1, -1, -1), pa.int64())


def _insert(source: Source, chunk: Rows, columns: _Columns, between: tuple[Any, Any]) -> None:
    """Insert rows and see that the table holds them, and nothing else that is new."""
    connection, table = source.connection, source.table
    forget_rows(source, columns.all_fields, chunk)
    before = _there(source, columns, between)
    marks = ", ".join(
        "iif(?, CAST(? AS TEXT), ?)" if field.kind is Kind.ANY else "?" for field in columns.fields
    )
    insert = sql(
        "INSERT INTO {table} ({names}) VALUES ({marks})",
        table=table.table,
        names=columns.names,
        marks=Fragment(marks),
    )
    try:
        with _silenced(source):
            connection.executemany(insert, (_values(row, columns) for row in chunk))
    except sqlite3.IntegrityError as error:
        raise ArchiveError(
            f"{table.name}: a row cannot come back: {error}",
            hint="a row of today's table is in its way, or one that it refers to is missing; the "
            "archive still answers",
        ) from None
    came = _there(source, columns, between) - before
    wanted = Counter(_typed(row[place] for place in columns.places) for row in chunk)
    if came != wanted:
        raise ArchiveError(
            f"{table.name}: rows differ after they were put back",
            hint="the archive still answers; does a trigger of the table change its rows?",
        )


@contextmanager
def _silenced(source: Source) -> Iterator[None]:
    """What the application does on new rows is not done again for rows that come back: its INSERT
    triggers are away for this part of the transaction, unless the table's line says otherwise.
    """
    connection = source.connection
    names = [name for event, name in source.table.shape.triggers if event == "INSERT"]
    if source.table.fire_triggers:
        names = []
    query = "SELECT sql FROM sqlite_schema WHERE type = 'trigger' AND name = ?"
    texts = [connection.execute(query, (name,)).fetchone() for name in names]
    for name in names:
        connection.execute(sql("DROP TRIGGER {name}", name=name))
    yield
    for found in texts:
        connection.execute(found[0])


def _there(source: Source, columns: _Columns, between: tuple[Any, Any]) -> Counter[tuple[Any, ...]]:
    name = quoted(source.table.time)
    start, end = between
    condition = f"{name} >= ?" + ("" if end is None else f" AND {name} < ?")
    query = sql(
        "SELECT {names} FROM {table} WHERE {condition}",
        names=columns.names,
        table=source.table.table,
        condition=Fragment(condition),
    )
    params = (start,) if end is None else (start, end)
    try:
        rows = source.connection.execute(query, params).fetchall()
    except sqlite3.OperationalError as error:
        if "decode" not in str(error):
            raise
        tolerate(source.connection)
        rows = source.connection.execute(query, params).fetchall()
    return Counter(_typed(row) for row in rows)


def _typed(row: Any) -> tuple[Any, ...]:
    """A row whose 1 differs from 1.0."""
    return tuple((type(value).__name__, value) for value in row)


def _values(row: tuple[Any, ...], columns: _Columns) -> list[Any]:
    values: list[Any] = []
    for place, field in zip(columns.places, columns.fields, strict=True):
        value = row[place]
        if field.kind is not Kind.ANY:
            values.append(value)
        elif isinstance(value, str):
            values += [1, value.encode("utf-8", "surrogateescape"), None]
        else:
            values += [0, None, value]
    return values
