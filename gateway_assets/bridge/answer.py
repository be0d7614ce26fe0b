"""The rows that a question is answered with, as dicts, Arrow or pandas; the same types each way."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from gateway_assets.archive.columns import ARROW, arrow_array, numbers, validity
from gateway_assets.archive.columns import shown as shown_text
from gateway_assets.bridge.explain import Explained
from gateway_assets.errors import QueryError
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field, Misfit, check_types
from gateway_assets.tiers.times import Epoch

if TYPE_CHECKING:
    import pandas as pd

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = tuple[Any, ...]  # plain values: a time as microseconds, ANY as it is shown


class Answer:
    """Rows in their order. ``cursor`` is where the next page begins, empty after the last one."""

    def __init__(
        self,
        fields: Sequence[Field],
        found: list[Row] | pa.Table,
        cursor: str,
        explained: Explained,
    ) -> None:
        self.fields = fields
        self.cursor = cursor
        self.explained = explained
        self._found = found

    def __len__(self) -> int:
        return len(self._found)

    def rows(self) -> list[dict[str, Any]]:
        """One dict a row; times as datetimes in UTC."""
        names = [field.name for field in self.fields]
        plain = self._found
        if isinstance(plain, pa.Table):
            plain = plain_rows(plain, self.fields)
        rows: list[dict[str, Any]] = list(map(dict, map(zip, repeat(names), plain)))
        for place, field in enumerate(self.fields):
            if field.kind is Kind.TIME:
                for row, time in zip(rows, _times([row[place] for row in plain]), strict=True):
                    row[field.name] = time
        return rows

    def arrow(self) -> pa.Table:
        if isinstance(self._found, pa.Table):
            return self._found
        columns = list(zip(*self._found, strict=True)) or [() for _ in self.fields]
        arrays = [
            arrow_array(values, ARROW[field.kind])
            for field, values in zip(self.fields, columns, strict=True)
        ]
        schema = pa.schema([pa.field(field.name, ARROW[field.kind]) for field in self.fields])
        return pa.Table.from_arrays(arrays, schema=schema)

    def pandas(self) -> pd.DataFrame:
        return self.arrow().to_pandas()


def as_datetime(moment: int) -> datetime:
    """Microseconds since the epoch as a datetime in UTC."""
    return _EPOCH + timedelta(microseconds=moment)


def _times(moments: list[int | None]) -> list[datetime | None]:
    """Many at once, several times faster."""
    since = np.array(moments, "timedelta64[us]").tolist()
    return [None if delta is None else _EPOCH + delta for delta in since]


def datetimes(column: pa.ChunkedArray) -> list[datetime | None]:
    """Times of a column, in its zone; without one when it has none."""
    zone = ZoneInfo(column.type.tz) if column.type.tz else None
    moments = _numbers(column)
    return [None if moment is None else _in_zone(moment, zone) for moment in moments]


def _in_zone(moment: int, zone: ZoneInfo | None) -> datetime:
    """Infinity is the last or first moment that Python has."""
    try:
        known = as_datetime(moment)
        return known.astimezone(zone) if zone else known.replace(tzinfo=None)
    except OverflowError:
        end = datetime.max if moment > 0 else datetime.min  # noqa: DTZ901  it gets one here
        return end.replace(tzinfo=UTC if zone else None)


def _numbers(column: pa.ChunkedArray) -> list[Any]:
    """Integers, reals, or times as microseconds, many times faster than ``to_pylist``."""
    whole = column.combine_chunks()
    whole = whole if isinstance(whole, pa.Array) else pa.concat_arrays(whole.chunks)
    plain = whole.view(pa.int64()) if pa.types.is_timestamp(whole.type) else whole
    found: list[Any] = numbers(plain).tolist()
    if whole.null_count:
        there = validity(whole).tolist()
        found = [value if known else None for value, known in zip(found, there, strict=True)]
    return found


def plain_rows(table: pa.Table, fields: Sequence[Field]) -> list[Row]:
    """Arrow as plain values, times as microseconds."""
    return list(zip(*_plain_columns(table, fields), strict=True))


def _plain_columns(table: pa.Table, fields: Sequence[Field]) -> list[list[Any]]:
    columns: list[list[Any]] = []
    for field, column in zip(fields, table.columns, strict=True):
        if field.kind in {Kind.TIME, Kind.INTEGER, Kind.REAL}:
            columns.append(_numbers(column))
        else:
            columns.append(column.to_pylist())
    return columns


def decoded(fields: Sequence[Field], rows: Sequence[Row]) -> list[Row]:
    """Raw rows of SQLite as plain values. Raises Misfit when a column's kind does not hold one."""
    if not rows:
        return []
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for place, field in enumerate(fields):
        values = columns[place]
        types = set(map(type, values))
        check_types(field, values, types)
        if field.kind is Kind.TIME:
            columns[place] = _moments(field, values)
        elif field.kind is Kind.ANY:
            columns[place] = [None if value is None else shown_text(value) for value in values]
        elif field.kind is Kind.REAL and int in types:
            columns[place] = [None if value is None else float(value) for value in values]
    return list(zip(*columns, strict=True))


def _moments(field: Field, values: Sequence[Any]) -> list[int | None]:
    present = [value for value in values if value is not None]
    if not present:
        return [None] * len(values)
    codec = field.codec
    if isinstance(codec, Epoch):
        if any(codec.day(value) is None for value in (min(present), max(present))):
            raise Misfit(field)
        found = codec.moments(np.asarray(present, np.int64))
    else:
        read = codec.moments(present)
        if read is None:
            raise Misfit(field)
        found = read
    if len(present) == len(values):
        return list(found.tolist())
    moments = iter(found.tolist())
    return [None if value is None else next(moments) for value in values]


def encode_cursor(order: Sequence[str], values: Sequence[Any]) -> str:
    """Where a page ended, and in which order: names, those that fall with a "-"."""
    plain = [{"hex": value.hex()} if isinstance(value, bytes) else value for value in values]
    return base64.urlsafe_b64encode(json.dumps([list(order), plain]).encode()).decode()


def decode_cursor(cursor: str, order: Sequence[str]) -> list[Any]:
    """The values of the row that a page ended with. Raises QueryError for anything else."""
    try:
        given, plain = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        values = [bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for v in plain]
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError):
        given, values = None, []
    if given != list(order) or len(values) != len(order):
        raise QueryError(
            "this is no cursor of such a question", hint="give the cursor of the answer before"
        )
    return values
