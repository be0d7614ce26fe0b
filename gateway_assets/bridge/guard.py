"""What SQL is let through, and a DuckDB that can touch nothing but the declared tables.

One statement that reads, nothing else. The engine itself is locked as
https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview describes: no extensions,
no file outside the archive, no further settings.
"""

from __future__ import annotations

import re
from pathlib import Path

import duckdb

from gateway_assets.errors import QueryError
from gateway_assets.settings import Settings


def check_statement(text: str) -> None:
    """Raise QueryError unless the text is exactly one statement that reads.

    EXPLAIN is not let through: EXPLAIN ANALYZE runs what stands behind it, also a COPY.
    """
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise refusal(error) from error
    if len(statements) != 1:
        raise QueryError(f"one statement is expected, not {len(statements)}", hint=_EXAMPLE)
    kind = statements[0].type
    if kind != duckdb.StatementType.SELECT:
        name = str(kind).rpartition(".")[2]
        raise QueryError(f"only SELECT is allowed, not {name}", hint=_EXAMPLE)


def locked_session(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory whose settings ``lock`` makes final."""
    session = duckdb.connect(
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "python_enable_replacements": "false",
            "memory_limit": settings.query_memory_limit,
            "max_execution_time": str(int(settings.query_timeout_seconds * 1000)),
        }
    )
    session.execute("SET TimeZone = 'UTC'")
    return session


def lock(session: duckdb.DuckDBPyConnection, archive: Path) -> None:
    """From here on: files below the archive only, and no setting changes any more."""
    allowed = [f"{archive}/", f"{exact(str(archive))}/"]
    session.execute("SET allowed_directories = $1", [allowed])
    session.execute("SET enable_external_access = false")
    session.execute("SET lock_configuration = true")


def exact(path: str) -> str:
    """A path as DuckDB's file functions take it, with nothing in it read as a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def refusal(error: duckdb.Error) -> QueryError:
    """DuckDB's error as one line."""
    first, *rest = str(error).splitlines()
    near = next((line.strip() for line in rest if line.startswith("LINE ")), "")
    if isinstance(error, duckdb.InterruptException):
        return QueryError(first, hint="narrow the time range, or raise query_timeout_seconds")
    if isinstance(error, duckdb.CatalogException):
        return QueryError(first, hint="see which tables there are: gateway tables")
    return QueryError(f"{first} {near}".strip(), hint=_EXAMPLE)


_EXAMPLE = 'try: gateway query "SELECT * FROM ip_traffic LIMIT 5"'
