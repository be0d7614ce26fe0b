"""Free SQL over the declared tables: which are meant, what is needed of each, the answer."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import duckdb
import pyarrow as pa

from gateway_assets.bridge.answer import datetimes
from gateway_assets.bridge.cache import AnswerCache
from gateway_assets.bridge.databases import Database, Databases, Look, Snapshot
from gateway_assets.bridge.derived import Derived, derived_of, translated
from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.explain import Explained, TableUse
from gateway_assets.bridge.failures import Failures
from gateway_assets.bridge.guard import check_statement
from gateway_assets.bridge.patience import patiently
from gateway_assets.bridge.scans import Need, definition, either, needs
from gateway_assets.bridge.tiers import Tiers, read_tiers
from gateway_assets.bridge.views import show
from gateway_assets.settings import Settings
from gateway_assets.tiers.catalog import Declared
from gateway_assets.tiers.tiered import Tiered

Relation = duckdb.DuckDBPyRelation
Answer = TypeVar("Answer")
PARTS = {"": (True, True), "_hot": (True, False), "_cold": (False, True)}


class Meant(NamedTuple):
    """A declared table of a statement, and the names it has there: name -> (hot, cold).

    ``derived`` are the views of it that the statement names; their rows are among the names.
    """

    declared: Declared
    views: dict[str, tuple[bool, bool]]
    derived: tuple[Derived, ...] = ()


class Statements:
    """Answers statements, one by one or from several threads."""

    def __init__(
        self, settings: Settings, databases: Databases, engine: Engine, cache: AnswerCache
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._engine = engine
        self._cache = cache
        self._failures = Failures(settings, databases)

    def ask(
        self,
        text: str,
        params: Sequence[Any],
        take: Callable[[Relation], Answer],
        keep_as: str = "",
    ) -> tuple[Answer, Explained]:
        """What ``take`` makes of the answer, and how it came about.

        With ``keep_as``, a name of what ``take`` does, an Arrow table of archived rows alone is
        kept for the next time.

        Raises QueryError for what is not a SELECT or cannot be answered, ArchiveDamaged when a
        file that the answer needs is missing or broken.
        """
        check_statement(text)
        known = self._databases.catalog()
        derived = derived_of(self._settings, known)
        names = [one.name + ending for one in known for ending in PARTS]
        self._engine.check(text, [*names, *derived])
        meant = tables_in(text, known, derived)

        def version() -> list[int]:
            return [self._databases.of(one.declared).version(one.declared) for one in meant]

        return patiently(lambda: self._try(text, params, meant, take, keep_as), version)

    def _try(
        self,
        text: str,
        params: Sequence[Any],
        meant: list[Meant],
        take: Callable[[Relation], Answer],
        keep_as: str,
    ) -> tuple[Answer, Explained]:
        started = time.perf_counter()
        tiers, versions = self._read(text, params, meant)
        planned = time.perf_counter()
        used = [TableUse.of(tier) for tier in tiers]
        may_keep = keep_as and self._may_keep(text, tiers)
        key = (keep_as, text, repr(params), versions) if may_keep else None
        kept = self._cache.get(key)
        if kept is not None:
            return kept, Explained(used, *_milliseconds(started, planned), "hit")
        with self._engine.session() as session:
            try:
                for one, tier in zip(meant, tiers, strict=True):
                    show(session, tier, one.views)
                    for view in one.derived:
                        session.execute(view.create(view.rows))
                answer = take(session.sql(text, params=list(params) or None))
            except duckdb.Error as error:
                raise self._failures.explained(error, tiers) from error
        kept_now = "off"
        if key and isinstance(answer, pa.Table):
            kept_now = self._cache.put(key, answer, answer.nbytes)
        return answer, Explained(used, *_milliseconds(started, planned), kept_now)

    def _may_keep(self, text: str, tiers: list[Tiers]) -> bool:
        """Whether only archived rows answer, and always with the same."""
        return (
            self._cache.is_on
            and bool(tiers)
            and not any(tier.hot_rows for tier in tiers)
            and not self._engine.may_vary(text)
        )

    def _read(
        self, text: str, params: Sequence[Any], meant: list[Meant]
    ) -> tuple[list[Tiers], tuple[tuple[int, ...], ...]]:
        """What is needed of each table, and the version of its files and columns."""
        with ExitStack() as transactions:
            snapshots: dict[Database, Snapshot] = {}
            looks: list[tuple[Snapshot, Look]] = []
            for one in meant:
                database = self._databases.of(one.declared)
                if database not in snapshots:
                    snapshots[database] = transactions.enter_context(database.reading(one.declared))
                looks.append((snapshots[database], snapshots[database].look(one.declared)))
            named: dict[str, Tiered] = {}
            for one, (_, look) in zip(meant, looks, strict=True):
                hidden = {view.rows for view in one.derived}
                named.update((name, look.table) for name in one.views if name not in hidden)
                named.update((view.name, view.over(look.table)) for view in one.derived)
            stubs = {name: definition(table) for name, table in named.items()}
            needed = translated(
                needs(self._engine.plan(text, params, stubs), named),
                [view for one in meant for view in one.derived],
            )
            versions = tuple(look.version for _, look in looks)
            return [
                read_tiers(
                    snapshot,
                    look,
                    _needed_of(0, one, needed),
                    _needed_of(1, one, needed),
                    self._settings.archive,
                )
                for one, (snapshot, look) in zip(meant, looks, strict=True)
            ], versions


def _milliseconds(started: float, planned: float) -> tuple[float, float]:
    return (planned - started) * 1000, (time.perf_counter() - started) * 1000


def _needed_of(tier: int, one: Meant, needed: dict[str, Need]) -> Need | None:
    """What is needed of the hot (0) or cold (1) tier by any of a table's names."""
    wanted = [needed[name] for name, parts in one.views.items() if parts[tier]]
    return either(wanted) if wanted else None


def tables_in(
    text: str, declared: Sequence[Declared], derived: Mapping[str, Derived]
) -> list[Meant]:
    """The declared tables whose names, or views, occur in a statement; no other exists for it.

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
        over = [view for view in derived.values() if view.base == one.name and view.name in words]
        views.update((view.rows, PARTS[""]) for view in over)
        if views:
            found.append(Meant(one, views, tuple(over)))
    return found


def as_table(relation: Relation) -> pa.Table:
    return relation.to_arrow_table()


def dicts_of(table: pa.Table) -> list[dict[str, Any]]:
    """One dict a row, with Python's own types."""
    names = _distinct(table.column_names)
    columns = [_python(column) for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _python(column: pa.ChunkedArray) -> list[Any]:
    """Sums of integers come as decimals without a fraction, intervals by month, day, second.

    Arrow would load pandas to make datetimes, which takes longer than most questions.
    """
    if pa.types.is_timestamp(column.type) and column.type.unit == "us":
        return datetimes(column)
    values: list[Any] = column.to_pylist()
    if pa.types.is_decimal(column.type) and column.type.scale == 0:
        return [None if value is None else int(value) for value in values]
    if pa.types.is_interval(column.type):
        return [value if value is None or value.months else _span(value) for value in values]
    return values


def _span(interval: Any) -> timedelta:
    return timedelta(days=interval.days, microseconds=interval.nanoseconds // 1000)


def _distinct(names: list[str]) -> list[str]:
    """Column names; one that comes again gets a number, so that no column hides another."""
    seen: dict[str, int] = {}
    distinct = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        distinct.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return distinct
