"""UnifiedQueryBridge: SQL over the declared tables, hot and cold as one."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

import duckdb
import pyarrow as pa

from gateway_assets.archive.verify import damage
from gateway_assets.bridge.guard import check_statement, exact, lock, locked_session, refusal
from gateway_assets.bridge.scans import TYPES, needs
from gateway_assets.bridge.tiers import Tiers, damaged, existing_paths, read_tiers
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import Fragment, literal, quoted, sql
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings
from gateway_assets.table import Table
from gateway_assets.tables import TABLES

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
        used = tables_in(text)
        with locked_session(self._settings) as session:
            needed = needs(session, text, params, used)
            with open_store(self._settings.hot_database) as connection:
                tiers = read_tiers(connection, {table: needed[table.name] for table in used})
            try:
                for tier in tiers:
                    self._show(session, tier)
                lock(session, self._settings.archive)
                return take(session.sql(text, params=list(params) or None))
            except duckdb.Error as error:
                raise self._explained(error, tiers) from error

    def _show(self, session: duckdb.DuckDBPyConnection, tiers: Tiers) -> None:
        """Make a table's two tiers one view under its name."""
        name = tiers.table.name
        session.register(f"{name}_hot", tiers.hot)
        paths = existing_paths(tiers, self._settings.archive)
        cold = ""
        if paths:
            files = ", ".join(literal(exact(path)) for path in paths)
            cold = f"UNION ALL BY NAME FROM read_parquet([{files}], hive_partitioning = false)"
        session.execute(
            sql(
                "CREATE VIEW {view} AS SELECT {columns} FROM {hot} {cold}",
                view=name,
                columns=_columns(tiers),
                hot=f"{name}_hot",
                cold=Fragment(cold),
            )
        )

    def _explained(self, error: duckdb.Error, tiers: Collection[Tiers]) -> Exception:
        """An error of reading a file names the file; any other is the query's own."""
        if not isinstance(error, _OWN_ERRORS):
            root = self._settings.archive
            for tier in tiers:
                for file in tier.cold:
                    found = damage(file, tier.table, root)
                    if found:
                        return damaged(tier.table, found)
        return refusal(error)


def _columns(tiers: Tiers) -> Fragment:
    """All columns of the table; those that nobody looks at are NULL on the hot side.

    They must exist: what ``*`` and NATURAL JOIN mean depends on them.
    """
    present = set(tiers.hot.schema.names)
    return Fragment(
        ", ".join(
            quoted(column.name)
            if column.name in present
            else f"NULL::{TYPES[column.kind]} AS {quoted(column.name)}"
            for column in tiers.table.stored
        )
    )


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


def tables_in(text: str) -> list[Table]:
    """The declared tables whose names occur in a statement; no other exists for it.

    A name in a comment or a constant makes a table be read in vain. A table that is meant but not
    found would be unknown to the engine: an error, never an empty answer.
    """
    words = set(re.findall(r"\w+", text.lower()))
    return [table for table in TABLES if table.name in words]
