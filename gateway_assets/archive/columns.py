"""Python values as Arrow arrays, and Arrow arrays as NumPy's, by their buffers.

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


def arrow_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Integers (also as timestamps), doubles or texts, None for NULL, as an array of ``kind``."""
    bitmap, nulls = None, 0
    if None in values:
        valid = np.fromiter((value is not None for value in values), np.bool_, len(values))
        nulls = len(values) - int(valid.sum())
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    if pa.types.is_string(kind):
        buffers = _text_buffers(values)
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
    return np.where(validity(column), values, dtype(0))


def texts(column: pa.Array) -> tuple[np.ndarray[Any, np.dtype[np.int32]], bytes]:
    """The lengths in bytes and the UTF-8 bytes of a text column; NULL is an empty text."""
    encoded = [b"" if text is None else text.encode() for text in column.to_pylist()]
    return np.fromiter(map(len, encoded), np.int32, len(encoded)), b"".join(encoded)


def _text_buffers(values: Sequence[str | None]) -> list[pa.Buffer]:
    encoded = [b"" if value is None else value.encode() for value in values]
    ends = np.cumsum(np.fromiter(map(len, encoded), np.int64, len(encoded)))
    if len(ends) and ends[-1] >= 2**31:
        raise StoreError(
            "more than 2 GiB of text in one batch", hint="set a smaller archive_batch_size"
        )
    offsets = np.concatenate(([0], ends)).astype(np.int32)
    return [pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
