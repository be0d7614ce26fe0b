"""What a line of points is made of, as the parser makes it and others take it.

A line is one moment of one set of tags with all its fields. Head and shape are kept apart from the
values, because thousands of lines share them: what they mean to a store is looked up once.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

Value = float | int | bool | str


class Type(StrEnum):
    """The types of a field in line protocol; both kinds of integers are ints of Python."""

    FLOAT = "float"
    INTEGER = "integer"  # 64 bits, signed
    UNSIGNED = "unsigned"  # 0 to 2^63 - 1: what SQLite and Parquet hold beside signed ones
    BOOLEAN = "boolean"
    STRING = "string"


@dataclass(frozen=True, eq=False, slots=True)
class Head:
    """A measurement and its tags, sorted by the bytes of their keys.

    Equal to itself only, so it is a cheap key. A parser makes one for each text of a head, and
    another one after it has forgotten the first, or for the same tags in another order.
    """

    measurement: str
    tags: tuple[tuple[str, str], ...]


class Shape(NamedTuple):
    """The keys and types of a line's fields, in the order of the line; no key twice."""

    fields: tuple[tuple[str, Type], ...]


class Line(NamedTuple):
    """One line that could be read. The time is in nanoseconds since 1970, UTC.

    Read without its values it has none, and no time but 0.
    """

    head: Head
    shape: Shape
    values: tuple[Value, ...]  # in the order of the shape
    time: int


class Reject(NamedTuple):
    """One line that could not be read; with a line break in a string it is several in the body."""

    number: int  # of the line in the body, from 1
    text: str  # the first 1,000 characters
    reason: str


class Parsed(NamedTuple):
    """What became of a body: each of its lines is in one of these, a comment or blank."""

    lines: list[Line]
    rejects: list[Reject]


class Part(NamedTuple):
    """What became of a part of a body, which begins and ends with a line."""

    lines: list[Line]
    rejects: list[Reject]
    body: bytes
