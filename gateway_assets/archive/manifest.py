"""The manifest: which Parquet file holds which rows of which day. It is truth; the files follow.

    published   the file answers for its rows; copies of them may still stand hidden in hot
    archived    the file is the only place of its rows
    retired     superseded: its rows are elsewhere, the file goes

Paths are relative to the archive's root, so a data directory can be moved.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gateway_assets import clock
from gateway_assets.table import Table

HASH_ALGORITHM = "sha256-streams-1"
SCHEMA_VERSION = 1
_FIELDS = (
    "number, table_name, day, path, state, rows, size, first_id, last_id, first_time, last_time, "
    "columns, content_hash, sha256, published_at"
)


@dataclass(slots=True)
class ColumnFacts:
    """One column of a file: smallest and largest value, number of NULLs, sum where it has one.

    Times are microseconds since the epoch.
    """

    min: Any = None
    max: Any = None
    nulls: int = 0
    sum: int | None = None


@dataclass(slots=True)
class Facts:
    """What the manifest keeps of the rows of a file."""

    rows: int
    columns: dict[str, ColumnFacts]
    content_hash: str


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One row of the manifest."""

    number: int
    table_name: str
    day: int
    path: str
    state: str
    rows: int
    size: int
    first_id: int
    last_id: int
    first_time: int
    last_time: int
    columns: dict[str, dict[str, Any]]
    content_hash: str
    sha256: str
    published_at: int

    def below(self, root: Path) -> Path:
        return root / self.path


def live_files(
    connection: sqlite3.Connection, table: Table, day: int | None = None
) -> list[ArchiveFile]:
    """The files that answer for rows of a table, or of one of its days, in the order of days."""
    query = f"""
        SELECT {_FIELDS} FROM archive_files
        WHERE table_name = ? AND state IN ('published', 'archived') AND (? IS NULL OR day = ?)
        ORDER BY day, number
    """  # noqa: S608  a constant list of columns
    return [_file(row) for row in connection.execute(query, (table.name, day, day))]


def live_paths(connection: sqlite3.Connection) -> set[str]:
    """The paths of all files that answer for rows, also of tables no longer declared."""
    query = "SELECT path FROM archive_files WHERE state <> 'retired'"
    return {path for (path,) in connection.execute(query)}


def retired_files(connection: sqlite3.Connection) -> list[ArchiveFile]:
    query = f"SELECT {_FIELDS} FROM archive_files WHERE state = 'retired'"  # noqa: S608  constant
    return [_file(row) for row in connection.execute(query)]


def publish(
    connection: sqlite3.Connection, table: Table, day: int, path: str, facts: Facts, **file: Any
) -> None:
    """Insert the row that publishes a file and hides its hot rows. ``file``: size and sha256."""
    ids, times = facts.columns["id"], facts.columns["time"]
    moment = clock.now()
    connection.execute(
        """
        INSERT INTO archive_files (
            table_name, day, path, state, rows, size, first_id, last_id, first_time, last_time,
            columns, content_hash, hash_algorithm, sha256, schema_version, published_at, changed_at
        ) VALUES (?, ?, ?, 'published', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            table.name,
            day,
            path,
            facts.rows,
            file["size"],
            ids.min,
            ids.max,
            times.min,
            times.max,
            json.dumps({name: asdict(column) for name, column in facts.columns.items()}),
            facts.content_hash,
            HASH_ALGORITHM,
            file["sha256"],
            SCHEMA_VERSION,
            moment,
            moment,
        ),
    )


def set_state(connection: sqlite3.Connection, file: ArchiveFile, state: str) -> None:
    connection.execute(
        "UPDATE archive_files SET state = ?, changed_at = ? WHERE number = ?",
        (state, clock.now(), file.number),
    )


def forget(connection: sqlite3.Connection, file: ArchiveFile) -> None:
    connection.execute("DELETE FROM archive_files WHERE number = ?", (file.number,))


def _file(row: tuple[Any, ...]) -> ArchiveFile:
    fields = list(row)
    fields[11] = json.loads(fields[11])
    return ArchiveFile(*fields)
