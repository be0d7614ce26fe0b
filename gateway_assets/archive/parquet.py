"""Batches of rows as Parquet and back, one row group each.

Encodings after https://parquet.apache.org/docs/file-format/data-pages/encodings/, ZSTD level 3:
text that repeats goes into a dictionary, other text is kept with its lengths as deltas; whole
numbers and times as deltas and others byte by byte, unless a dictionary makes the first batch
smaller. Every field carries its field id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gateway_assets.archive.checksum import RESTORE_HINT
from gateway_assets.archive.rows import arrow_schema
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.tiers.fields import Field

_ZSTD: dict[str, Any] = {"compression": "zstd", "compression_level": 3}
LONG_TEXT = 64  # bytes; statistics over longer texts prune nothing and would fill the footer


def write_parquet(
    file: BinaryIO, batches: Iterable[pa.RecordBatch], fields: Sequence[Field]
) -> None:
    """Write batches as one Parquet file, one row group each."""
    waiting = iter(batches)
    first = next(waiting, None)
    sample = [] if first is None else [first]
    schema = arrow_schema(fields)
    with pq.ParquetWriter(
        file,
        schema,
        store_schema=False,
        write_page_checksum=True,
        **_ZSTD,
        **_encodings(schema, sample),
    ) as writer:
        for batch in chain(sample, waiting):
            writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))


def read_batches(path: Path, fields: Sequence[Field]) -> Iterator[pa.RecordBatch]:
    """The row groups of a file, checked against the schema it was written with.

    Raises ArchiveDamaged naming the file when it is missing, cut or of another schema.
    """
    return _row_groups(path, fields, backwards=False)


def read_backwards(path: Path, fields: Sequence[Field]) -> Iterator[pa.RecordBatch]:
    """The same, the last row group first; rows within a group stay in their order."""
    return _row_groups(path, fields, backwards=True)


def is_parquet(path: Path) -> bool:
    """Whether a file's footer can be read."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException):
        return False
    return True


def _row_groups(
    path: Path, fields: Sequence[Field], *, backwards: bool
) -> Iterator[pa.RecordBatch]:
    schema = arrow_schema(fields)
    hint = RESTORE_HINT
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if not file.schema_arrow.equals(schema):
                raise ArchiveDamaged(
                    f"{path} has another schema than it was written with", hint=hint
                )
            groups = range(file.num_row_groups)
            for group in reversed(groups) if backwards else groups:
                yield from (
                    file.read_row_group(group, use_threads=False).combine_chunks().to_batches()
                )
    except FileNotFoundError as error:
        raise ArchiveDamaged(f"archive file {path} is missing", hint=hint) from error
    except (OSError, pa.ArrowException) as error:
        raise ArchiveDamaged(f"archive file {path} cannot be read: {error}", hint=hint) from error


def _encodings(schema: pa.Schema, sample: Sequence[pa.RecordBatch]) -> dict[str, Any]:
    """What suits the values of the first batch; all of it decodes the same whatever comes later."""
    if not sample:
        return {}
    (batch,) = sample
    dictionary, others, statistics = [], {}, []
    for field, column in zip(schema, batch.columns, strict=True):
        values = max(len(column) - column.null_count, 1)
        distinct = len(pc.unique(column))
        kind = field.type
        is_text = pa.types.is_string(kind) or pa.types.is_binary(kind)
        is_repeated = distinct * 3 <= values
        # DuckDB 2.0.0 takes a text column for constantly NULL whose values in a row group are one
        # text and NULLs, unless it is in a dictionary or has no statistics.
        is_safe = not is_text or is_repeated or not field.nullable
        if is_safe and (not is_text or column.nbytes / max(len(column), 1) <= LONG_TEXT):
            statistics.append(field.name)
        if pa.types.is_timestamp(kind) or pa.types.is_int64(kind) or pa.types.is_floating(kind):
            split = "BYTE_STREAM_SPLIT" if pa.types.is_floating(kind) else "DELTA_BINARY_PACKED"
            if distinct * 10 <= values * 9 and _is_smaller_as_dictionary(column, split):
                dictionary.append(field.name)
            else:
                others[field.name] = split
        elif is_repeated:
            dictionary.append(field.name)
        else:
            others[field.name] = "DELTA_LENGTH_BYTE_ARRAY"
    return {
        "use_dictionary": dictionary,
        "column_encoding": others,
        "write_statistics": statistics,
    }


def _is_smaller_as_dictionary(column: pa.Array, encoding: str) -> bool:
    def size(**how: Any) -> int:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"c": column}), sink, **_ZSTD, **how)
        return int(sink.tell())

    return size() <= size(use_dictionary=False, column_encoding={"c": encoding})
