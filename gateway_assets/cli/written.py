"""Answers of queries written to files. Heavy to load: see ``confined``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import duckdb
import pyarrow.parquet as pq

from gateway_assets.bridge.worker import end_with, streaming
from gateway_assets.cli.answers import value_of, write_csv
from gateway_assets.cli.show import size
from gateway_assets.errors import UsageError
from gateway_assets.settings import Settings

__all__ = ["end_with", "write_query"]

BATCH_ROWS = 65_536
TABLE = "export"


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
