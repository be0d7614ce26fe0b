"""Archived files through DuckDB: sorted and filtered in bounded memory, as batches of the file's
own schema. It sees Parquet files only, never a SQLite database."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import duckdb
import pyarrow as pa

from gateway_assets.archive.parquet import arrow_schema
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.hot.sql import literal, quoted
from gateway_assets.tiers.fields import Field

MEMORY = "200MB"


def scan(
    paths: Sequence[Path],
    fields: Sequence[Field],
    *,
    where: str = "TRUE",
    params: Sequence[Any] = (),
    order_by: Sequence[str] = (),
    descending: bool = False,
    batch_rows: int = 10_000,
) -> Iterator[pa.RecordBatch]:
    """Rows of files that share one schema; in their order unless another is asked for."""
    schema = arrow_schema(fields)
    names = ", ".join(quoted(field.name) for field in schema)
    files = ", ".join(literal(str(path)) for path in paths)
    text = f"SELECT {names} FROM read_parquet([{files}], hive_partitioning = false) WHERE {where}"
    if order_by:
        direction = " DESC" if descending else ""
        text += " ORDER BY " + ", ".join(quoted(name) + direction for name in order_by)
    with _session() as session:
        try:
            reader = session.sql(text, params=list(params) or None).to_arrow_reader(batch_rows)
            for rows in _gathered(reader, batch_rows):
                yield _in_schema(rows, schema)
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise ArchiveDamaged(
                f"an archived file cannot be read: {str(error).splitlines()[0]}",
                hint="see which: gateway archive verify",
            ) from error


def _gathered(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.Table]:
    """DuckDB hands out small batches; a row group should be a large one."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        waiting.append(batch)
        held += batch.num_rows
        if held >= rows:
            yield pa.Table.from_batches(waiting)
            waiting, held = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)


def _in_schema(rows: pa.Table, schema: pa.Schema) -> pa.RecordBatch:
    columns = [
        column.combine_chunks().cast(field.type)
        for column, field in zip(rows.columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def counts(paths: Sequence[Path], where: str, params: Sequence[Any]) -> dict[Path, int]:
    """How many rows of each file meet a condition; files without any are left out."""
    files = ", ".join(literal(str(path)) for path in paths)
    text = (
        f"SELECT filename, count(*) FROM read_parquet([{files}], hive_partitioning = false, "
        f"filename = true) WHERE {where} GROUP BY 1"
    )
    found = _session().execute(text, list(params)).fetchall()
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
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
    )
