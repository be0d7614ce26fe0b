"""Conditions as SQL, for SQLite's raw columns and for DuckDB's typed ones, with equal meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from gateway_assets import clock
from gateway_assets.bridge.ranges import ANYTHING, Ranges, both, compared, values
from gateway_assets.bridge.where import (
    AllOf,
    AnyOf,
    Compare,
    Condition,
    In,
    IsNull,
    Like,
    Not,
    is_day,
)
from gateway_assets.errors import QueryError
from gateway_assets.hot.sql import quoted
from gateway_assets.model import INT64_MAX, INT64_MIN, TIME_END, Kind
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.times import FIRST_DAY, Epoch

_FIRST, _LAST = FIRST_DAY * clock.DAY, TIME_END - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Text(NamedTuple):
    """SQL and what is bound in it."""

    text: str
    params: tuple[Any, ...] = ()


def typed(field: Field, value: Any) -> Any:
    """A value as the kind of a column has it; a time as microseconds. Raises QueryError."""
    if field.kind is Kind.TIME:
        return _moment(field, value)
    if field.kind is Kind.ANY:
        return value if isinstance(value, str) else repr(value)
    if field.kind is Kind.TEXT and is_day(value):
        return value.isoformat()
    if not isinstance(value, _TYPES[field.kind]) or not _is_held(value):
        raise QueryError(
            f"column {field.name} is of kind {field.kind}: {value!r} cannot be compared with it"
        )
    return float(value) if isinstance(value, int) and field.kind is Kind.REAL else value


_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.INTEGER: int,
    Kind.REAL: (int, float),
    Kind.TEXT: str,
    Kind.BLOB: bytes,
}


def _is_held(value: Any) -> bool:
    """Whether SQLite can hold a value: NaN is NULL there, integers have 64 bits."""
    if isinstance(value, float):
        return not isnan(value)
    return not isinstance(value, int) or INT64_MIN <= value <= INT64_MAX


def _moment(field: Field, value: Any) -> int:
    """A naive time is UTC."""
    if is_day(value):
        value = datetime.combine(value, time(), UTC)
    if isinstance(value, str):
        try:
            return clock.parse_moment(value)
        except ValueError:
            raise QueryError(
                f"column {field.name} is a time, {value!r} is none",
                hint="write it like 2026-11-21T09:30:00Z, or give a datetime",
            ) from None
    if isinstance(value, datetime):
        known = value if value.tzinfo else value.replace(tzinfo=UTC)
        span = known - _EPOCH
        return (span.days * 86_400 + span.seconds) * clock.SECOND + span.microseconds
    raise QueryError(f"column {field.name} is a time, {value!r} is none", hint="give a datetime")


class Dialect:
    """How conditions are written; subclasses know how one column is compared."""

    def __init__(self, find: Callable[[str], Field]) -> None:
        self._find = find

    def where(self, asked: Condition) -> Text:
        match asked:
            case AllOf(parts):
                return self._joined(parts, " AND ", "1 = 1")
            case AnyOf(parts):
                return self._joined(parts, " OR ", "1 = 0")
            case Not(part):
                inner = self.where(part)
                return Text(f"NOT ({inner.text})", inner.params)
            case IsNull(name):
                return Text(f"{quoted(self._find(name).name)} IS NULL")
            case Like(name, pattern):
                return self.like(self._find(name), pattern)
            case Compare(name, operator, value):
                field = self._find(name)
                return self.compare(field, operator, typed(field, value))
            case In(name, given):
                field = self._find(name)
                if not given:
                    return Text("1 = 0")
                return self._joined_texts(
                    (self.compare(field, "=", typed(field, value)) for value in given), " OR "
                )
        raise TypeError(f"{asked!r} is no condition")

    def compare(self, field: Field, operator: str, value: Any) -> Text:
        raise NotImplementedError

    def like(self, field: Field, pattern: str) -> Text:
        if field.kind not in {Kind.TEXT, Kind.ANY}:
            raise QueryError(f"column {field.name} is of kind {field.kind}: LIKE is for text")
        return Text(f"{quoted(field.name)} LIKE ?", (pattern,))

    def _joined(self, parts: Iterable[Condition], word: str, empty: str) -> Text:
        return self._joined_texts(map(self.where, parts), word) if parts else Text(empty)

    def _joined_texts(self, pieces: Iterable[Text], word: str) -> Text:
        found = list(pieces)
        params = tuple(value for piece in found for value in piece.params)
        return Text(word.join(f"({piece.text})" for piece in found), params)


class DuckDialect(Dialect):
    """Columns as the views of the bridge show them."""

    def compare(self, field: Field, operator: str, value: Any) -> Text:
        mark = "make_timestamptz(?)" if field.kind is Kind.TIME else "?"
        return Text(f"{quoted(field.name)} {operator} {mark}", (value,))


class SqliteDialect(Dialect):
    """Columns as the application wrote them; ANY cannot be compared here as it is shown."""

    def compare(self, field: Field, operator: str, value: Any) -> Text:
        name = quoted(field.name)
        if field.kind is Kind.TIME:
            return _compare_time(field, name, operator, value)
        if field.kind is Kind.TEXT:
            name += " COLLATE BINARY"
        return Text(f"{name} {operator} ?", (value,))


def unit_of(field: Field) -> int:
    """Microseconds between two values that a column's way of writing times can tell apart."""
    codec = field.codec
    if isinstance(codec, Epoch):
        return clock.SECOND // codec.per_second
    return {"": clock.SECOND, ".SSS": 1_000}.get(codec.fraction, 1)


def _compare_time(field: Field, name: str, operator: str, moment: int) -> Text:
    """Raw times sort as moments do; a moment between two of them is rounded to the right one."""
    if moment < _FIRST:
        return _always(name, operator in {">", ">=", "<>"})
    if moment > _LAST:
        return _always(name, operator in {"<", "<=", "<>"})
    unit = unit_of(field)
    whole, rest = divmod(moment, unit)
    if rest and operator in {"=", "<>"}:
        return _always(name, operator == "<>")
    if rest and operator in {"<", ">="}:
        whole += 1
    if whole * unit > _LAST:
        return _always(name, operator == "<")
    (raw,) = field.codec.raw(np.array([whole * unit], np.int64))
    return Text(f"{name} {operator} ?", (raw,))


def _always(name: str, true: bool) -> Text:
    """True or false of every value, unknown of NULL."""
    return Text(f"{name} IS NOT NULL" if true else "1 = 0")


class Said(NamedTuple):
    """What a condition says of columns, and whether that is all it says."""

    ranges: dict[str, Ranges]
    is_all: bool


def said(asked: Condition, find: Callable[[str], Field]) -> Said:
    """The ranges that a condition demands, column by column."""
    match asked:
        case Compare(name, operator, value):
            field = find(name)
            if operator == "<>" or field.kind is Kind.ANY:
                return Said({}, False)
            return Said({field.name: compared(operator, typed(field, value))}, True)
        case In(name, given) if given and find(name).kind is not Kind.ANY:
            field = find(name)
            return Said({field.name: values(typed(field, value) for value in given)}, True)
        case AllOf(parts):
            found = [said(part, find) for part in parts]
            ranges: dict[str, Ranges] = {}
            for one in found:
                for name, some in one.ranges.items():
                    ranges[name] = both(ranges.get(name, ANYTHING), some)
            return Said(ranges, all(one.is_all for one in found))
        case AnyOf(parts) if parts:
            found = [said(part, find) for part in parts]
            shared = set.intersection(*(set(one.ranges) for one in found))
            ranges = {
                name: tuple(part for one in found for part in one.ranges[name]) for name in shared
            }
            exact = all(one.is_all and set(one.ranges) == shared for one in found)
            return Said(ranges, exact and len(shared) == 1)
    return Said({}, False)
