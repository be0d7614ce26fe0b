"""What is asked of one table, checked against its columns: order, pages, what SQLite can compare.

NULL is the smallest value of an order. With a limit, the table's key goes last in it, so that the
same rows always come first. A cursor holds the values of the row that a page ended with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gateway_assets.bridge.answer import as_datetime, decode_cursor
from gateway_assets.bridge.databases import Look
from gateway_assets.bridge.dialects import said
from gateway_assets.bridge.ranges import Ranges
from gateway_assets.bridge.scans import columns_of
from gateway_assets.bridge.where import AllOf, AnyOf, Compare, Condition, IsNull, Not, names_in
from gateway_assets.errors import QueryError
from gateway_assets.model import Kind
from gateway_assets.tiers.fields import Field
from gateway_assets.tiers.tiered import Tiered

MOST_ROWS = 2**53
Order = tuple[tuple[Field, bool], ...]  # columns, and whether each falls


@dataclass(frozen=True)
class Question:
    """What is asked of one table. ``order`` holds names, with "-" before those that fall."""

    asked: Condition
    order: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0
    columns: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True)
class Bound:
    """A question bound to the columns of a table. ``shown`` of the ``fields`` are asked for."""

    asked: Condition
    order: Order
    fields: tuple[Field, ...]
    shown: int
    limit: int | None
    offset: int
    chooses: bool  # among the rows, not only their order and page
    in_sqlite: bool  # whether SQLite can compare all that is compared

    @property
    def wanted(self) -> int | None:
        return None if self.limit is None else self.limit + self.offset


def finder(table: Tiered) -> Callable[[str], Field]:
    """Finds a column by its name. Raises QueryError for one that the table does not have."""
    known = {field.name: field for field in columns_of(table)}

    def find(name: str) -> Field:
        if name not in known:
            raise QueryError(
                f"table {table.name} has no column {name!r}", hint=f"columns: {', '.join(known)}"
            )
        return known[name]

    return find


def bind(look: Look, question: Question) -> Bound:
    """Check a question against a table's columns. Raises QueryError."""
    table, find = look.table, finder(look.table)
    for value, name in ((question.limit, "limit"), (question.offset, "offset")):
        if value is not None and (type(value) is not int or not 0 <= value <= MOST_ROWS):
            raise QueryError(f"{name} is a number of rows up to {MOST_ROWS:,}, not {value!r}")
    if question.after and (question.offset or question.limit is None):
        raise QueryError("a cursor goes with a limit and without an offset")
    if len(set(question.columns)) < len(question.columns):
        raise QueryError(f"a column is asked for twice: {', '.join(question.columns)}")
    shown = tuple(find(name) for name in question.columns) or tuple(columns_of(table))
    order = _order(table, question, find)
    asked = question.asked
    if question.after:
        asked = AllOf(
            (asked, _beyond(table, order, decode_cursor(question.after, named_order(order))))
        )
    extra = tuple(field for field, _ in order if field not in shown)
    fields = shown + extra
    compared = [find(name) for name in names_in(asked)] + [field for field, _ in order]
    now = set(table.fields)
    in_sqlite = all(field in now and _is_comparable(field, look) for field in compared)
    return Bound(
        asked=asked,
        order=order,
        fields=fields,
        shown=len(shown),
        limit=question.limit,
        offset=question.offset,
        chooses=bool(names_in(question.asked)),
        in_sqlite=in_sqlite,
    )


def _is_comparable(field: Field, look: Look) -> bool:
    """Whether SQLite compares and orders raw values as the values shown are."""
    return field.kind is not Kind.ANY and (field.kind is not Kind.TEXT or look.is_utf8)


def cold_ranges(table: Tiered, bound: Bound) -> dict[str, Ranges]:
    """What is asked of archived rows: their time is never NULL."""
    return said(bound.asked, finder(table), {table.time}).ranges


def named_order(order: Sequence[tuple[Field, bool]]) -> list[str]:
    return [f"-{field.name}" if falls else field.name for field, falls in order]


def _order(
    table: Tiered, question: Question, find: Callable[[str], Field]
) -> tuple[tuple[Field, bool], ...]:
    """With a limit, the table's key goes last, so that the same rows always come first."""
    given = [(find(name.lstrip("-")), name.startswith("-")) for name in question.order]
    if question.limit is None or not given:
        if question.after:
            raise QueryError("a cursor goes with an order", hint='such as order="-id"')
        return tuple(given)
    taken = {field.name for field, _ in given}
    names = [name for name in table.shape.primary_key if name not in taken]
    if question.after and not _has_key(table):
        raise QueryError(
            f"table {table.name} has no key that a cursor could go by",
            hint="a primary key without NULLs, of one kind of values; use offset instead",
        )
    return (*given, *((find(name), given[-1][1]) for name in names))


def _has_key(table: Tiered) -> bool:
    """Whether the primary key, as it is shown, tells any two rows apart."""
    kinds = {field.name: field.kind for field in table.fields}
    key = table.shape.primary_key
    return bool(key) and set(key) <= _never_null(table) and Kind.ANY not in {kinds[n] for n in key}


def _never_null(table: Tiered) -> set[str]:
    """The columns that SQLite keeps from being NULL."""
    shape = table.shape
    return {
        column.name
        for column in shape.columns
        if column.not_null
        or column.name == shape.integer_key
        or (column.key_place and not shape.rowid)
    }


def _beyond(table: Tiered, order: Order, values: Sequence[Any]) -> Condition:
    """True for rows that come after one with these values. NULL is the smallest value."""
    either: list[Condition] = []
    same: list[Condition] = []
    for (field, falls), value in zip(order, values, strict=True):
        name, last = field.name, _compared(field, value)
        if last is None:
            later: Condition = AnyOf(()) if falls else Not(IsNull(name))
        elif falls:
            later = AnyOf((Compare(name, "<", last), IsNull(name)))
        else:
            later = Compare(name, ">", last)
        either.append(AllOf((*same, later)))
        same.append(IsNull(name) if last is None else Compare(name, "=", last))
    found: Condition = AnyOf(tuple(either))
    (first, falls), value = order[0], _compared(order[0][0], values[0])
    if value is not None:
        bound: Condition = Compare(first.name, "<=" if falls else ">=", value)
        if falls and first.name not in _never_null(table):
            bound = AnyOf((bound, IsNull(first.name)))
        found = AllOf((bound, found))
    return found


def _compared(field: Field, value: Any) -> Any:
    """A value of a cursor, which may have been made up. Raises QueryError."""
    if field.kind is Kind.TIME and value is not None:
        try:
            return as_datetime(value)
        except (TypeError, OverflowError):
            raise QueryError("this is no cursor of such a question") from None
    return value
