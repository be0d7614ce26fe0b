"""The manifest: which Parquet file holds which rows of which day. It is truth; the files follow.

    writing     reserved: the file is being made; any change of the day's rows calls it off
    published   the file answers for its rows; copies of them stand hidden in the hot table, of
                those with a raw time in ``[hidden_from, hidden_until)``
    archived    the file is the only place of its rows; with ``answers_until``, only of those
                with a raw time before that
    retired     superseded: its rows are elsewhere, the file goes

It stands in the database of the table, because one transaction must publish a file and hide its
hot rows, and SQLite commits atomically only within one file when it runs in WAL mode. Its tables
use nothing that older SQLite libraries of other applications could not read. Paths are relative to
the archive's root, so a data directory can be moved.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import dataclass
from itertools import zip_longest
from math import isinf
from pathlib import Path
from typing import Any

from gateway_assets import clock
from gateway_assets.table import Table
from gateway_assets.tiers.catalog import has_table
from gateway_assets.tiers.fields import to_json
from gateway_assets.tiers.tiered import Tiered

HASH_ALGORITHM = "sha256-streams-1"
FILES = "gateway_archive_files"
DDL = """
CREATE TABLE IF NOT EXISTS gateway_archive_files (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    day INTEGER NOT NULL,
    path TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('writing', 'published', 'archived', 'retired')),
    staged TEXT NOT NULL DEFAULT '',
    day_from NOT NULL,
    hidden_from NOT NULL,
    hidden_until NOT NULL,
    answers_until,
    time_format TEXT NOT NULL,
    let_go TEXT NOT NULL,
    row_order TEXT NOT NULL,
    rows INTEGER,
    size INTEGER,
    first_time INTEGER,
    last_time INTEGER,
    columns TEXT,
    content_hash TEXT,
    hash_algorithm TEXT,
    sha256 TEXT,
    schema_version INTEGER,
    published_at INTEGER,
    changed_at INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS gateway_archive_files_day
    ON gateway_archive_files (table_name, day, state);
CREATE INDEX IF NOT EXISTS gateway_archive_files_open
    ON gateway_archive_files (table_name, hidden_from)
    WHERE state IN ('writing', 'published');
CREATE INDEX IF NOT EXISTS gateway_archive_files_unfinished
    ON gateway_archive_files (number) WHERE state IN ('writing', 'retired') OR staged <> '';
CREATE TABLE IF NOT EXISTS gateway_archive_schemas (
    table_name TEXT NOT NULL,
    version INTEGER NOT NULL,
    columns TEXT NOT NULL,
    dropped TEXT NOT NULL,
    time_format TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (table_name, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateway_archive_holds (
    table_name TEXT NOT NULL,
    day INTEGER NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (table_name, day)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateway_archive_removed (
    number INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    day INTEGER NOT NULL,
    reason TEXT NOT NULL,
    rows INTEGER NOT NULL,
    sums TEXT NOT NULL,
    removed_at INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_archive_months (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    table_name TEXT NOT NULL,
    month TEXT NOT NULL,
    path TEXT NOT NULL UNIQUE,
    covers TEXT NOT NULL,
    rows INTEGER NOT NULL,
    size INTEGER NOT NULL,
    first_time INTEGER NOT NULL,
    last_time INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    schema_version INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS gateway_archive_facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS gateway_archive_versions (
    table_name TEXT PRIMARY KEY,
    version INTEGER NOT NULL
) WITHOUT ROWID;
"""
MONTHS = "gateway_archive_months"
# A new version of a table's manifest is a random number, so that one is never met again, also
# after the database was restored from a backup. OR IGNORE would obey the statement of an
# application that fired this: https://www.sqlite.org/lang_createtrigger.html
_NEW_VERSION = """
CREATE TRIGGER IF NOT EXISTS {table}_{event} AFTER {event} ON {table} BEGIN
    INSERT INTO gateway_archive_versions SELECT {row}.table_name, 0
    WHERE NOT EXISTS (SELECT 1 FROM gateway_archive_versions WHERE table_name = {row}.table_name);
    UPDATE gateway_archive_versions SET version = random() WHERE table_name = {row}.table_name;
END
"""
_FIELDS = (
    "number, table_name, day, path, state, staged, day_from, hidden_from, hidden_until, "
    "answers_until, time_format, let_go, row_order, rows, size, first_time, last_time, columns, "
    "content_hash, sha256, schema_version, published_at"
)


@dataclass(slots=True)
class ColumnFacts:
    """One column of a file: smallest and largest value, number of NULLs, sum where it has one.

    Times are microseconds since the epoch. Long texts and bytes have no smallest and largest.
    """

    min: Any = None
    max: Any = None
    nulls: int = 0
    sum: int | None = None

    def shortly(self) -> list[Any]:
        """As the manifest keeps it: what is missing at the end is unknown. JSON has no infinity."""
        if any(isinstance(end, float) and isinf(end) for end in (self.min, self.max)):
            values = [False, False, self.nulls, self.sum]
        else:
            values = [self.min, self.max, self.nulls, self.sum]
        return values if self.sum is not None else values[:3]


@dataclass(slots=True)
class Facts:
    """What the manifest keeps of the rows of a file. Times are microseconds since the epoch."""

    rows: int
    columns: dict[str, ColumnFacts]
    content_hash: str
    first_time: int
    last_time: int


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One row of the manifest."""

    number: int
    table_name: str
    day: int
    path: str
    state: str
    staged: str
    day_from: Any
    hidden_from: Any
    hidden_until: Any
    answers_until: Any
    time_format: str
    let_go: str  # the ``where`` under which rows were archived
    row_order: str
    rows: int
    size: int
    first_time: int
    last_time: int
    columns_text: str
    content_hash: str
    sha256: str
    schema_version: int
    published_at: int

    @property
    def columns(self) -> dict[str, dict[str, Any]]:
        """Facts by column; parsed when asked for, since a long history has many files."""
        names = ("min", "max", "nulls", "sum")
        parsed: dict[str, list[Any]] = json.loads(self.columns_text)
        return {name: dict(zip_longest(names, facts)) for name, facts in parsed.items()}

    def below(self, root: Path) -> Path:
        """Where the file is: at its place, or, while it is being swapped in, still beside it."""
        if self.staged and (root / self.staged).exists():
            return root / self.staged
        return root / self.path


def create_manifest(connection: sqlite3.Connection) -> None:
    """Add the manifest to a database, in the caller's transaction."""
    for statement in filter(str.strip, DDL.split(";\n")):
        connection.execute(statement)
    for table in (FILES, MONTHS):
        for event, row in (("insert", "NEW"), ("update", "NEW"), ("delete", "OLD")):
            connection.execute(_NEW_VERSION.format(table=table, event=event, row=row))


def version(connection: sqlite3.Connection, table_name: str) -> int:
    """What changes whenever the manifest of a table does; 0 while there is none."""
    if not has_table(connection, "gateway_archive_versions"):
        return 0
    query = "SELECT version FROM gateway_archive_versions WHERE table_name = ?"
    row = connection.execute(query, (table_name,)).fetchone()
    return int(row[0]) if row else 0


def live_files(
    connection: sqlite3.Connection,
    table: Tiered,
    day: int | None = None,
    *,
    start: int | None = None,
    end: int | None = None,
) -> list[ArchiveFile]:
    """The files that answer for rows of a table, in the order of days: all of them, of one day,
    or those that may have rows in the moments ``[start, end)``.
    """
    where = "table_name = ? AND state IN ('published', 'archived')"
    params: list[Any] = [table.name]
    for condition, value in (
        ("day = ?", day),
        ("last_time >= ?", start),
        ("first_time < ?", end),
    ):
        if value is not None:
            where += f" AND {condition}"
            params.append(value)
    return select(connection, where, params, "day, number")


def select(
    connection: sqlite3.Connection, where: str, params: list[Any], order: str = "number"
) -> list[ArchiveFile]:
    """Rows of the manifest by a condition that this project wrote; none without a manifest."""
    if not has_table(connection, FILES):
        return []
    query = f"SELECT {_FIELDS} FROM {FILES} WHERE {where} ORDER BY {order}"
    return [ArchiveFile(*row) for row in connection.execute(query, params)]


def file_numbered(connection: sqlite3.Connection, number: int) -> ArchiveFile | None:
    found = select(connection, "number = ?", [number])
    return found[0] if found else None


def live_days(connection: sqlite3.Connection, table: Tiered) -> dict[int, set[str]]:
    """Every archived day, with the states of its files. Reads the index only."""
    if not has_table(connection, FILES):
        return {}
    days: dict[int, set[str]] = {}
    query = f"""
        SELECT DISTINCT day, state FROM {FILES}
        WHERE table_name = ? AND state IN ('published', 'archived')
    """
    for day, state in connection.execute(query, (table.name,)):
        days.setdefault(day, set()).add(state)
    return days


def live_paths(connection: sqlite3.Connection) -> set[str]:
    """The paths of all files that answer for rows, also of tables no longer declared."""
    if not has_table(connection, FILES):
        return set()
    query = f"SELECT path FROM {FILES} WHERE state IN ('published', 'archived')"
    return {path for (path,) in connection.execute(query)}


def unfinished(connection: sqlite3.Connection) -> list[ArchiveFile]:
    """What a killed archiver left: reservations, superseded files, files not swapped in yet."""
    where = "(state IN ('writing', 'retired') OR staged <> '')"
    return select(connection, where, [])


def reserve(connection: sqlite3.Connection, table: Tiered, day: int, path: str) -> int:
    """Begin a file: from here on, any change of the day's rows calls it off. Its number."""
    start, end = table.written.bounds(day)
    cursor = connection.execute(
        f"INSERT INTO {FILES} (table_name, day, path, state, day_from, hidden_from, hidden_until, "
        "time_format, let_go, row_order, changed_at) "
        "VALUES (?, ?, ?, 'writing', ?, ?, ?, ?, ?, ?, ?)",
        (
            table.name,
            day,
            path,
            start,
            start,
            end,
            table.written.name,
            table.pinned_where,
            json.dumps(table.order_ids),
            clock.now(),
        ),
    )
    number = cursor.lastrowid
    assert number is not None
    return number


def fill(
    connection: sqlite3.Connection,
    number: int,
    state: str,
    facts: Facts,
    *,
    size: int,
    sha256: str,
    version: int,
) -> None:
    """Complete a reserved row: with ``published`` this is what publishes and hides."""
    moment = clock.now()
    columns = json.dumps(
        {name: column.shortly() for name, column in facts.columns.items()}, separators=(",", ":")
    )
    connection.execute(
        f"UPDATE {FILES} SET state = ?, rows = ?, size = ?, first_time = ?, last_time = ?, "
        "columns = ?, content_hash = ?, hash_algorithm = ?, sha256 = ?, schema_version = ?, "
        "published_at = ?, changed_at = ? WHERE number = ?",
        (
            state,
            facts.rows,
            size,
            facts.first_time,
            facts.last_time,
            columns,
            facts.content_hash,
            HASH_ALGORITHM,
            sha256,
            version,
            moment,
            moment,
            number,
        ),
    )


def update(connection: sqlite3.Connection, number: int, **values: Any) -> None:
    """Set columns of one row of the manifest."""
    names = ", ".join(f"{name} = ?" for name in values)
    connection.execute(
        f"UPDATE {FILES} SET {names}, changed_at = ? WHERE number = ?",
        (*values.values(), clock.now(), number),
    )


def forget(connection: sqlite3.Connection, number: int) -> None:
    connection.execute(f"DELETE FROM {FILES} WHERE number = ?", (number,))


def save_schema(connection: sqlite3.Connection, table: Tiered) -> int:
    """Store the columns as they are now when they differ from the last version; its number."""
    columns, dropped = to_json(table.fields), to_json(table.dropped)
    row = connection.execute(
        "SELECT version, columns, dropped FROM gateway_archive_schemas WHERE table_name = ? "
        "ORDER BY version DESC LIMIT 1",
        (table.name,),
    ).fetchone()
    if row and row[1:] == (columns, dropped):
        return int(row[0])
    version = row[0] + 1 if row else 1
    connection.execute(
        "INSERT INTO gateway_archive_schemas VALUES (?, ?, ?, ?, ?, ?)",
        (table.name, version, columns, dropped, table.written.name, clock.now()),
    )
    return int(version)


def held_days(connection: sqlite3.Connection, table: Tiered) -> dict[int, int]:
    """Days that were restored, and until when they stay hot."""
    if not has_table(connection, "gateway_archive_holds"):
        return {}
    query = "SELECT day, until FROM gateway_archive_holds WHERE table_name = ?"
    return dict(connection.execute(query, (table.name,)).fetchall())


def fact(connection: sqlite3.Connection, name: str) -> str:
    """A fact kept in the database, or an empty text."""
    if not has_table(connection, "gateway_archive_facts"):
        return ""
    query = "SELECT value FROM gateway_archive_facts WHERE name = ?"
    row = connection.execute(query, (name,)).fetchone()
    return str(row[0]) if row else ""


def set_fact(connection: sqlite3.Connection, name: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO gateway_archive_facts VALUES (?, ?)", (name, value))


def count_removed(
    connection: sqlite3.Connection,
    table: Tiered | Table,
    day: int,
    reason: str,
    rows: int,
    sums: Any,
) -> None:
    """Remember rows that were removed on purpose, so that totals still add up."""
    if rows:
        connection.execute(
            "INSERT INTO gateway_archive_removed "
            "(table_name, day, reason, rows, sums, removed_at) VALUES (?, ?, ?, ?, ?, ?)",
            (table.name, day, reason, rows, json.dumps(sums), clock.now()),
        )


def part_path(table: Tiered, day: int) -> str:
    """A new file name for a day, relative to the archive's root; never the same twice."""
    year, month, number = clock.day_text(day).split("-")
    name = f"part-{clock.compact(clock.now())}-{secrets.token_hex(4)}.parquet"
    return f"{table.name}/year={year}/month={month}/day={number}/{name}"
