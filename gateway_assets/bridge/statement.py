"""Free SQL over the declared tables: which are meant, what is needed of each, the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from gateway_assets.archive import manifest
from gateway_assets.archive.source import file_fields
from gateway_assets.archive.verify import damage
from gateway_assets.bridge.databases import Database, Databases, Look, Snapshot
from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.explain import Explained, TableUse
from gateway_assets.bridge.guard import check_statement, refusal
from gateway_assets.bridge.patience import patiently
from gateway_assets.bridge.scans import Need, definition, either, needs
from gateway_assets.bridge.tiers import Tiers, damaged, read_tiers
from gateway_assets.bridge.views import readable, show
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared, open_database

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
PARTS = {"": (True, True), "_hot": (True, False), "_cold": (False, True)}


class Meant(NamedTuple):
    """A declared table of a statement, and the names it has there: name -> (hot, cold)."""

    declared: Declared
    views: dict[str, tuple[bool, bool]]


class Statements:
    """Answers statements, one by one or from several threads."""

    def __init__(self, settings: Settings, databases: Databases, engine: Engine) -> None:
        self._settings = settings
        self._databases = databases
        self._engine = engine

    def ask(
        self, text: str, params: Sequence[Any], take: Callable[[Relation], Answer]
    ) -> tuple[Answer, Explained]:
        """What ``take`` makes of the answer, and how it came about.

        Raises QueryError for what is not a SELECT or cannot be answered, ArchiveDamaged when a
        file that the answer needs is missing or broken.
        """
        check_statement(text)
        meant = tables_in(text, self._databases.catalog())

        def version() -> list[int]:
            return [self._databases.of(one.declared).version(one.declared) for one in meant]

        return patiently(lambda: self._try(text, params, meant, take), version)

    def _try(
        self,
        text: str,
        params: Sequence[Any],
        meant: list[Meant],
        take: Callable[[Relation], Answer],
    ) -> tuple[Answer, Explained]:
        started = time.perf_counter()
        with self._engine.session() as session:
            tiers = self._read(text, params, meant)
            planned = time.perf_counter()
            try:
                for one, tier in zip(meant, tiers, strict=True):
                    show(session, tier, one.views)
                answer = take(session.sql(text, params=list(params) or None))
            except duckdb.Error as error:
                raise self._explained(error, tiers) from error
        ended = time.perf_counter()
        used = [TableUse.of(tier) for tier in tiers]
        return answer, Explained(used, (planned - started) * 1000, (ended - started) * 1000)

    def _read(self, text: str, params: Sequence[Any], meant: list[Meant]) -> list[Tiers]:
        with ExitStack() as transactions:
            snapshots: dict[Database, Snapshot] = {}
            looks: list[tuple[Snapshot, Look]] = []
            for one in meant:
                database = self._databases.of(one.declared)
                if database not in snapshots:
                    snapshots[database] = transactions.enter_context(database.reading(one.declared))
                looks.append((snapshots[database], snapshots[database].look(one.declared)))
            named = {
                name: look.table
                for one, (_, look) in zip(meant, looks, strict=True)
                for name in one.views
            }
            stubs = {name: definition(table) for name, table in named.items()}
            needed = needs(self._engine.plan(text, params, stubs), named)
            return [
                read_tiers(
                    snapshot,
                    look,
                    _needed_of(0, one, needed),
                    _needed_of(1, one, needed),
                    self._settings.archive,
                )
                for one, (snapshot, look) in zip(meant, looks, strict=True)
            ]

    def _explained(self, error: duckdb.Error, tiers: list[Tiers]) -> Exception:
        """An error of reading a file names the file; any other is the query's own."""
        if not isinstance(error, _OWN_ERRORS):
            for tier in tiers:
                found = self._damage(tier)
                if found:
                    return damaged(tier.table, found)
        return refusal(error)

    def _damage(self, tiers: Tiers) -> str:
        """What is wrong with the first damaged file; a monthly copy is dropped by name only."""
        declared = self._databases.find(tiers.table.name)
        with open_database(declared) as connection:
            for live in tiers.live:
                file = manifest.file_numbered(connection, live.number)
                if file is not None:
                    fields = file_fields(connection, file)
                    found = damage(file, fields, self._settings.archive)
                    if found:
                        return found
        for part in tiers.opened:
            if "months" in part.path.parts and not readable(part.path):
                return f"{part.path} cannot be read; it is a copy: remove it"
        return ""


def _needed_of(tier: int, one: Meant, needed: dict[str, Need]) -> Need | None:
    """What is needed of the hot (0) or cold (1) tier by any of a table's names."""
    wanted = [needed[name] for name, parts in one.views.items() if parts[tier]]
    return either(wanted) if wanted else None


def tables_in(text: str, declared: Sequence[Declared]) -> list[Meant]:
    """The declared tables whose names occur in a statement; no other exists for it.

    A name in a comment or a constant makes a table be read in vain. A table that is meant but not
    found would be unknown to the engine: an error, never an empty answer.
    """
    words = set(re.findall(r"\w+", text.lower()))
    taken = {one.name.lower() for one in declared}
    found = []
    for one in declared:
        views = {
            one.name + ending: parts
            for ending, parts in PARTS.items()
            if (one.name + ending).lower() in words
            and (not ending or (one.name + ending).lower() not in taken)
        }
        if views:
            found.append(Meant(one, views))
    return found


def as_table(relation: Relation) -> pa.Table:
    return relation.to_arrow_table()


def as_dicts(relation: Relation) -> list[dict[str, Any]]:
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
