"""The first rows by time of a hot table that lies by another column (see ``archive.hops``).

An index on the time would give them at once; without one SQLite sorts every row for them. So it is
asked for a short range at that end of the time, then for longer ones until enough rows are found.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

from gateway_assets.archive.chunks import is_spanned
from gateway_assets.archive.hops import first_time, last_time, lead
from gateway_assets.bridge.dialects import said
from gateway_assets.bridge.question import Bound, finder
from gateway_assets.bridge.scans import Need
from gateway_assets.bridge.tiers import within
from gateway_assets.hot.sql import Fragment, quoted
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import Epoch

FIRST_SECONDS, GROWTH = 60, 8

Range = tuple[Fragment, tuple[Any, ...]]  # a condition with its parameters


def nearest(connection: sqlite3.Connection, table: Tiered, bound: Bound) -> Iterator[Range]:
    """Ranges to ask for, each with all rows of the one before and what comes next in the order;
    none where that is no help. Rows of the whole come last and are not among them.
    """
    if not bound.order or not is_spanned(connection, table):
        return
    (field, falls), ranges = bound.order[0], said(bound.asked, finder(table)).ranges
    may_be_null = bool(table.shape.rowid)
    if field.name != table.time or (may_be_null and not falls):
        return
    if _is_one(ranges.get(lead(connection, table))):
        return  # such rows lie in the order of time
    name = quoted(table.time)
    meant = {table.time: ranges[table.time]} if table.time in ranges else {}
    condition, params = within(table, Need(frozenset(), meant))
    condition = Fragment(f"{condition} AND ({table.written.usable(table.time)}) IS TRUE")
    first = first_time(connection, table, condition, params)
    if first is None:
        return
    last = last_time(connection, table, condition, params)
    assert isinstance(table.written, Epoch)
    span = FIRST_SECONDS * table.written.per_second
    while span < last - first:
        yield (
            (Fragment(f"{name} >= ?"), (last - span,))
            if falls
            else (Fragment(f"{name} <= ?"), (first + span,))
        )
        span *= GROWTH


def _is_one(ranges: Any) -> bool:
    return bool(ranges) and len(ranges) == 1 and ranges[0][0] == ranges[0][1] is not None
