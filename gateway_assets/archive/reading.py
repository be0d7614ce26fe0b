"""Hot rows as Arrow, batch by batch: few enough rows at a time for the memory that is allowed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from gateway_assets.archive.rows import record_batch
from gateway_assets.archive.visible import visible
from gateway_assets.hot.sql import sql
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

FIRST_FETCH = 1  # how large rows are is not known before one was seen


class UndecodableText(Exception):
    """A text in the database is no UTF-8; read on with ``tolerate``."""


def tolerate(connection: sqlite3.Connection) -> None:
    """From here on, bytes that are no UTF-8 come as surrogates instead of failing the query."""
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")


def day_query(
    connection: sqlite3.Connection, table: Tiered, day: int
) -> tuple[str, tuple[Any, ...]]:
    """The visible rows of a day that may leave, in the order of the file."""
    condition, params = table.on_day(day)
    query = sql(
        "SELECT {columns} FROM {rows} WHERE {condition} AND {visible} ORDER BY {order}",
        columns=[field.name for field in table.fields],
        rows=table.rows,
        condition=condition,
        visible=visible(connection, table),
        order=table.order,
    )
    return query, params


def batches(
    cursor: sqlite3.Cursor, fields: Sequence[Field], size: int, memory: int
) -> Iterator[pa.RecordBatch]:
    """The rest of a cursor as Arrow, ``size`` rows a batch, fewer when these would not fit
    ``memory`` bytes. Raises Misfit and UndecodableText.
    """
    for rows in _row_lists(cursor, size, memory):
        yield record_batch(rows, fields)


def _row_lists(cursor: sqlite3.Cursor, size: int, memory: int) -> Iterator[list[tuple[Any, ...]]]:
    waiting: list[tuple[Any, ...]] = []
    held, fetch = 0, min(FIRST_FETCH, size)
    while rows := _fetched(cursor, min(fetch, size - len(waiting))):
        weight = _weight(rows)
        waiting += rows
        held += weight
        # Rows may become eight times as large before that is noticed.
        fetch = max(1, min(size, memory // 8 // max(weight // len(rows), 1)))
        if len(waiting) >= size or held >= memory:
            yield waiting
            waiting, held = [], 0
    if waiting:
        yield waiting


def _fetched(cursor: sqlite3.Cursor, count: int) -> list[tuple[Any, ...]]:
    try:
        return cursor.fetchmany(count)
    except sqlite3.OperationalError as error:
        if "decode" in str(error):
            raise UndecodableText from error
        raise


def _weight(rows: list[tuple[Any, ...]]) -> int:
    """About how many bytes of memory rows take, judged by a few of them."""
    sample = rows[:: max(len(rows) // 8, 1)]
    values = chain.from_iterable(sample)
    size = sum(32 + (len(value) if isinstance(value, str | bytes) else 0) for value in values)
    return size * len(rows) // len(sample)
