"""Conditions as SQL, for SQLite's raw columns and for DuckDB's typed ones, with equal meaning."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime, time
from functools import lru_cache
from itertools import zip_longest
from math import isnan
from typing import Any, NamedTuple

import numpy as np

from gateway_assets import clock
from gateway_assets.archive.columns import shown
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
from gateway_assets.tiers.fields import Field, is_text
from gateway_assets.tiers.reflect import affinity
from gateway_assets.tiers.times import FIRST_DAY, Epoch

MOST_VALUES = 30_000  # SQLite binds 32,766
LONGEST_PATTERN = 10_000
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
    if isinstance(value, bool):
        value = int(value)  # as SQLite keeps it
    if field.kind is Kind.TEXT and is_day(value):
        value = value.isoformat()
    if not isinstance(value, _TYPES[field.kind]) or not _is_held(value):
        raise QueryError(
            f"column {field.name} is of kind {field.kind}: {value!r} cannot be compared with it"
        )
    if field.kind is Kind.ANY:
        return shown(value)
    return float(value) if isinstance(value, int) and field.kind is Kind.REAL else value


_TYPES: dict[Kind, type | tuple[type, ...]] = {
    Kind.INTEGER: int,
    Kind.REAL: (int, float),
    Kind.TEXT: str,
    Kind.BLOB: bytes,
    Kind.ANY: (int, float, str, bytes),
}


def _is_held(value: Any) -> bool:
    """Whether SQLite can hold a value: NaN is NULL there, integers have 64 bits."""
    if isinstance(value, str):
        return is_text(value)
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
                if len(given) > MOST_VALUES:
                    raise QueryError(f"IN takes up to {MOST_VALUES:,} values, not {len(given):,}")
                return self.among(field, list(dict.fromkeys(typed(field, one) for one in given)))
        raise TypeError(f"{asked!r} is no condition")

    def compare(self, field: Field, operator: str, value: Any) -> Text:
        raise NotImplementedError

    def among(self, field: Field, values: list[Any]) -> Text:
        """Equal to one of several values."""
        raise NotImplementedError

    def like(self, field: Field, pattern: str) -> Text:
        if field.kind not in {Kind.TEXT, Kind.ANY}:
            raise QueryError(f"column {field.name} is of kind {field.kind}: LIKE is for text")
        if not isinstance(pattern, str) or not is_text(pattern) or len(pattern) > LONGEST_PATTERN:
            raise QueryError(f"a pattern is a text of up to {LONGEST_PATTERN:,} characters")
        return self.matches(quoted(field.name), pattern)

    def matches(self, name: str, pattern: str) -> Text:
        return Text(f"{name} LIKE ?", (pattern,))

    def _joined(self, parts: Iterable[Condition], word: str, empty: str) -> Text:
        return self._joined_texts(map(self.where, parts), word) if parts else Text(empty)

    def _joined_texts(self, pieces: Iterable[Text], word: str) -> Text:
        found = list(pieces)
        params = tuple(value for piece in found for value in piece.params)
        return Text(_balanced([f"({piece.text})" for piece in found], word), params)


def _balanced(parts: list[str], word: str) -> str:
    """A long chain as a tree: both engines limit how deep one may be."""
    while len(parts) > 2:
        pairs = zip_longest(parts[::2], parts[1::2])
        parts = [f"({one}{word}{other})" if other else one for one, other in pairs]
    return word.join(parts)


class DuckDialect(Dialect):
    """Columns as the views of the bridge show them."""

    def compare(self, field: Field, operator: str, value: Any) -> Text:
        return Text(f"{quoted(field.name)} {operator} {self._mark(field)}", (value,))

    def among(self, field: Field, values: list[Any]) -> Text:
        if not values:
            return Text("1 = 0")
        marks = ", ".join([self._mark(field)] * len(values))
        return Text(f"{quoted(field.name)} IN ({marks})", tuple(values))

    def _mark(self, field: Field) -> str:
        return "make_timestamptz(?)" if field.kind is Kind.TIME else "?"


class SqliteDialect(Dialect):
    """Columns as the application wrote them; ANY cannot be compared here as it is shown."""

    def compare(self, field: Field, operator: str, value: Any) -> Text:
        if field.kind is Kind.TIME:
            return _compare_time(field, quoted(field.name), operator, value)
        return Text(f"{raw_name(field)} {operator} ?", (value,))

    def among(self, field: Field, values: list[Any]) -> Text:
        if not values:
            return Text("1 = 0")
        name = raw_name(field)
        if field.kind is Kind.TIME:
            unit = unit_of(field)
            there = [one for one in values if one % unit == 0 and _FIRST <= one <= _LAST]
            if not there:
                return _always(quoted(field.name), False)
            values = field.codec.raw(np.array(there, np.int64))
        return Text(f"{name} IN ({', '.join('?' * len(values))})", tuple(values))

    def matches(self, name: str, pattern: str) -> Text:
        """SQLite's own LIKE stops at a NUL."""
        text = (
            f"CASE WHEN instr({name}, char(0)) THEN gateway_like({name}, ?) ELSE {name} LIKE ? END"
        )
        if "\0" in pattern:
            return Text(f"gateway_like({name}, ?)", (pattern,))
        return Text(text, (pattern, pattern))


def raw_name(field: Field) -> str:
    """A column as it is compared and ordered: texts by their bytes, and never as numbers."""
    name = quoted(field.name)
    if field.kind is not Kind.TEXT:
        return name
    plain = name if affinity(field.declared) in {"TEXT", "BLOB"} else f"+{name}"
    return f"{plain} COLLATE BINARY"


def is_like(value: str | None, pattern: str) -> bool | None:
    """LIKE as DuckDB has it."""
    return None if value is None else _like_pattern(pattern).fullmatch(value) is not None


@lru_cache(maxsize=64)
def _like_pattern(pattern: str) -> re.Pattern[str]:
    letters = {"%": ".*", "_": "."}
    return re.compile("".join(letters.get(one) or re.escape(one) for one in pattern), re.DOTALL)


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
    return Text(f"CASE WHEN {name} IS NOT NULL THEN {int(true)} END")


class Said(NamedTuple):
    """What a condition says of columns, and whether that is all it says."""

    ranges: dict[str, Ranges]
    is_all: bool


def said(asked: Condition, find: Callable[[str], Field], never_null: Collection[str] = ()) -> Said:
    """The ranges that a condition demands, column by column; some columns may never be NULL."""
    match asked:
        case IsNull(name) if name in never_null:
            return Said({name: ()}, True)
        case Compare(name, operator, value):
            field = find(name)
            if operator == "<>" or field.kind is Kind.ANY:
                return Said({}, False)
            return Said({field.name: compared(operator, typed(field, value))}, True)
        case In(name, given) if given and find(name).kind is not Kind.ANY:
            field = find(name)
            return Said({field.name: values(typed(field, value) for value in given)}, True)
        case AllOf(parts):
            found = [said(part, find, never_null) for part in parts]
            ranges: dict[str, Ranges] = {}
            for one in found:
                for name, some in one.ranges.items():
                    ranges[name] = both(ranges.get(name, ANYTHING), some)
            return Said(ranges, all(one.is_all for one in found))
        case AnyOf(parts) if parts:
            found = [said(part, find, never_null) for part in parts]
            shared = set.intersection(*(set(one.ranges) for one in found))
            ranges = {
                name: tuple(part for one in found for part in one.ranges[name]) for name in shared
            }
            exact = all(one.is_all and set(one.ranges) == shared for one in found)
            return Said(ranges, exact and len(shared) == 1)
    return Said({}, False)
