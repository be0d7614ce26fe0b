"""Taking the manifest's facts from rows that pass by: counts, ranges, sums, a content hash.

All of it is taken batch by batch, so that source and file can be compared without holding either
in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway_assets.archive.columns import numbers, texts, validity
from gateway_assets.archive.manifest import ColumnFacts, Facts
from gateway_assets.table import Table


class FactsTaker:
    """Takes facts of the batches that pass by."""

    def __init__(self, table: Table) -> None:
        self.rows = 0
        self.columns = {
            column.name: ColumnFacts(sum=0 if column.summed else None) for column in table.stored
        }
        self._hash = ContentHash(len(self.columns))

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.rows += batch.num_rows
            for facts, column in zip(self.columns.values(), _plain(batch), strict=True):
                _add(facts, column)
            self._hash.update(batch)
            yield batch

    def taken(self) -> Facts:
        return Facts(self.rows, self.columns, self._hash.hexdigest())


def _add(facts: ColumnFacts, column: pa.Array) -> None:
    low, high = (value.as_py() for value in pc.min_max(column).values())
    if low is not None:
        facts.min = low if facts.min is None else min(facts.min, low)
        facts.max = high if facts.max is None else max(facts.max, high)
    facts.nulls += column.null_count
    if facts.sum is not None:
        # Python's integers do not overflow, Arrow's sum of int64 would.
        facts.sum += sum(value for value in column.to_pylist() if value is not None)


class ContentHash:
    """SHA-256 over the values of rows in their order, whatever batches they come in.

    Three SHA-256 streams per column (validity as one byte a row; lengths of texts as int32;
    values as little-endian int64 or double, or UTF-8 bytes; NULL counts as 0 or an empty text),
    then one SHA-256 over all their digests. It depends on nothing but the values.
    """

    def __init__(self, columns: int) -> None:
        self._streams = [tuple(hashlib.sha256() for _ in range(3)) for _ in range(columns)]

    def update(self, batch: pa.RecordBatch) -> None:
        for streams, column in zip(self._streams, _plain(batch), strict=True):
            for stream, piece in zip(streams, _pieces(column), strict=True):
                stream.update(piece)

    def hexdigest(self) -> str:
        whole = hashlib.sha256()
        for streams in self._streams:
            for stream in streams:
                whole.update(stream.digest())
        return whole.hexdigest()


def _plain(batch: pa.RecordBatch) -> list[pa.Array]:
    """The columns, times as the integers they are."""
    return [
        column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
        for column in batch.columns
    ]


def _pieces(column: pa.Array) -> tuple[Any, Any, Any]:
    if pa.types.is_string(column.type):
        return validity(column), *texts(column)
    return validity(column), b"", numbers(column)
