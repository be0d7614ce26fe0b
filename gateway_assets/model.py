"""The vocabulary of declarations: columns and their kinds.

A kind has one meaning in every tier: landing file, SQLite, Arrow and Parquet, DuckDB.
NamedTuple instead of dataclass because the capture daemon imports this, and ``dataclasses``
alone would cost it two megabytes.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
SUMMED_END = 2**48  # 256 TiB in one interval; leaves room for the sum of 32,768 such rows
TIME_END = 253_402_300_800_000_000  # 10000-01-01: the first year that dates and folders cannot name


class Kind(StrEnum):
    TIME = "time"  # microseconds since the epoch, UTC
    INTEGER = "integer"  # 64 bits, signed
    REAL = "real"  # IEEE 754 double
    TEXT = "text"  # valid UTF-8
    BLOB = "blob"  # bytes
    ANY = "any"  # whatever SQLite holds: values of several types, each with its own


class Column(NamedTuple):
    """One column: what it is called, what it holds and in which unit."""

    name: str
    kind: Kind
    about: str
    unit: str = ""
    nullable: bool = False
    summed: bool = False  # its total is carried by footers, ledger and manifest, and compared


_FITTING: dict[Kind, tuple[tuple[type, ...], str]] = {
    Kind.TIME: ((int,), "a whole number"),
    Kind.INTEGER: ((int,), "a whole number"),
    Kind.REAL: ((int, float), "a number"),
    Kind.TEXT: ((str,), "text"),
}


def misfit(column: Column, value: object) -> str:
    """Why a value cannot stand in a column, or an empty text when it can."""
    if value is None:
        return "" if column.nullable else f"{column.name} is missing"
    types, wanted = _FITTING[column.kind]
    if type(value) not in types:  # not isinstance: True is an int, and no byte count
        return f"{column.name} must be {wanted}, not {value!r}"
    if isinstance(value, int) and not INT64_MIN <= value <= INT64_MAX:
        return f"{column.name} does not fit 64 bits: {value}"
    if column.summed and isinstance(value, int) and not 0 <= value < SUMMED_END:
        return f"{column.name} is not an amount from 0 to {SUMMED_END - 1}: {value}"
    if column.kind is Kind.TIME and isinstance(value, int) and not 0 <= value < TIME_END:
        return f"{column.name} is not a time in microseconds of the years 1970 to 9999: {value}"
    if isinstance(value, str) and not is_unicode(value):
        return f"{column.name} is not valid Unicode: {value!r}"
    return ""


def is_unicode(text: str) -> bool:
    """False for a text with lone surrogates, which JSON can carry but no file can hold."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)
