"""Archived files through DuckDB: sorted in bounded memory, or searched many at a time. It sees
Parquet files only, never a SQLite database."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa

from gateway_assets.archive.rows import arrow_schema
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import literal, quoted
from gateway_assets.tiers.fields import Field

MEMORY = "200MB"
BATCH_ROWS = 2048


def sorted_rows(
    paths: Sequence[Path],
    fields: Sequence[Field],
    order_by: Sequence[str],
    descending: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Rows of files that share one schema, in another order than theirs."""
    schema = arrow_schema(fields)
    names = ", ".join(quoted(field.name) for field in schema)
    files = ", ".join(literal(str(path)) for path in paths)
    direction = " DESC" if descending else ""
    order = ", ".join(quoted(name) + direction for name in order_by)
    text = (
        f"SELECT {names} FROM read_parquet([{files}], hive_partitioning = false) ORDER BY {order}"
    )
    with _session() as session:
        try:
            for batch in session.sql(text).to_arrow_reader(BATCH_ROWS):
                columns = [
                    column.cast(field.type)
                    for column, field in zip(batch.columns, schema, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise _damaged(error) from error


def _damaged(error: duckdb.Error) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"an archived file cannot be read: {str(error).splitlines()[0]}",
        hint="see which: gateway archive verify",
    )


def counts(paths: Sequence[Path], where: str, params: Sequence[Any]) -> dict[Path, int]:
    """How many rows of each file meet a condition; files without any are left out."""
    files = ", ".join(literal(str(path)) for path in paths)
    text = (
        f"SELECT filename, count(*) FROM read_parquet([{files}], hive_partitioning = false, "
        f"filename = true) WHERE {where} GROUP BY 1"
    )
    try:
        found = _session().execute(text, list(params)).fetchall()
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _damaged(error) from error
    return {Path(name): int(rows) for name, rows in found}


_kept = threading.local()


def _session() -> duckdb.DuckDBPyConnection:
    """A cursor of this thread's own DuckDB: opening one takes longer than reading a small file."""
    if getattr(_kept, "process", None) != os.getpid():
        _kept.process, _kept.session = os.getpid(), _opened()
    cursor = _kept.session.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    return cast("duckdb.DuckDBPyConnection", cursor)


def _opened() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        config={
            "memory_limit": MEMORY,
            "threads": "2",
            "temp_directory": tempfile.gettempdir(),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
    )
