"""What every step of the archive works with: a table, its database, and where files go."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.pace import Pace
from gateway_assets.errors import ArchiveDamaged, StoreError
from gateway_assets.hot.store import writing, writing_lightly
from gateway_assets.tiers.catalog import stored_schema
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

CHECKPOINT_SECONDS = 0.05  # of locking: some thousand pages


@dataclass(slots=True)
class Source:
    """``table`` may widen on the way, when values come that its columns do not hold."""

    connection: sqlite3.Connection
    table: Tiered
    root: Path
    batch_size: int = 10_000
    memory: int = 32 * 2**20  # bytes of rows held at a time
    pace: Pace = field(default_factory=Pace)
    fresh: set[int] = field(default_factory=set)  # files verified by this very run
    span: int = 0  # of raw time in the last chunk, see ``chunks.by_spans``
    _unchecked: float = 0.0

    @contextmanager
    def writing(self, rows: int = 0, *, lightly: bool = False) -> Iterator[None]:
        """One write transaction at the table's pace; ``rows`` it moves, when they can adapt to it.

        The log is checkpointed by ``checkpoint`` and not inside a COMMIT, so that its time is not
        one of locking.
        """
        self.pace.wait(rows)
        with writing_lightly(self.connection) if lightly else writing(self.connection):
            started = time.monotonic()
            yield
        seconds = time.monotonic() - started
        self.pace.locked_for(seconds, rows)
        self._unchecked += seconds
        if self._unchecked > CHECKPOINT_SECONDS:
            self.checkpoint()

    def checkpoint(self) -> None:
        """Copy the log into the database as far as no reader needs it; nobody waits for that."""
        self.connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._unchecked = 0.0

    def fields_of(self, file: ArchiveFile) -> tuple[Field, ...]:
        """The columns a file was written with."""
        return file_fields(self.connection, file)

    def check_in_place(self) -> None:
        """Raise StoreError when the database file is not the one that is open here."""
        path = self.table.database
        (opened,) = (
            row[2] for row in self.connection.execute("PRAGMA database_list") if row[1] == "main"
        )
        if not path.exists() or not Path(opened).exists():
            raise StoreError(f"{path} was removed while it was being archived")
        links = Path("/proc/self/fd")
        inode = path.stat().st_ino
        if links.is_dir() and not any(_inode(link) == inode for link in links.iterdir()):
            raise StoreError(
                f"{path} was replaced while it was being archived",
                hint="nothing more was moved; run again to archive the new file",
            )


def file_fields(connection: sqlite3.Connection, file: ArchiveFile) -> tuple[Field, ...]:
    return schema_fields(connection, file.table_name, file.schema_version)


def schema_fields(connection: sqlite3.Connection, table: str, version: int) -> tuple[Field, ...]:
    """The columns of a table's files of one version."""
    found = stored_schema(connection, table, version)
    if found is None:
        raise ArchiveDamaged(
            f"{table}: the columns of its files (version {version}) are not in the database",
            hint="restore the database from a backup",
        )
    fields: tuple[Field, ...] = found[1]["fields"]
    return fields


def _inode(link: Path) -> int:
    try:
        return link.stat().st_ino
    except OSError:
        return -1
