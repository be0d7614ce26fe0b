"""A row of a pulled table as a line of points, or the reason why it is none.

Line protocol of each set of tags and of each text is made, and checked, once; numbers are written
as they are. The whole of ``encode`` for every row would take most of the time of a pull.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

from gateway_assets.points.encode import encode
from gateway_assets.points.grammar import STRING_BYTES, TIME_MAX, TIME_MIN
from gateway_assets.points.journals import canonical
from gateway_assets.points.pulls import DEVICE_TAG, METRIC_TAG, Pull

LINE_BYTES = 2**24  # a frame holds four of these
_MOST_KEPT = 10_000  # sets of tags, texts

Row = Sequence[Any]  # the time in microseconds, then tags, then fields


class Lines:
    """Makes lines of rows and counts what it leaves out, by reason.

    ``spread`` are the tags whose text is JSON: of an object each key becomes a tag.
    """

    def __init__(self, pull: Pull, spread: frozenset[str]) -> None:
        self.rejects: Counter[str] = Counter()
        self._pull = pull
        self._tags = [tag for tag, _ in pull.tag_columns]
        self._fields = [field for field, _ in pull.field_columns]
        self._first_field = 1 + len(self._tags)
        self._values = len(pull.values)
        self._spread = spread
        self._keys = [_field_text(field, True)[: -len("true")] for field in self._fields]
        self._tail = b" " + b",".join(key + b"true" for key in self._keys) + b"\n"
        self._head = lru_cache(_MOST_KEPT)(self._head_of)
        self._text = lru_cache(_MOST_KEPT)(_text)

    def line(self, row: Row) -> bytes:
        """A line with its line break; empty when nothing of the row is a point."""
        try:
            time = self._time(row[0])
            head = self._head(*row[1 : self._first_field])
        except ValueError as error:
            self.rejects[str(error)] += 1
            return b""
        fields = [self._field(*pair) for pair in enumerate(row[self._first_field :])]
        if not any(fields[: self._values]):
            return b""  # a unit or a quality of nothing
        line = b"%s %s %d\n" % (head, b",".join(filter(None, fields)), time)
        if len(line) > LINE_BYTES:
            self.rejects[f"a row of more than {LINE_BYTES // 2**20} MB"] += 1
            return b""
        return line

    def _time(self, microseconds: int | None) -> int:
        if microseconds is None:
            raise ValueError("the time is infinite")
        if not TIME_MIN <= microseconds * 1000 <= TIME_MAX:
            raise ValueError("the time is outside of 1677 to 2262")
        return microseconds * 1000

    def _field(self, number: int, value: Any) -> bytes:
        """The field with its key; empty for NULL and for what no point can have."""
        if value is None:
            return b""
        try:
            return self._keys[number] + self._written(value)
        except ValueError as error:
            self.rejects[f"{self._pull.field_columns[number][1]}: {error}"] += 1
            return b""

    def _written(self, value: Any) -> bytes:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bool):
            return b"true" if value else b"false"
        if isinstance(value, int):
            return b"%di" % value
        number = float(value) if isinstance(value, Decimal) else value
        if not math.isfinite(number):
            raise ValueError("NaN" if math.isnan(number) else "infinite, or too large for a float")
        return repr(number).encode()

    def _head_of(self, *found: str | None) -> bytes:
        """Measurement and tags; raises ValueError with a reason that does not repeat the row."""
        tags: dict[str, str] = {}
        for tag, value in zip(self._tags, found, strict=True):
            if not value and tag in {DEVICE_TAG, METRIC_TAG}:
                raise ValueError(f"{tag} is NULL or empty")
            for key, text in self._tags_of(tag, value or ""):
                if key in tags:
                    raise ValueError("two columns give the same tag")
                tags[key] = text
        try:
            line = encode(self._pull.points_of, tags, dict.fromkeys(self._fields, True))
        except ValueError:
            raise ValueError("tags that no point can have") from None
        return line[: -len(self._tail)]

    def _tags_of(self, tag: str, value: str) -> list[tuple[str, str]]:
        """The tags of a column; NULL and an empty text are none."""
        content = json.loads(value) if value and tag in self._spread else value
        pairs = content.items() if isinstance(content, dict) else [(tag, content)]
        return [(key, text) for key, inner in pairs if (text := _plain(inner))]


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else canonical(value)


def _field_text(key: str, value: bool | str) -> bytes:
    return encode("m", {}, {key: value})[len("m ") : -len("\n")]


def _text(value: str) -> bytes:
    if len(value.encode()) > STRING_BYTES:
        raise ValueError(f"a text of more than {STRING_BYTES:,} bytes")
    return _field_text("v", value)[len("v=") :]
