"""DuckDB, opened once and locked: its sessions can touch nothing but the declared tables.

As https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview describes: no
extensions, no file outside the archive, no further settings but the session's time zone.
A second, empty instance explains statements, with the optimizers switched off that would conclude
something from tables being empty.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from gateway_assets.bridge.allowed import check_allowed
from gateway_assets.bridge.guard import refusal
from gateway_assets.bridge.macros import IN_UTC, MACROS
from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.settings import Settings

Session = duckdb.DuckDBPyConnection
_MISLEADING = (
    "statistics_propagation,empty_result_pullup,column_lifetime,late_materialization,"
    "join_filter_pushdown"
)


class Engine:
    """One DuckDB of this process. Sessions of it may be used by threads at the same time."""

    def __init__(self, settings: Settings, timezone: str = "UTC") -> None:
        archive = settings.archive.parent
        self._main = _opened(settings, timezone)
        self._main.execute("SET parquet_metadata_cache = true")  # files never change
        _lock(self._main, archive)
        self._empty = _opened(settings, timezone, threads=1)
        self._empty.execute(f"SET disabled_optimizers = '{_MISLEADING}'")
        _lock(self._empty, archive)
        self._stubs: dict[str, str] = {}
        self._varying: frozenset[str] | None = None
        self._explaining = Lock()

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A session of its own: views made in it are gone with it."""
        session = self._main.cursor()
        try:
            yield session
        finally:
            session.close()

    def check(self, text: str, names: Sequence[str]) -> None:
        """Raise QueryError unless a statement names these tables and harmless functions only."""
        with self._explaining:
            check_allowed(self._empty, text, names)

    def plan(
        self, text: str, params: Sequence[Any], stubs: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """The plan of a statement on empty tables, given as name and columns; [] for none."""
        with self._explaining:
            for name, columns in stubs.items():
                if self._stubs.get(name) != columns:
                    create = "CREATE OR REPLACE TABLE {table} ({columns})"
                    self._empty.execute(sql(create, table=name, columns=Fragment(columns)))
                    self._stubs[name] = columns
            for name in self._stubs.keys() - stubs.keys():
                self._empty.execute(sql("DROP TABLE {table}", table=name))
                del self._stubs[name]
            try:
                explained = self._empty.execute(
                    f"EXPLAIN (FORMAT JSON) {text}", list(params) or None
                )
                plan: list[dict[str, Any]] = json.loads(explained.fetchall()[0][1])
            except (duckdb.Error, ValueError, IndexError):
                return []  # the statement itself will tell what is wrong with it
            return plan

    def may_vary(self, text: str) -> bool:
        """Whether a statement may be answered otherwise the next time, with the same rows."""
        with self._explaining:
            if self._varying is None:
                self._varying = _varying(self._empty)
        return not self._varying.isdisjoint(re.findall(r"\w+", text.lower()))

    def interrupt(self) -> None:
        self._main.interrupt()

    def close(self) -> None:
        self._main.close()
        self._empty.close()


def _opened(settings: Settings, timezone: str, threads: int = 0) -> Session:
    """``threads`` 0: as many as there are processors."""
    session = duckdb.connect(
        config={
            **({"threads": str(threads)} if threads else {}),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            "memory_limit": settings.query_memory_limit,
            "max_temp_directory_size": settings.query_temp_limit,
            "max_execution_time": str(int(settings.query_timeout_seconds * 1000)),
        }
    )
    try:
        session.execute("SET GLOBAL TimeZone = $1", [timezone])
    except duckdb.Error as error:
        raise refusal(error) from error
    faster = IN_UTC if timezone == "UTC" else ()
    for create in (*faster, *(macro.create for macro in MACROS)):
        session.execute(create)
    return session


def _varying(session: Session) -> frozenset[str]:
    """Words whose meaning depends on when, or how often, they are asked."""
    query = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    functions = (name for (name,) in session.execute(query).fetchall())
    return frozenset({*functions, *_VARYING_WORDS})


_VARYING_WORDS = (
    "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp",
    "sample", "tablesample",
)  # fmt: skip


def _lock(session: Session, archive: Path) -> None:
    """From here on: files below the archive only, and no setting changes any more."""
    allowed = [f"{archive}/", f"{exact(str(archive))}/"]
    session.execute("SET allowed_directories = $1", [allowed])
    session.execute("SET enable_external_access = false")
    session.execute("SET lock_configuration = true")


def exact(path: str) -> str:
    """A path as DuckDB's file functions take it, with nothing in it read as a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)
