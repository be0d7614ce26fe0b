"""Columns as both tiers know them, by an id that outlives their names.

A kind is never inferred from the rows at hand: it is declared or was settled when the table was
first seen, and it only ever widens, to "any", when a value comes that would not survive the way to
Parquet and back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gateway_assets.model import Kind
from gateway_assets.tiers.reflect import affinity
from gateway_assets.tiers.times import FORMATS, Epoch, Spelled

# Below this, a whole double put into a column of numeric affinity becomes the same integer again:
# https://www.sqlite.org/datatype3.html#type_affinity and sqlite3RealSameAsInt() in its source.
WHOLE_END = 2**51


class Field(NamedTuple):
    """One column. ``format`` says how a TIME is written in SQLite (a name in ``times.FORMATS``),
    ``default`` what older rows have that were archived before the column was added.
    """

    id: int
    name: str
    kind: Kind
    format: str = ""
    nullable: bool = True
    generated: bool = False
    declared: str = ""
    default: int | float | str | None = None

    @property
    def codec(self) -> Epoch | Spelled:
        """What turns raw values of a TIME into microseconds and back."""
        found = FORMATS[self.format]
        assert isinstance(found, Epoch | Spelled)
        return found

    @property
    def makes_integers(self) -> bool:
        """Whether SQLite turns whole doubles in this column into integers."""
        return affinity(self.declared) in {"INTEGER", "NUMERIC"}

    @property
    def type_name(self) -> str:
        """The column beside one of kind ANY that keeps the SQLite type of every value."""
        return f"gateway_type_{self.id}"


class Misfit(Exception):
    """A value that a column's kind cannot hold: the kind must widen first."""

    def __init__(self, field: Field) -> None:
        super().__init__(f"column {field.name} is not only {field.kind}")
        self.field = field


def widened(fields: Sequence[Field], misfit: Misfit) -> tuple[Field, ...]:
    return tuple(
        field._replace(kind=Kind.ANY, format="") if field.id == misfit.field.id else field
        for field in fields
    )


def check_types(field: Field, values: Sequence[Any], types: set[type]) -> None:
    """Raise Misfit when values of these Python types are not all of the field's kind.

    Whether text is Unicode and integers are times shows when they are encoded.
    """
    types = types - {type(None)}
    if field.kind is Kind.REAL:
        if types - {float} and not _are_whole(values, types):
            raise Misfit(field)
    elif field.kind is not Kind.ANY and types - {_PYTHON_TYPES.get(field.kind) or _written(field)}:
        raise Misfit(field)


_PYTHON_TYPES: dict[Kind, type] = {Kind.INTEGER: int, Kind.TEXT: str, Kind.BLOB: bytes}


def _written(field: Field) -> type:
    return int if isinstance(field.codec, Epoch) else str


def is_text(text: str) -> bool:
    """False for bytes that were no UTF-8; ``archive.reading`` hands them on as surrogates."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _are_whole(values: Sequence[Any], types: set[type]) -> bool:
    """Whether the integers among these numbers come back from doubles as the integers they are."""
    return types <= {int, float} and all(
        abs(value) < WHOLE_END for value in values if type(value) is int
    )


def to_json(fields: Iterable[Field]) -> str:
    return json.dumps([list(field) for field in fields])


def from_json(text: str) -> tuple[Field, ...]:
    return tuple(
        Field(number, name, Kind(kind), *rest) for number, name, kind, *rest in json.loads(text)
    )
