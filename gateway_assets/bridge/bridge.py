"""UnifiedQueryBridge: SQL over the declared tables, hot and cold as one."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from gateway_assets.archive.source import file_fields
from gateway_assets.archive.verify import damage
from gateway_assets.bridge.guard import check_statement, lock, locked_session, refusal
from gateway_assets.bridge.scans import Need, needs
from gateway_assets.bridge.tiers import Tiers, damaged, read_tiers
from gateway_assets.bridge.views import readable, show
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, catalog, find, open_database, tiered
from gateway_assets.tiers.tiered import Tiered

MOVED_TRIES = 3
# What a statement can bring about with all files whole.
_OWN_ERRORS = (
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.ConversionException,
    duckdb.InterruptException,
    duckdb.OutOfMemoryException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
    duckdb.PermissionException,
)
Relation = duckdb.DuckDBPyRelation
Answer = TypeVar("Answer")
Take = Callable[[Relation], Answer]


class UnifiedQueryBridge:
    """Answers SQL over every declared table, whichever tier a row is in."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def sql(self, text: str, params: Sequence[Any] = ()) -> pa.Table:
        """The answer of one SELECT as an Arrow table; times in UTC, parameters as ``?`` or ``$1``.

        Raises QueryError for what is not a SELECT or cannot be answered, ArchiveDamaged when a
        file that the answer needs is missing or broken.
        """
        return self._answer(text, params, lambda relation: relation.to_arrow_table())

    def rows(self, text: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The same as one dict a row, with Python's own types."""
        return self._answer(text, params, _dicts)

    def _answer(
        self, text: str, params: Sequence[Any], take: Callable[[Relation], Answer]
    ) -> Answer:
        check_statement(text)
        for _ in range(MOVED_TRIES - 1):
            try:
                return self._try(text, params, take)
            except ArchiveDamaged:
                # A file may have been restored or replaced since its name was read.
                continue
        return self._try(text, params, take)

    def _try(self, text: str, params: Sequence[Any], take: Take[Answer]) -> Answer:
        with locked_session(self._settings) as session, ExitStack() as open_until_read:
            opened = self._opened(text, open_until_read)
            needed = needs(session, text, params, [table for _, table in opened])
            tiers = self._read(opened, needed)
            open_until_read.close()
            try:
                for tier in tiers:
                    show(session, tier)
                lock(session, self._settings.archive.parent)
                return take(session.sql(text, params=list(params) or None))
            except duckdb.Error as error:
                raise self._explained(error, tiers) from error

    def _opened(self, text: str, stack: ExitStack) -> list[tuple[sqlite3.Connection, Tiered]]:
        """The tables of a statement, those of one database by one connection."""
        connections: dict[Path, sqlite3.Connection] = {}
        opened = []
        for declared in tables_in(text, self._settings):
            if declared.database not in connections:
                connections[declared.database] = stack.enter_context(open_database(declared))
            connection = connections[declared.database]
            opened.append((connection, tiered(connection, declared, self._settings)))
        return opened

    def _read(
        self, opened: list[tuple[sqlite3.Connection, Tiered]], needed: dict[str, Need]
    ) -> list[Tiers]:
        grouped: dict[sqlite3.Connection, list[tuple[Tiered, Need]]] = {}
        for connection, table in opened:
            grouped.setdefault(connection, []).append((table, needed[table.name]))
        return [
            tiers
            for connection, wanted in grouped.items()
            for tiers in read_tiers(connection, wanted, self._settings.archive)
        ]

    def _explained(self, error: duckdb.Error, tiers: Collection[Tiers]) -> Exception:
        """An error of reading a file names the file; any other is the query's own."""
        if not isinstance(error, _OWN_ERRORS):
            for tier in tiers:
                found = self._damage(tier)
                if found:
                    return damaged(tier.table, found)
        return refusal(error)

    def _damage(self, tiers: Tiers) -> str:
        """What is wrong with the first damaged file; a monthly copy is dropped by name only."""
        declared = find(self._settings, tiers.table.name)
        with open_database(declared) as connection:
            for file in tiers.live:
                fields = file_fields(connection, file)
                found = damage(file, fields, self._settings.archive)
                if found:
                    return found
        for cold in tiers.cold:
            for part in cold.files:
                if "months" in part.path.parts and not readable(part.path):
                    return f"{part.path} cannot be read; it is a copy: remove it"
        return ""


def _dicts(relation: Relation) -> list[dict[str, Any]]:
    names = _distinct(relation.columns)
    return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def _distinct(names: list[str]) -> list[str]:
    """Column names; one that comes again gets a number, so that no column hides another."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct


def tables_in(text: str, settings: Settings) -> list[Declared]:
    """The declared tables whose names occur in a statement; no other exists for it.

    A name in a comment or a constant makes a table be read in vain. A table that is meant but not
    found would be unknown to the engine: an error, never an empty answer.
    """
    words = set(re.findall(r"\w+", text.lower()))
    return [declared for declared in catalog(settings) if declared.name.lower() in words]
