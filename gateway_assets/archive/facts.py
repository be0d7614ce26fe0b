"""Taking the manifest's facts from rows that pass by: counts, ranges, sums, a content hash.

All of it is taken batch by batch, so that nothing has to be held in memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway_assets import clock
from gateway_assets.archive.columns import numbers, texts, validity
from gateway_assets.archive.manifest import ColumnFacts, Facts
from gateway_assets.archive.rows import arrow_schema
from gateway_assets.tiers.fields import Field

LONG = 40  # characters; longer texts are no use for finding a file


class FactsTaker:
    """Takes facts of the batches that pass by."""

    def __init__(self, fields: Sequence[Field], summed: Collection[str] = ()) -> None:
        self.rows = 0
        self._columns = {
            field.name: ColumnFacts(sum=0 if field.name in summed else None)
            for field in arrow_schema(fields)
        }
        self._hash = ContentHash(len(self._columns))

    def passing(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            self.rows += batch.num_rows
            plain = _plain(batch)
            for facts, column in zip(self._columns.values(), plain, strict=True):
                _add(facts, column)
            self._hash.update(plain)
            yield batch

    def taken(self, day: int, time: Field) -> Facts:
        """All facts; first and last time by the column, or, where it is no time, by the day."""
        ends = self._columns[time.name]
        first, last = clock.day_range(day)
        if time.format and ends.min is not None:
            first, last = ends.min, ends.max + 1
        return Facts(self.rows, self._columns, self.content_hash(), first, last - 1)

    def content_hash(self, fields: Sequence[Field] | None = None) -> str:
        """Of all columns, or of the first ones only."""
        return self._hash.hexdigest(None if fields is None else len(arrow_schema(fields)))


def hashed(batches: Iterable[pa.RecordBatch], fields: Sequence[Field]) -> tuple[int, str]:
    """How many rows pass by, and the content hash of their values."""
    rows, content = 0, ContentHash(len(arrow_schema(fields)))
    for batch in batches:
        rows += batch.num_rows
        content.update(_plain(batch))
    return rows, content.hexdigest()


def _add(facts: ColumnFacts, column: pa.Array) -> None:
    facts.nulls += column.null_count
    if not pa.types.is_binary(column.type) and facts.min is not False:
        low, high = (value.as_py() for value in pc.min_max(column).values())
        if isinstance(low, str) and max(len(low), len(high)) > LONG:
            facts.min = facts.max = False  # too long to be of use, whatever comes later
        elif low is not None:
            facts.min = low if facts.min is None else min(facts.min, low)
            facts.max = high if facts.max is None else max(facts.max, high)
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

    def update(self, columns: Sequence[pa.Array]) -> None:
        """Add rows, given as plain columns (no timestamps)."""
        for streams, column in zip(self._streams, columns, strict=True):
            for stream, piece in zip(streams, _pieces(column), strict=True):
                stream.update(piece)

    def hexdigest(self, columns: int | None = None) -> str:
        """Of all columns, or of so many, as if there were no others."""
        whole = hashlib.sha256()
        for streams in self._streams[:columns]:
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
    if pa.types.is_string(column.type) or pa.types.is_binary(column.type):
        return validity(column), *texts(column)
    return validity(column), b"", numbers(column)
