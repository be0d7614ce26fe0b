"""Python values as Arrow arrays and back, by their buffers.

``pyarrow.array`` and ``pyarrow.scalar`` import pandas as soon as it is installed, which costs
every process a second and ninety megabytes. Layout after
https://arrow.apache.org/docs/format/Columnar.html: validity as a little-endian bitmap, text as
int32 offsets into UTF-8 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from gateway_assets.errors import StoreError
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import WHOLE_END, Field, Misfit, check_types, is_text
from gateway_assets.tiers.times import Epoch

# SQLite's own names of types, and one for text that is no UTF-8, which is kept as hexadecimal.
_TYPE_NAMES = {int: "integer", float: "real", str: "text", bytes: "blob"}
BROKEN_TEXT = "text in hex"


def encode(field: Field, values: Sequence[Any]) -> list[pa.Array]:
    """A column of raw SQLite values as Arrow: one array, or two for a column of kind ANY.

    Raises Misfit when the column's kind cannot hold a value.
    """
    types = set(map(type, values))
    check_types(field, values, types)
    if field.kind is Kind.ANY:
        written = [None if value is None else shown(value) for value in values]
        names = [None if value is None else _type_name(value) for value in values]
        return [arrow_array(written, pa.string()), arrow_array(names, pa.string())]
    if field.kind is Kind.TIME:
        return [_times(field, values)]
    try:
        return [arrow_array(values, ARROW[field.kind])]
    except UnicodeEncodeError:
        raise Misfit(field) from None


def decode(field: Field, arrays: Sequence[pa.Array]) -> list[Any]:
    """The raw SQLite values that ``encode`` was given."""
    if field.kind is Kind.ANY:
        pairs = zip(arrays[0].to_pylist(), arrays[1].to_pylist(), strict=True)
        return [_raw(text, name) for text, name in pairs]
    if field.kind is not Kind.TIME:
        values: list[Any] = arrays[0].to_pylist()
        return list(map(_as_held, values)) if _may_hold_integers(field) else values
    there = validity(arrays[0])
    raw = iter(field.codec.raw(numbers(arrays[0].view(pa.int64()))[there]))
    return [next(raw) if present else None for present in there.tolist()]


def _may_hold_integers(field: Field) -> bool:
    return field.kind is Kind.REAL and field.makes_integers


def _as_held(value: float | None) -> float | int | None:
    """A double as a column of numeric affinity holds it: whole ones are integers."""
    if value is None or not value.is_integer() or abs(value) >= WHOLE_END:
        return value
    return int(value)


def arrow_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Integers (also as timestamps), doubles, texts or bytes, None for NULL, as ``kind``."""
    bitmap, nulls = None, 0
    if None in values:
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        nulls = len(values) - int(valid.sum())
        bitmap = _bitmap(valid)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        buffers = _text_buffers(values, bool(nulls))
    else:
        dtype = np.float64 if pa.types.is_floating(kind) else np.int64
        filled = values if not nulls else [0 if value is None else value for value in values]
        buffers = [pa.py_buffer(np.asarray(filled, dtype))]
    return pa.Array.from_buffers(kind, len(values), [bitmap, *buffers], nulls)


def validity(column: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """True where a value is; one byte a row."""
    bitmap = column.buffers()[0]
    if bitmap is None:
        return np.ones(len(column), np.bool_)
    bits = np.unpackbits(np.frombuffer(bitmap, np.uint8), bitorder="little")
    return bits[column.offset : column.offset + len(column)].view(np.bool_)


def numbers(column: pa.Array) -> np.ndarray[Any, Any]:
    """The values of a column of integers, times or doubles; 0 for NULL."""
    dtype = np.float64 if pa.types.is_floating(column.type) else np.int64
    values = np.frombuffer(column.buffers()[1], dtype)[column.offset : column.offset + len(column)]
    return values if not column.null_count else np.where(validity(column), values, dtype(0))


def texts(column: pa.Array) -> tuple[np.ndarray[Any, np.dtype[np.int32]], Any]:
    """The lengths in bytes and the bytes of a column of texts or bytes; NULL is empty."""
    _, offsets_buffer, data = column.buffers()
    if not len(column) or offsets_buffer is None:
        return np.zeros(len(column), np.int32), b""
    offsets = np.frombuffer(offsets_buffer, np.int32)[
        column.offset : column.offset + len(column) + 1
    ]
    lengths = np.diff(offsets)
    if column.null_count and lengths[~validity(column)].any():
        encoded = [
            text.encode() if isinstance(text, str) else text or b"" for text in column.to_pylist()
        ]
        return np.fromiter(map(len, encoded), np.int32, len(encoded)), b"".join(encoded)
    return lengths, memoryview(data or b"")[offsets[0] : offsets[-1]]


ARROW = {
    Kind.TIME: pa.timestamp("us", "UTC"),
    Kind.INTEGER: pa.int64(),
    Kind.REAL: pa.float64(),
    Kind.TEXT: pa.string(),
    Kind.BLOB: pa.binary(),
    Kind.ANY: pa.string(),
}


def _times(field: Field, values: Sequence[Any]) -> pa.Array:
    present = [value for value in values if value is not None]
    codec = field.codec
    if isinstance(codec, Epoch):
        if present and any(codec.day(value) is None for value in (min(present), max(present))):
            raise Misfit(field)
        moments = codec.moments(np.asarray(present, np.int64)) if present else _NOTHING
    else:
        read = codec.moments(present) if present else _NOTHING
        if read is None:
            raise Misfit(field)
        moments = read
    if len(present) == len(values):
        return pa.Array.from_buffers(
            ARROW[Kind.TIME], len(values), [None, pa.py_buffer(moments)], 0
        )
    valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
    filled = np.zeros(len(values), np.int64)
    filled[valid] = moments
    return pa.Array.from_buffers(
        ARROW[Kind.TIME],
        len(values),
        [_bitmap(valid), pa.py_buffer(filled)],
        len(values) - len(present),
    )


_NOTHING = np.zeros(0, np.int64)


def _bitmap(valid: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(valid, bitorder="little"))


def _text_buffers(values: Sequence[Any], nulls: bool) -> list[pa.Buffer]:
    kind = next((type(value) for value in values if value is not None), str)
    filled: Sequence[Any] = (
        [kind() if value is None else value for value in values] if nulls else values
    )
    joined: Any = kind().join(filled)
    if isinstance(joined, str) and not joined.isascii():
        filled = [value.encode() for value in filled]
        joined = b"".join(filled)
    data = joined.encode() if isinstance(joined, str) else joined
    if len(data) >= 2**31:
        raise StoreError(
            "more than 2 GiB of text in one batch", hint="set a smaller archive_batch_size"
        )
    offsets = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(map(len, filled), np.int32, len(values)), out=offsets[1:])
    return [pa.py_buffer(offsets), pa.py_buffer(data)]


def shown(value: Any) -> str:
    """A value of any type as text. Reals keep their shortest exact form."""
    if isinstance(value, str):
        return value if is_text(value) else value.encode("utf-8", "surrogateescape").hex()
    return value.hex() if isinstance(value, bytes) else repr(value)


def _type_name(value: Any) -> str:
    return (
        BROKEN_TEXT if isinstance(value, str) and not is_text(value) else _TYPE_NAMES[type(value)]
    )


def _raw(text: str | None, name: str | None) -> Any:
    if text is None:
        return None
    match name:
        case "integer":
            return int(text)
        case "real":
            return float(text)
        case "blob":
            return bytes.fromhex(text)
        case "text in hex":
            return bytes.fromhex(text).decode("utf-8", "surrogateescape")
        case _:
            return text
