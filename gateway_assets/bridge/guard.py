"""What SQL is let through: one statement that reads, nothing else."""

from __future__ import annotations

import duckdb

from gateway_assets.errors import QueryError


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
        if kind == duckdb.StatementType.MULTI:  # it would look for the values by itself first
            raise QueryError(
                "PIVOT needs the values that become columns",
                hint="such as PIVOT t ON state IN ('done', 'failed') USING count(*)",
            )
        name = str(kind).rpartition(".")[2]
        raise QueryError(f"only SELECT is allowed, not {name}", hint=_EXAMPLE)


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
