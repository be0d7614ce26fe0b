"""Rows as Parquet: one schema from the declaration, never inferred; one row group per batch.

Encodings after https://parquet.apache.org/docs/file-format/data-pages/encodings/: integers and
times as deltas, text as a dictionary, all in ZSTD level 3. Every field carries its field id.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from gateway_assets.archive.columns import arrow_array
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.model import Kind
from gateway_assets.table import Table

_ARROW = {
    Kind.TIME: pa.timestamp("us", "UTC"),
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.TEXT: pa.string(),
}


def arrow_schema(table: Table) -> pa.Schema:
    """The one schema of a table's rows in memory and in Parquet."""
    fields = [
        pa.field(
            column.name,
            _ARROW[column.kind],
            nullable=column.nullable,
            metadata={"PARQUET:field_id": str(number)},
        )
        for number, column in enumerate(table.stored, start=1)
    ]
    return pa.schema(fields)


def arrow_batches(
    cursor: sqlite3.Cursor, schema: pa.Schema, batch_size: int
) -> Iterator[pa.RecordBatch]:
    """The rest of a SQLite cursor as Arrow, at most ``batch_size`` rows a batch."""
    while rows := cursor.fetchmany(batch_size):
        yield record_batch(rows, schema)


def record_batch(rows: Iterable[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [
        arrow_array(values, field.type) for values, field in zip(columns, schema, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def write_parquet(file: BinaryIO, batches: Iterable[pa.RecordBatch], table: Table) -> None:
    """Write batches as one Parquet file, one row group each."""
    texts = [column.name for column in table.stored if column.kind is Kind.TEXT]
    deltas = {
        column.name: "DELTA_BINARY_PACKED"
        for column in table.stored
        if column.kind in {Kind.TIME, Kind.INTEGER}
    }
    with pq.ParquetWriter(
        file,
        arrow_schema(table),
        compression="zstd",
        compression_level=3,
        use_dictionary=texts,
        column_encoding=deltas,
        write_page_checksum=True,
    ) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))


def read_batches(path: Path, table: Table) -> Iterator[pa.RecordBatch]:
    """The row groups of a file, checked against the declared schema.

    Raises ArchiveDamaged naming the file when it is missing, cut or of another schema.
    """
    schema = arrow_schema(table)
    hint = f"see what else is damaged: gateway archive verify {table.name}"
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(schema):
                raise ArchiveDamaged(f"{path} has another schema than {table.name}", hint=hint)
            for group in range(file.num_row_groups):
                yield from file.read_row_group(group).combine_chunks().to_batches()
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"archive file {path} is missing", hint=hint) from error
    except (OSError, pa.ArrowException) as error:
        raise ArchiveDamaged(f"archive file {path} cannot be read: {error}", hint=hint) from error
