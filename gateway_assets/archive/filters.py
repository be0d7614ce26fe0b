"""Rows of archived files by conditions on their columns, batch by batch, in the files' order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gateway_assets.archive.columns import encode
from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.parquet import read_batches
from gateway_assets.archive.source import Source
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

Mask = Callable[[pa.RecordBatch], pa.Array]
GROUP_BYTES = 32 * 2**20


def answering_rows(
    source: Source, file: ArchiveFile, fields: Sequence[Field], also: Mask | None = None
) -> Iterator[pa.RecordBatch]:
    """The rows that a file answers for, and that meet another condition."""
    masks = [mask for mask in (answered(source.table, file, fields), also) if mask]
    for batch in read_batches(file.below(source.root), fields):
        kept = batch
        for mask in masks:
            kept = kept.filter(mask(kept))
        if kept.num_rows:
            yield kept


def answered(table: Tiered, file: ArchiveFile, fields: Sequence[Field]) -> Mask | None:
    """Which rows a file answers for; None when it does for all."""
    if file.answers_until is None:
        return None
    time = next(field for field in fields if field.id == table.time_field.id)
    bound = stored(time, file.answers_until)
    return lambda batch: pc.less(batch.column(time.name), bound)


def equal(fields: Sequence[Field], values: Mapping[int, Any]) -> Mask:
    """Rows whose columns, by id, hold these stored values; NULL equals nothing."""
    names = {field.id: field.name for field in fields}

    def mask(batch: pa.RecordBatch) -> pa.Array:
        found = None
        for number, value in values.items():
            one = pc.fill_null(pc.equal(batch.column(names[number]), value), False)
            found = one if found is None else pc.and_(found, one)
        return found

    return mask


def inverted(mask: Mask) -> Mask:
    return lambda batch: pc.invert(mask(batch))


def stored(field: Field, raw: Any) -> Any:
    """A raw value as an Arrow scalar of the column's type in Parquet."""
    if field.kind is Kind.ANY:
        raw = str(raw)
    return encode(field, [raw])[0][0]


def regrouped(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of about ``rows``, fewer when these would be large."""
    waiting: list[pa.RecordBatch] = []
    held, size = 0, 0
    for batch in batches:
        waiting.append(batch)
        held += batch.num_rows
        size += batch.nbytes
        if held >= rows or size >= GROUP_BYTES:
            yield from _joined(waiting)
            waiting, held, size = [], 0, 0
    yield from _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    if batches:
        yield from pa.Table.from_batches(batches).combine_chunks().to_batches()
