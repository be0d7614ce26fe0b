"""SQLite files kept open for questions, and what is known of their tables as of one moment.

A table's columns and files are looked up again only when its schema or its manifest changed; both
are told within the very read transaction that the rows are read in.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from gateway_assets.archive import manifest
from gateway_assets.archive.reading import UndecodableText, tolerate
from gateway_assets.bridge.dialects import is_like
from gateway_assets.bridge.index import FileIndex
from gateway_assets.hot.store import reading
from gateway_assets.settings import Settings, config_file
from gateway_assets.tiers.built_in import built_in_lines, existing
from gateway_assets.tiers.catalog import Declared, catalog, find, open_database, tiered
from gateway_assets.tiers.tiered import Tiered

MOST_IDLE = 4
CACHE_KIB = 2_000  # of each connection; the kernel keeps the file in memory, too


class Look(NamedTuple):
    """A table and its files at one moment; ``version`` tells this moment from others."""

    table: Tiered
    files: FileIndex
    version: tuple[int, ...]
    is_utf8: bool  # so that SQLite orders texts as everybody else does


class Snapshot:
    """One read transaction in one database."""

    def __init__(self, connection: sqlite3.Connection, database: Database) -> None:
        self.connection = connection
        self._database = database

    def look(self, declared: Declared) -> Look:
        return self._database.look(self.connection, declared)


class Database:
    """The connections to one SQLite file, and what was last seen of its tables."""

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._idle: list[tuple[sqlite3.Connection, ExitStack]] = []
        self._seen: dict[str, tuple[object, Look]] = {}
        self._identity: tuple[int, int] | None = None
        self._lock = Lock()

    @contextmanager
    def reading(self, declared: Declared) -> Iterator[Snapshot]:
        """A read transaction. Raises UndecodableText once for a database with broken text; what
        was read must then be read again.
        """
        connection, opened = self._take(declared)
        try:
            with reading(connection):
                yield Snapshot(connection, self)
        except UndecodableText:
            tolerate(connection)
            self._give_back(connection, opened)
            raise
        except BaseException:
            opened.close()
            raise
        self._give_back(connection, opened)

    def version(self, declared: Declared) -> int:
        """What changes whenever a table's files do."""
        with self.reading(declared) as snapshot:
            return manifest.version(snapshot.connection, declared.name)

    def look(self, connection: sqlite3.Connection, declared: Declared) -> Look:
        (schema,) = connection.execute("PRAGMA schema_version").fetchone()
        version = manifest.version(connection, declared.name)
        key = (schema, version, declared.source)
        with self._lock:
            seen = self._seen.get(declared.name)
        if seen is not None and seen[0] == key:
            return seen[1]
        table = tiered(connection, declared, self._settings)
        (encoding,) = connection.execute("PRAGMA encoding").fetchone()
        look = Look(table, FileIndex(connection, table), (schema, version), encoding == "UTF-8")
        # Until something is archived, and of columns that came since, kinds are guessed from rows.
        if declared.own or (table.version and not table.changes):
            with self._lock:
                self._seen[declared.name] = (key, look)
        return look

    def close(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for _, opened in idle:
            opened.close()

    def _take(self, declared: Declared) -> tuple[sqlite3.Connection, ExitStack]:
        self._forget_replaced()
        with self._lock:
            if self._idle:
                return self._idle.pop()
        opened = ExitStack()
        connection = opened.enter_context(open_database(declared, any_thread=True))
        connection.execute("PRAGMA query_only=ON")
        connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        connection.execute("PRAGMA case_sensitive_like=ON")  # as in DuckDB
        connection.create_function("gateway_like", 2, is_like, deterministic=True)
        return connection, opened

    def _give_back(self, connection: sqlite3.Connection, opened: ExitStack) -> None:
        with self._lock:
            if len(self._idle) < MOST_IDLE:
                self._idle.append((connection, opened))
                return
        opened.close()

    def _forget_replaced(self) -> None:
        """A file that another one took the place of must not answer any more."""
        try:
            stat = self._path.stat()
        except OSError:
            identity = None
        else:
            identity = (stat.st_dev, stat.st_ino)
        if identity != self._identity:
            self.close()
            with self._lock:
                self._seen.clear()
                self._identity = identity


class Databases:
    """Every declared table by name, and the database it is in."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[Path, Database] = {}
        self._catalog: tuple[Declared, ...] = ()
        self._read: object = None

    def catalog(self) -> tuple[Declared, ...]:
        """All declared tables; looked up again when their files changed or came."""
        files = (config_file(), self._settings.data_dir / "tables.toml")
        now = (*map(_changed, files), existing(built_in_lines(self._settings)))
        if now != self._read:
            self._catalog, self._read = catalog(self._settings), now
        return self._catalog

    def find(self, model_or_table: Any) -> Declared:
        for declared in self.catalog():
            if declared.name == model_or_table:
                return declared
        return find(self._settings, model_or_table)

    def of(self, declared: Declared) -> Database:
        return self._open.setdefault(declared.database, Database(declared.database, self._settings))

    def close(self) -> None:
        for database in self._open.values():
            database.close()


def _changed(path: Path) -> tuple[int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size
