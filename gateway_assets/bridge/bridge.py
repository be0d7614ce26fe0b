"""UnifiedQueryBridge: the declared tables, hot and cold as one."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from gateway_assets.bridge.answer import Answer
from gateway_assets.bridge.cache import AnswerCache
from gateway_assets.bridge.connect import add_views
from gateway_assets.bridge.databases import Databases
from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.explain import Explained
from gateway_assets.bridge.lookup import Lookups
from gateway_assets.bridge.question import Question
from gateway_assets.bridge.statement import Statements, as_table, dicts_of
from gateway_assets.bridge.where import Filters, condition
from gateway_assets.errors import QueryError
from gateway_assets.settings import Settings


class UnifiedQueryBridge:
    """Answers questions about every declared table, whichever tier a row is in.

    It keeps databases and DuckDB open between questions; close it, or use it as a context.
    ``timezone`` is that in which SQL reads times without a zone and shows those with one.
    """

    def __init__(self, settings: Settings, timezone: str = "UTC") -> None:
        self._settings = settings
        self._timezone = timezone
        self._databases = Databases(settings)
        self._cache = AnswerCache(settings)
        self._engine: Engine | None = None
        self._opening = Lock()

    def sql(self, text: str, params: Sequence[Any] = ()) -> pa.Table:
        """The answer of one SELECT as an Arrow table; parameters as ``?`` or ``$1``.

        Raises QueryError for what is not a SELECT or cannot be answered, ArchiveDamaged when a
        file that the answer needs is missing or broken.
        """
        return self.explained(text, params)[0]

    def explained(self, text: str, params: Sequence[Any] = ()) -> tuple[pa.Table, Explained]:
        """The same, and how the answer came about."""
        return self._statements().ask(text, params, as_table, "table")

    def rows(self, text: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The same as one dict a row, with Python's own types."""
        return dicts_of(self.sql(text, params))

    def query(
        self,
        model_or_table: Any,
        filters: Filters = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
        *,
        columns: str | Sequence[str] = (),
        after: str = "",
    ) -> Answer:
        """Rows of one table: ``query("audit_logs", column("user_id") == 7, "-timestamp", 50)``.

        ``order`` names columns, those that fall with a "-" before them; NULL is the smallest
        value, and with a limit the table's key decides between equals. ``after`` is the cursor of
        the page before. Raises QueryError and ArchiveDamaged.
        """
        question = Question(
            condition(filters), _names(order), limit, offset, _names(columns), after
        )
        return self._lookups().ask(self._databases.find(model_or_table), question)

    def count(
        self,
        model_or_table: Any,
        filters: Filters = None,
    ) -> int:
        """How many rows there are, by the manifest as far as it knows."""
        return self._lookups().count(self._databases.find(model_or_table), condition(filters))

    def connect(self, *tables: Any) -> duckdb.DuckDBPyConnection:
        """A new DuckDB connection in which the tables, or all, are views as of now.

        It is the caller's own: nothing is locked, and hot rows are copied into its memory.
        """
        connection = duckdb.connect()
        self.add_views(connection, tables)
        return connection

    def add_views(self, connection: duckdb.DuckDBPyConnection, tables: Sequence[Any] = ()) -> None:
        """The same in a connection that is there already."""
        add_views(connection, self._settings, self._databases, tables)

    @property
    def settings(self) -> Settings:
        """What it was opened with."""
        return self._settings

    def close(self) -> None:
        self._databases.close()
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _statements(self) -> Statements:
        return Statements(self._settings, self._databases, self._opened(), self._cache)

    def _lookups(self) -> Lookups:
        return Lookups(self._settings, self._databases, self._opened, self._cache)

    def _opened(self) -> Engine:
        """DuckDB, opened when something needs it: hot rows do not."""
        with self._opening:
            if self._engine is None:
                self._engine = Engine(self._settings, self._timezone)
            return self._engine


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several."""
    names = (given,) if isinstance(given, str) else tuple(given or ())
    if not all(isinstance(name, str) for name in names):
        raise QueryError("order and columns are names of columns", hint='such as order="-id"')
    return names
