"""Rows that are archived already, laid out where SQLite can aggregate them.

Only a roll-up that is younger than its rows, or has to group them again, needs them, and a summary,
which looks at all rows of a day; late rows are always hot. They are copied to a temporary table for
each table, so that no day has to come back to the hot table to be read once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway_assets.archive.filters import answering_rows
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.rows import raw_rows
from gateway_assets.archive.source import Source
from gateway_assets.archive.verify import check_whole
from gateway_assets.hot.sql import Fragment, quoted, sql


def copies(source: Source) -> Fragment:
    """The temporary table for copies of a table's rows."""
    return Fragment(f"temp.{quoted('gateway_rollup_rows_' + source.table.name)}")


def waiting_files(source: Source, day: int, ranges: Sequence[tuple[int, int]]) -> list[ArchiveFile]:
    """The files of a day that may hold rows whose ids are in one of these ranges."""
    found = []
    for file in live_files(source.connection, source.table, day):
        ids = file.columns["id"]
        if any(first <= ids["max"] and ids["min"] <= last for first, last in ranges):
            found.append(file)
    return found


def answers(files: Sequence[ArchiveFile]) -> list[tuple[int, str, object]]:
    """What tells whether files still hold the same rows and answer for the same of them."""
    return [(file.number, file.sha256, file.answers_until) for file in files]


def copy_rows(source: Source, files: Sequence[ArchiveFile], columns: Sequence[str]) -> None:
    """Fill the temporary table with what the files answer for.

    Raises ArchiveDamaged when a file is missing or is not what the manifest says.
    """
    connection, table = source.connection, copies(source)
    forget_rows(source)
    connection.execute(sql("CREATE TABLE {copies} ({columns})", copies=table, columns=columns))
    for file in files:
        check_whole([file], source.fields_of(file), source.root)
        for names, rows in _rows(source, file, columns):
            marks = Fragment(", ".join("?" * len(names)))
            insert = "INSERT INTO {copies} ({names}) VALUES ({marks})"
            connection.executemany(sql(insert, copies=table, names=names, marks=marks), rows)


def forget_rows(source: Source) -> None:
    source.connection.execute(sql("DROP TABLE IF EXISTS {copies}", copies=copies(source)))


def _rows(
    source: Source, file: ArchiveFile, columns: Sequence[str]
) -> Iterator[tuple[list[str], Iterator[tuple[object, ...]]]]:
    """Names and rows, batch by batch. A file may be older than some columns; those are NULL."""
    fields = source.fields_of(file)
    wanted = [field for field in fields if field.name in columns]
    names = [field.name for field in wanted]
    for batch in answering_rows(source, file, fields):
        yield names, raw_rows(batch.select(names), wanted)
