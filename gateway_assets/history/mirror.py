"""Logs of a registry in PostgreSQL, copied to gateway.db, where they are archived and asked for.

A refresh reads the rows whose transaction the one before did not see: PostgreSQL keeps with each
row the number of the transaction that wrote it (xmin), and a snapshot tells the oldest one that
was still running (https://www.postgresql.org/docs/current/functions-info.html, pg_snapshot_xmin).
So a transaction that commits late is never missed, however late, and no clock is trusted. Rows
that come twice change nothing; rows that are removed there stay here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import Select, Table, select, text
from sqlalchemy.orm import Session

from gateway_assets import clock
from gateway_assets.errors import Busy, UsageError
from gateway_assets.files.appear import make_directory
from gateway_assets.files.lock import exclusive
from gateway_assets.history.copied import COPIED, Raw, as_raw, create, key_of, keys
from gateway_assets.history.late import Archived, bring_back
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import BUSY_SECONDS, translated, writing
from gateway_assets.registry.opened import opened_registry
from gateway_assets.registry.upgrade import COPY_PROGRESS
from gateway_assets.settings import Settings

ROWS = 1_000  # read and written at a time
WAIT_SECONDS = 30.0
_ATTEMPTS = 3  # the archive may take a day again that was just brought back
_XIDS = 2**32  # numbers of transactions as rows keep them; they are compared within half of it


class Mirrored(NamedTuple):
    """What a refresh did to one table."""

    table: str
    read: int
    added: int
    changed: int
    seconds: float


class _Seen(NamedTuple):
    """Up to where a server was read: every transaction before ``horizon`` is in the copy."""

    server: str
    horizon: int


def mirror(settings: Settings) -> list[Mirrored]:
    """Bring the copy up to date.

    Raises UsageError for a registry that is not in PostgreSQL, Busy while another process does it
    or the archive holds a day that changed, RegistryError and RegistryUnavailable for the server,
    StoreError for the copy. What was copied until then stays; the next refresh goes on.
    """
    if not settings.registry_url:
        raise UsageError(
            "the registry is gateway.db itself, there is nothing to copy",
            hint="only with registry_url",
        )
    path = settings.registry_database
    make_directory(path.parent)
    lock = settings.data_dir / "registry" / ".mirror"
    with (
        exclusive(lock, "a copy of the registry's logs", WAIT_SECONDS),
        opened_registry(settings) as registry,
        translated(path),
        closing(sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)) as copy,
    ):
        copy.execute("PRAGMA journal_mode=WAL")
        copy.execute("PRAGMA synchronous=FULL")
        with writing(copy):
            create(copy)
        done = []
        for table, by in COPIED:
            with registry.reading() as session:
                done.append(_refresh(session, copy, settings, table, by))
        return done


def _refresh(
    session: Session, copy: sqlite3.Connection, settings: Settings, table: Table, by: str
) -> Mirrored:
    started = time.monotonic()
    session.execute(text("SET TRANSACTION READ ONLY"))
    now = _seen_now(session, table)
    since = _seen_before(copy, table)
    batches = _Batches(copy, settings, table)
    for rows in _read(session, table, by, now, since):
        batches.take(rows)
    with writing(copy):
        copy.execute(
            f"INSERT OR REPLACE INTO {COPY_PROGRESS} VALUES (?, ?, ?, ?)",
            (table.name, *now, clock.now()),
        )
    seconds = time.monotonic() - started
    return Mirrored(table.name, batches.read, batches.added, batches.changed, seconds)


def _seen_now(session: Session, table: Table) -> _Seen:
    """What this transaction's snapshot sees. Another server, a restored one and a table made anew
    have other names: then everything is read again, and what is the same changes nothing.
    """
    row = session.execute(
        text(
            "SELECT system_identifier || '/' || timeline_id || '/' || CAST(:name AS regclass)::oid,"
            " pg_snapshot_xmin(pg_current_snapshot())::text"
            " FROM pg_control_system(), pg_control_checkpoint()"
        ),
        {"name": table.name},
    ).one()
    return _Seen(row[0], int(row[1]))


def _seen_before(copy: sqlite3.Connection, table: Table) -> _Seen | None:
    query = f"SELECT server, horizon FROM {COPY_PROGRESS} WHERE table_name = ?"
    row = copy.execute(query, (table.name,)).fetchone()
    return _Seen(*row) if row else None


def _read(
    session: Session, table: Table, by: str, now: _Seen, since: _Seen | None
) -> Iterator[list[Raw]]:
    """Rows in the order of their time, so that those of a day come together."""
    query: Select[Any] = select(*table.columns).order_by(table.c[by])
    if since and since.server == now.server and 0 <= now.horizon - since.horizon < _XIDS // 4:
        query = query.where(
            text(f"age({quoted(table.name)}.xmin) <= age(CAST(:horizon AS xid))")
        ).params(horizon=str(max(since.horizon % _XIDS, 3)))  # smaller ones have a meaning
    raw = as_raw(table)
    found = session.execute(query, execution_options={"yield_per": ROWS})
    for part in found.partitions(ROWS):
        yield [raw(row) for row in part]


class _Batches:
    """Puts rows into the copy, and counts."""

    def __init__(self, copy: sqlite3.Connection, settings: Settings, table: Table) -> None:
        self.read = self.added = self.changed = 0
        self._copy, self._settings, self._table = copy, settings, table
        self._archived = Archived(copy, settings, table)
        names = [column.name for column in table.columns]
        same = Fragment(" AND ".join(f"{quoted(name)} = ?" for name in key_of(table)))
        self._select = sql(
            "SELECT {names} FROM {table} WHERE {same}", names=names, table=table.name, same=same
        )
        self._insert = sql(
            "INSERT INTO {table} ({names}) VALUES ({marks})",
            table=table.name,
            names=names,
            marks=Fragment(", ".join("?" * len(names))),
        )
        self._update = sql(
            "UPDATE {table} SET {values} WHERE {same}",
            table=table.name,
            values=Fragment(", ".join(f"{quoted(name)} = ?" for name in names)),
            same=same,
        )

    def take(self, rows: Sequence[Raw]) -> None:
        self.read += len(rows)
        waiting: Sequence[Raw] = rows
        for _ in range(_ATTEMPTS):
            archived = self._put(waiting)
            waiting = bring_back(self._settings, self._table, archived) if archived else []
            if not waiting:
                return
        raise Busy(
            f"the archive takes rows of {self._table.name} that have changed as they come back",
            hint="try again later",
        )

    def _put(self, rows: Sequence[Raw]) -> list[tuple[int, Raw]]:
        """Insert and update; rows that are archived come back with their days.

        Under the write lock, so that no row is archived between looking and writing.
        """
        archived = []
        with writing(self._copy):
            for key, row in zip(keys(self._table, rows), rows, strict=True):
                there = self._copy.execute(self._select, key).fetchone()
                if there == row:
                    continue
                if there is not None:
                    self._copy.execute(self._update, (*row, *key))
                    self.changed += 1
                elif (day := self._archived.day(key)) is not None:
                    archived.append((day, row))
                else:
                    self._copy.execute(self._insert, row)
                    self.added += 1
        return archived
