"""Answers of queries, printed or written to files. Heavy to load: see ``confined``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click
import duckdb
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from gateway_assets.bridge.statement import dicts_of
from gateway_assets.bridge.worker import answering, end_with, limit, streaming
from gateway_assets.cli.show import print_grid, print_json, size
from gateway_assets.errors import QueryError, UsageError
from gateway_assets.settings import Settings

__all__ = ["end_with", "print_answer", "print_explained", "print_query", "write_query"]

BATCH_ROWS = 65_536
TABLE = "export"


def print_query(
    settings: Settings, text: str, params: Sequence[str], form: str, timezone: str, explain: bool
) -> None:
    """Answer one statement within the limits of a worker, and print it."""
    answer = answering(settings, timezone, once=True)
    limit(settings)
    values = [value_of(one) for one in params]
    table, explained = answer(text, values, settings.query_max_rows)
    print_answer(table, form)
    if explain:
        print_explained(explained)


def write_query(
    settings: Settings, text: str, params: Sequence[str], timezone: str, output: Path
) -> None:
    """Write an answer of any length to a file, which is there when it is whole."""
    partial = output.with_name(f".{output.name}.part")
    partial.unlink(missing_ok=True)
    write = _WRITERS[output.suffix.lower()]
    values = [value_of(one) for one in params]
    try:
        rows = streaming(settings, timezone)(text, values, lambda answer: write(answer, partial))
        os.link(partial, output)  # fails when it has come meanwhile
    except OSError as error:
        raise UsageError(
            f"cannot write {output}: {error.strerror}", hint="name another file"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    click.echo(f"{rows:,} rows, {size(output.stat().st_size)} in {output}", err=True)


def value_of(text: str) -> Any:
    """A parameter as the number it may be, None for NULL, else as text."""
    if text.upper() == "NULL":
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def print_answer(table: pa.Table, form: str) -> None:

    if form == "csv":
        write_csv(
            table.to_batches() or [table.schema.empty_table()], table.schema, sys.stdout.buffer
        )
        return
    rows = dicts_of(table)
    if form == "json":
        print_json(rows)
        return
    print_grid(rows)
    click.echo(f"({len(rows):,} rows)", err=True)


def print_explained(explained: dict[str, Any]) -> None:
    """To the error stream, so that the answer stays what it is."""
    for table in explained["tables"]:
        click.echo(
            f"{table['table']}: {table['tier']}; {table['hot_rows']:,} hot rows read; "
            f"{table['files_opened']:,} of {table['files_known']:,} files opened, with "
            f"{table['cold_rows']:,} rows; {table['counted']:,} rows counted by the manifest",
            err=True,
        )
    click.echo(
        f"{explained['ms']:,.1f} ms, {explained['planning_ms']:,.1f} of them planning and reading "
        f"hot rows; cache: {explained['cache']}",
        err=True,
    )


def _parquet(answer: duckdb.DuckDBPyRelation, path: Path) -> int:
    rows = 0
    with (
        answer.to_arrow_reader(BATCH_ROWS) as reader,
        pq.ParquetWriter(path, reader.schema, compression="zstd") as file,
    ):
        for batch in reader:
            file.write_batch(batch)
            rows += batch.num_rows
    return rows


def _csv(answer: duckdb.DuckDBPyRelation, path: Path) -> int:
    with answer.to_arrow_reader(BATCH_ROWS) as reader, path.open("wb") as file:
        return write_csv(reader, reader.schema, file)


def write_csv(batches: Iterable[pa.RecordBatch], schema: pa.Schema, file: BinaryIO) -> int:
    """Rows as RFC 4180, with a line of names. Raises QueryError for what CSV has no form for."""
    rows = 0
    try:
        with pa_csv.CSVWriter(file, schema) as writer:
            for batch in batches:
                writer.write(batch)
                rows += batch.num_rows
    except pa.ArrowException as error:
        what = str(error).splitlines()[0]
        raise QueryError(f"the answer does not fit csv: {what}", hint="try: -f json") from None
    return rows


def _duckdb(answer: duckdb.DuckDBPyRelation, path: Path) -> int:
    with duckdb.connect(str(path)) as target, answer.to_arrow_reader(BATCH_ROWS) as reader:
        target.register("answer", reader)
        target.execute(f"CREATE TABLE {TABLE} AS FROM answer")
        (rows,) = target.execute(f"SELECT count(*) FROM {TABLE}").fetchall()[0]
    return int(rows)


_WRITERS: dict[str, Callable[[Any, Path], int]] = {
    ".parquet": _parquet,
    ".csv": _csv,
    ".duckdb": _duckdb,
}
