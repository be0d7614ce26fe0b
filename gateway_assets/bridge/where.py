"""Conditions on the columns of a table, in Python: ``column("status") == "done"``.

They are combined with ``&``, ``|`` and ``~``, and mean what they mean in SQL: a comparison with
NULL is neither true nor false. Text is compared byte by byte, LIKE tells upper from lower case.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from gateway_assets.errors import QueryError

DEEPEST = 100


class Condition:
    """Something that is true of a row, false, or unknown."""

    def __and__(self, other: Condition) -> Condition:
        return AllOf((*_parts(self, AllOf), *_parts(other, AllOf)))

    def __or__(self, other: Condition) -> Condition:
        return AnyOf((*_parts(self, AnyOf), *_parts(other, AnyOf)))

    def __invert__(self) -> Condition:
        return Not(self)

    def __bool__(self) -> bool:
        raise QueryError(
            "a condition has no truth value in Python", hint="combine them with &, | and ~"
        )


@dataclass(frozen=True, eq=False)
class Compare(Condition):
    name: str
    operator: str  # =, <>, <, <=, >, >=
    value: Any


@dataclass(frozen=True, eq=False)
class In(Condition):
    name: str
    values: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Like(Condition):
    """``%`` stands for any characters, ``_`` for one."""

    name: str
    pattern: str


@dataclass(frozen=True, eq=False)
class IsNull(Condition):
    name: str


@dataclass(frozen=True, eq=False)
class AllOf(Condition):
    """True when every part is; without any, true."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, eq=False)
class AnyOf(Condition):
    """True when some part is; without any, false."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, eq=False)
class Not(Condition):
    part: Condition


def _parts(one: Condition, kind: type[AllOf | AnyOf]) -> tuple[Condition, ...]:
    """A chain of the same word is one list, however long it is."""
    return one.parts if isinstance(one, kind) else (one,)


class column:  # noqa: N801  reads as a word of a condition
    """A column by name, to be compared. Comparing with None asks for NULL."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        self._name = name

    def __eq__(self, value: object) -> Condition:  # type: ignore[override]
        return IsNull(self._name) if value is None else Compare(self._name, "=", value)

    def __ne__(self, value: object) -> Condition:  # type: ignore[override]
        return Not(IsNull(self._name)) if value is None else Compare(self._name, "<>", value)

    def __lt__(self, value: Any) -> Condition:
        return Compare(self._name, "<", value)

    def __le__(self, value: Any) -> Condition:
        return Compare(self._name, "<=", value)

    def __gt__(self, value: Any) -> Condition:
        return Compare(self._name, ">", value)

    def __ge__(self, value: Any) -> Condition:
        return Compare(self._name, ">=", value)

    def between(self, low: Any, high: Any) -> Condition:
        """Both ends belong to it."""
        return AllOf((self >= low, self <= high))

    def is_in(self, values: Iterable[Any]) -> Condition:
        return In(self._name, tuple(values))

    def like(self, pattern: str) -> Condition:
        return Like(self._name, pattern)

    def is_null(self) -> Condition:
        return IsNull(self._name)


Filters = Condition | Mapping[str, Any] | Sequence[Condition] | None


def condition(filters: Filters) -> Condition:
    """One condition: a mapping asks for equality, IN for a list, NULL for None."""
    if filters is None:
        return AllOf(())
    if isinstance(filters, Mapping):
        return AllOf(tuple(_equal(name, value) for name, value in filters.items()))
    parts = tuple(filters) if isinstance(filters, list | tuple) else (filters,)
    if not all(isinstance(part, Condition) for part in parts):
        raise QueryError(
            "filters are conditions or a mapping",
            hint='such as: column("status") == "done", or {"status": "done"}',
        )
    whole = AllOf(parts)
    if _depth(whole) > DEEPEST:
        raise QueryError(f"conditions are nested more than {DEEPEST} deep", hint="use is_in")
    return whole


def _depth(asked: Condition) -> int:
    level: list[Condition] = [asked]
    depth = 0
    while level and depth <= DEEPEST:
        depth += 1
        below: list[Condition] = []
        for one in level:
            if isinstance(one, Not):
                below.append(one.part)
            elif isinstance(one, AllOf | AnyOf):
                below.extend(one.parts)
        level = below
    return depth


def _equal(name: str, value: Any) -> Condition:
    if isinstance(value, list | tuple | set | frozenset):
        return In(name, tuple(value))
    return IsNull(name) if value is None else Compare(name, "=", value)


def names_in(asked: Condition) -> set[str]:
    """The columns that a condition mentions."""
    match asked:
        case AllOf(parts) | AnyOf(parts):
            return set().union(*map(names_in, parts))
        case Not(part):
            return names_in(part)
        case Compare(name) | In(name) | Like(name) | IsNull(name):
            return {name}
    raise TypeError(f"{asked!r} is no condition")


def is_day(value: Any) -> bool:
    """A date without a time of day."""
    return type(value) is date
