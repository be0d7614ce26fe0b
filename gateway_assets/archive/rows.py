"""Raw rows of SQLite as Arrow and back: one schema from the table's fields."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import pyarrow as pa

from gateway_assets.archive.columns import ARROW, decode, encode
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field


def arrow_schema(fields: Sequence[Field]) -> pa.Schema:
    """The one schema of a table's rows in memory and in Parquet."""
    return _arrow_schema(tuple(fields))


@lru_cache(maxsize=256)
def _arrow_schema(fields: tuple[Field, ...]) -> pa.Schema:
    arrow = []
    for field in fields:
        number = {"PARQUET:field_id": str(field.id)}
        arrow.append(pa.field(field.name, ARROW[field.kind], field.nullable, number))
        if field.kind is Kind.ANY:
            arrow.append(pa.field(field.type_name, pa.string()))
    return pa.schema(arrow)


def record_batch(rows: Iterable[tuple[Any, ...]], fields: Sequence[Field]) -> pa.RecordBatch:
    """Raw SQLite rows as Arrow. Raises Misfit when a column's kind cannot hold a value."""
    columns = zip(*rows, strict=True)
    arrays = [
        array
        for field, values in zip(fields, columns, strict=True)
        for array in encode(field, values)
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(fields))


def raw_rows(batch: pa.RecordBatch, fields: Sequence[Field]) -> Iterator[tuple[Any, ...]]:
    """Arrow as the rows that SQLite holds."""
    columns = []
    place = 0
    for field in fields:
        width = 2 if field.kind is Kind.ANY else 1
        columns.append(decode(field, batch.columns[place : place + width]))
        place += width
    return zip(*columns, strict=True)
