"""The ledger: which landing files are in, for ever, and what they added up to.

A file that was loaded lately has a row of its own in ``loaded_files``. Later, those of one writer
and day become one row of ``loaded_days``: names with CRC-32s, and totals. Nothing that tells a file
from another is lost, so a file that comes back after years is known as well as one of today, and
one that comes late for the first time is loaded.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from gateway_assets import clock
from gateway_assets.files.landing import Landed
from gateway_assets.hot.counters import Counted
from gateway_assets.hot.names import divided, packed, unpacked
from gateway_assets.hot.store import writing
from gateway_assets.table import Table

# Beyond the time that loaded files stay on disk. Checks look at the files of the last 24 hours.
OWN_ROW = 2 * clock.DAY
AT_ONCE = 500  # rows put together in one transaction


class Known:
    """What the ledger says of names, for as long as the caller holds the write lock.

    Files come in the order of names, so the names of a writer's day are unpacked once.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._prefix: str | None = None
        self._crc32s: dict[str, str] = {}

    def crc32(self, name: str) -> str | None:
        """The CRC-32 of the file that was loaded under this name; None when none was."""
        query = "SELECT crc32 FROM loaded_files WHERE name = ?"
        row = self._connection.execute(query, (name,)).fetchone()
        if row:
            return str(row[0])
        prefix, tail = divided(name)
        if prefix != self._prefix:
            self._prefix, self._crc32s = prefix, self._unpacked(prefix)
        return self._crc32s.get(tail)

    def _unpacked(self, prefix: str) -> dict[str, str]:
        query = "SELECT tails, crc32s FROM loaded_days WHERE prefix = ?"
        crc32s: dict[str, str] = {}
        for blobs in self._connection.execute(query, (prefix,)):
            crc32s |= unpacked(*blobs)
        return crc32s


def enter(connection: sqlite3.Connection, table: Table, landed: Landed, first_id: int) -> None:
    """Remember a file, in the transaction that inserts its rows."""
    connection.execute(
        "INSERT INTO loaded_files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            landed.name,
            table.name,
            first_id,
            landed.rows,
            _sums_text(landed.sums),
            landed.crc32,
            landed.complete,
            landed.size,
            clock.now(),
            json.dumps(landed.facts) if landed.facts else None,
        ),
    )


def totals(connection: sqlite3.Connection, table: Table) -> Iterator[tuple[int, dict[str, int]]]:
    """Rows and sums of all files ever loaded, in parts; a sum that is not there is 0."""
    query = """
        SELECT rows, sums FROM loaded_files WHERE table_name = :table
        UNION ALL SELECT rows, sums FROM loaded_days WHERE table_name = :table
    """
    for rows, sums in connection.execute(query, {"table": table.name}):
        yield rows, json.loads(sums)


def has_loaded(connection: sqlite3.Connection, table: Table) -> bool:
    """Whether any file was ever loaded into a table."""
    return next(totals(connection, table), None) is not None


def loaded_since(connection: sqlite3.Connection, table: Table, moment: int) -> tuple[int, int]:
    """How many files were loaded from a moment on, and how many of them are incomplete.

    A moment of the last two days: older files have no rows of their own.
    """
    query = """
        SELECT count(*), count(*) FILTER (WHERE NOT complete) FROM loaded_files
        WHERE table_name = ? AND loaded_at >= ?
    """
    files, incomplete = connection.execute(query, (table.name, moment)).fetchone()
    return files, incomplete


def least_coverage(
    connection: sqlite3.Connection, table: Table, moment: int
) -> tuple[float, str] | None:
    """Of the files loaded from a moment of the last two days on, that which saw the smallest part
    of what the kernel counted, and that part; None when no file tells.
    """
    query = """
        SELECT json_extract(facts, '$.coverage') AS coverage, name FROM loaded_files
        WHERE table_name = ? AND loaded_at >= ?
            AND json_type(facts, '$.coverage') IN ('real', 'integer')
        ORDER BY coverage LIMIT 1
    """
    found: tuple[float, str] | None = connection.execute(query, (table.name, moment)).fetchone()
    return found


def shorten(connection: sqlite3.Connection, table: Table, keep: int) -> int:
    """Put the rows of files together that were loaded longer than ``keep`` microseconds and
    ``OWN_ROW`` ago; how many files.

    By whole days of loading, so that a row of ``loaded_days`` is not written again every minute.
    """
    before, _ = clock.day_range(clock.day_of(clock.now() - keep - OWN_ROW))
    shortened = 0
    while _has_older(connection, table, before):
        with writing(connection):
            shortened += _shorten(connection, table, before)
    return shortened


def _has_older(connection: sqlite3.Connection, table: Table, before: int) -> bool:
    query = "SELECT 1 FROM loaded_files WHERE table_name = ? AND loaded_at < ? LIMIT 1"
    return connection.execute(query, (table.name, before)).fetchone() is not None


class _File(NamedTuple):
    name: str
    rows: int
    sums: str
    crc32: str
    complete: int
    facts: str | None


def _shorten(connection: sqlite3.Connection, table: Table, before: int) -> int:
    query = """
        SELECT name, rows, sums, crc32, complete, facts FROM loaded_files
        WHERE table_name = ? AND loaded_at < ? ORDER BY loaded_at LIMIT ?
    """
    found = connection.execute(query, (table.name, before, AT_ONCE))
    files = sorted(itertools.starmap(_File, found))
    for prefix, group in itertools.groupby(files, key=lambda file: divided(file.name)[0]):
        _put_together(connection, table, prefix, list(group))
    names = json.dumps([file.name for file in files])
    gone = "DELETE FROM loaded_files WHERE name IN (SELECT value FROM json_each(?))"
    connection.execute(gone, (names,))
    return len(files)


def _put_together(
    connection: sqlite3.Connection, table: Table, prefix: str, files: Sequence[_File]
) -> None:
    rows, sums, counted, crc32s = _together(connection, table, prefix)
    for file in files:
        crc32s[divided(file.name)[1]] = file.crc32
        rows += file.rows
        own = json.loads(file.sums)
        for name, value in own.items():
            sums[name] = sums.get(name, 0) + value
        facts = json.loads(file.facts) if file.facts else {}
        counted.add_file(sum(own.values()), facts, is_complete=bool(file.complete))
    connection.execute(
        "INSERT OR REPLACE INTO loaded_days VALUES (?, ?, ?, ?, ?, ?, ?)",
        (prefix, table.name, rows, _sums_text(sums), counted.text(), *packed(crc32s)),
    )


def _together(
    connection: sqlite3.Connection, table: Table, prefix: str
) -> tuple[int, dict[str, int], Counted, dict[str, str]]:
    """What is together already of a writer's day: rows, sums, counters, CRC-32s by tail."""
    query = """
        SELECT rows, sums, counters, tails, crc32s FROM loaded_days
        WHERE prefix = ? AND table_name = ?
    """
    found = connection.execute(query, (prefix, table.name)).fetchone()
    counted = Counted()
    if not found:
        return 0, {}, counted, {}
    rows, sums, counters, *blobs = found
    counted.add(counters)
    return rows, json.loads(sums), counted, unpacked(*blobs)


def _sums_text(sums: Mapping[str, int]) -> str:
    return json.dumps({name: value for name, value in sums.items() if value})
