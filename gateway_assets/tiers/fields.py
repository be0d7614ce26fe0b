"""Columns as both tiers know them, by an id that outlives their names.

A kind is never inferred from the rows at hand: it is declared or was settled when the table was
first seen, and it only ever widens (integer to real, anything to "any"), when a value comes that
would not survive the way to Parquet and back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gateway_assets.model import Kind
from gateway_assets.tiers.times import FORMATS, Epoch, Spelled

EXACT_INTEGER = 2**53  # up to here a double holds every integer


class Field(NamedTuple):
    """One column. ``format`` says how a TIME is written in SQLite (a name in ``times.FORMATS``)."""

    id: int
    name: str
    kind: Kind
    format: str = ""
    nullable: bool = True
    generated: bool = False

    @property
    def codec(self) -> Epoch | Spelled:
        """What turns raw values of a TIME into microseconds and back."""
        found = FORMATS[self.format]
        assert isinstance(found, Epoch | Spelled)
        return found

    @property
    def type_name(self) -> str:
        """The column beside one of kind ANY that keeps the SQLite type of every value."""
        return f"gateway_type_{self.id}"


class Misfit(Exception):
    """A value that a column's kind cannot hold: the kind must widen first."""

    def __init__(self, field: Field, wider: Kind) -> None:
        super().__init__(f"column {field.name} is not only {field.kind}")
        self.field = field
        self.wider = wider


def widened(fields: Sequence[Field], misfit: Misfit) -> tuple[Field, ...]:
    return tuple(
        field._replace(kind=misfit.wider, format="") if field.id == misfit.field.id else field
        for field in fields
    )


def check_types(field: Field, values: Sequence[Any], types: set[type]) -> None:
    """Raise Misfit when values of these Python types are not all of the field's kind.

    Whether text is Unicode and integers are times shows when they are encoded.
    """
    types = types - {type(None)}
    if field.kind is Kind.INTEGER:
        if types - {int}:
            raise Misfit(field, Kind.REAL if _are_exact_numbers(values, types) else Kind.ANY)
    elif field.kind is Kind.REAL:
        if types - {float} and not _are_exact_numbers(values, types):
            raise Misfit(field, Kind.ANY)
    elif field.kind is not Kind.ANY and types - {_PYTHON_TYPES.get(field.kind) or _written(field)}:
        raise Misfit(field, Kind.ANY)


_PYTHON_TYPES: dict[Kind, type] = {Kind.TEXT: str, Kind.BLOB: bytes}


def _written(field: Field) -> type:
    return int if isinstance(field.codec, Epoch) else str


def is_text(text: str) -> bool:
    """False for bytes that were no UTF-8; ``archive.reading`` hands them on as surrogates."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _are_exact_numbers(values: Sequence[Any], types: set[type]) -> bool:
    """Whether doubles hold every one of these values exactly."""
    return types <= {int, float} and all(
        abs(value) <= EXACT_INTEGER for value in values if type(value) is int
    )


def to_json(fields: Iterable[Field]) -> str:
    return json.dumps([list(field) for field in fields])


def from_json(text: str) -> tuple[Field, ...]:
    return tuple(
        Field(number, name, Kind(kind), *rest) for number, name, kind, *rest in json.loads(text)
    )
