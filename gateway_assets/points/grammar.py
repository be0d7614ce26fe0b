r"""InfluxDB's line protocol, section by section: the one place that knows the rules.

    point = measurement {"," key "=" value} " " key "=" value {"," key "=" value} [" " time]

https://github.com/influxdata/line-protocol/blob/v2/line-protocol.ebnf with the ranges of InfluxDB.
In names a backslash escapes a blank, a comma or (not in measurements) an equals sign after it, and
stands for itself before anything else, another backslash included; in strings it escapes ``"`` and
``\``. Strings may hold line breaks. Reasons have the words of InfluxDB 1.x where it knows the rule.

Stricter than the grammar: no tag or field is called ``time``, no field has the key of a tag, an
unsigned integer ends at 2^63 - 1, strings and keys have an end.

A section takes a text and a position and tells where it ends. Bytes that are not UTF-8 are lone
surrogates in the text (``surrogateescape``). Repetitions in expressions are possessive, so that
any text takes linear time.
"""

from __future__ import annotations

import math
import re
import sys

from gateway_assets.model import INT64_MAX, INT64_MIN
from gateway_assets.points.line import Head, Type, Value

Fields = dict[str, tuple[Type, Value]]

KEY_BYTES = 65_535  # of a measurement with its tags, or of a field's key, as written
STRING_BYTES = 65_536
TIME_MIN, TIME_MAX = -(2**63) + 2, 2**63 - 2  # nanoseconds, as in InfluxDB
AUTO = 0  # the unit of times whose size tells it
TRUE = frozenset({"t", "T", "true", "True", "TRUE"})

_AUTO = ((5 * 10**9, 10**9), (5 * 10**12, 10**6), (5 * 10**15, 10**3))
_FALSE = frozenset({"f", "F", "false", "False", "FALSE"})
_EMPTY = r" *+(?:#[^\x00-\x08\x0a-\x1f\x7f]*+)?+\r?+"
_LEFT_OUT = re.compile(rf"(?:{_EMPTY}\n)*+(?:{_EMPTY}\Z)?+ *+")
_BLANKS = re.compile(r" *+")
_MEASUREMENT = re.compile(r"(?:[^\x00-\x20\x7f,\\]++|\\[ ,]?+)*+")
_NAME = re.compile(r"(?:[^\x00-\x20\x7f,=\\]++|\\[ ,=]?+)*+")
_STRING = re.compile(r'(?:[^"\\]++|\\["\\]?+)*+')
_BARE = re.compile(r"[^, \r\n]*+")
_NUMBER = re.compile(
    r"(?P<float>-?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)"
    r"|(?P<integer>-?[0-9]++)i|(?P<unsigned>[0-9]++)u"
)
_TIME = re.compile(r" *+(-?+[0-9]++)? *+\r?+(?:\n|\Z)")
_BROKEN = re.compile(
    r"(?:#[^\n]*+|(?:[^ \n\\]++|\\ ?+)*+"  # in a comment and in a head, quotes mean nothing
    r'(?:[^\n=\\]++|\\=?+|="(?:[^"\\]++|\\["\\]?+)*+"?+|=)*+)\n?+'
)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Malformed(Exception):
    """A section breaks the grammar; its text is the reason."""


def left_out(text: str, at: int) -> int:
    """Where the next point begins, after blank lines, comments and blanks."""
    return _end(_LEFT_OUT, text, at)


def head(text: str, at: int) -> tuple[Head, int]:
    """The measurement and its tags, up to the blank after them."""
    if text.startswith("#", at):
        raise Malformed("invalid character in a comment")
    end = _end(_MEASUREMENT, text, at)
    if end == at:
        raise Malformed("missing measurement")
    measurement = re.sub(r"\\([ ,])", r"\1", text[at:end])
    tags: dict[str, str] = {}
    while text.startswith(",", end):
        key, end = _name(text, end + 1, "missing tag key")
        if not text.startswith("=", end):
            raise Malformed("missing tag value")
        value, end = _name(text, end + 1, "missing tag value")
        if key in tags:
            raise Malformed("duplicate tags")
        tags[key] = value
    if not text.startswith(" ", end):
        raise Malformed("invalid tag format" if text.startswith("=", end) else "missing fields")
    _check_key(text[at:end])
    if "time" in tags:
        raise Malformed(
            f'invalid tag key: input tag "time" on measurement "{measurement}" is invalid'
        )
    return Head(measurement, tuple(sorted(tags.items()))), end


def fields(text: str, at: int) -> tuple[Fields, int]:
    """The fields, from the blank before them on; the last value of a key that comes twice."""
    at = _end(_BLANKS, text, at)
    if at == len(text) or text[at] in "\r\n":
        raise Malformed("missing fields")
    found: Fields = {}
    while True:
        end = _end(_NAME, text, at)
        if not text.startswith("=", end):
            raise Malformed("invalid field format")
        key, _ = _name(text, at, "missing field key")
        _check_key(text[at:end])
        if text.startswith('"', end + 1):
            value, at = _string(text, end + 2)
            found[key] = Type.STRING, value
        else:
            at = _end(_BARE, text, end + 1)
            found[key] = _bare(text[end + 1 : at])
        if not text.startswith(",", at):
            return found, at
        at += 1


def check_keys(of: Head, found: Fields) -> None:
    """Raise Malformed for fields that could not be told from the time or from tags."""
    if "time" in found:
        raise Malformed(
            f'invalid field name: input field "time" on measurement "{of.measurement}" is invalid'
        )
    for key, _ in of.tags:
        if key in found:
            raise Malformed(f'input field "{key}" on measurement "{of.measurement}" is a tag, too')


def moment(text: str, at: int, unit: int, now: int) -> tuple[int, int]:
    """The time in nanoseconds, ``now`` where there is none, and where the next line begins."""
    match = _TIME.match(text, at)
    if not match:
        raise Malformed("bad timestamp")
    if match[1] is None:
        return now, match.end()
    count = _whole(match[1])
    time = TIME_MAX + 1 if count is None else scaled(count, unit)
    if not TIME_MIN <= time <= TIME_MAX:
        raise Malformed(f"time outside range {TIME_MIN} - {TIME_MAX}")
    return time, match.end()


def scaled(count: int, unit: int) -> int:
    """A count of units as nanoseconds; with AUTO its size tells the unit, as in InfluxDB 3.

    https://docs.influxdata.com/influxdb3/core/write-data/http-api/v3-write-lp/#auto-precision-detection
    """
    return count * (unit or next((ns for end, ns in _AUTO if abs(count) < end), 1))


def end_of_broken(text: str, at: int) -> int:
    """Where the line after a malformed one begins.

    Strings are skipped whole: what follows a line break within one must not become a point.
    """
    return _end(_BROKEN, text, at)


def escaped(name: str) -> str:
    """A key, or the value of a tag, as it is written."""
    return re.sub(r"([ ,=])", r"\\\1", name)


def _end(section: re.Pattern[str], text: str, at: int) -> int:
    match = section.match(text, at)
    assert match  # all of these may be empty
    return match.end()


def _name(text: str, at: int, missing: str) -> tuple[str, int]:
    end = _end(_NAME, text, at)
    if end == at:
        raise Malformed(missing)
    raw = text[at:end]
    # Interned, because the same names come again in thousands of heads that are kept.
    return sys.intern(re.sub(r"\\([ ,=])", r"\1", raw) if "\\" in raw else raw), end


def _check_key(raw: str) -> None:
    if not raw.isascii() and _SURROGATE.search(raw):
        raise Malformed("invalid UTF-8")
    size = len(raw.encode())
    if size > KEY_BYTES:
        raise Malformed(f"max key length exceeded: {size} > {KEY_BYTES}")


def _string(text: str, at: int) -> tuple[str, int]:
    """A string from behind its first quote on."""
    end = _end(_STRING, text, at)
    if end == len(text):
        raise Malformed("unbalanced quotes")
    if text[end + 1 : end + 2] not in {"", ",", " ", "\r", "\n"}:
        raise Malformed("invalid field format")
    value = re.sub(r'\\(["\\])', r"\1", text[at:end])
    if not value.isascii() and _SURROGATE.search(value):
        raise Malformed("invalid UTF-8")
    size = len(value.encode())
    if size > STRING_BYTES:
        raise Malformed(f"max string length exceeded: {size} > {STRING_BYTES}")
    return value, end + 1


def _bare(raw: str) -> tuple[Type, Value]:
    """A number or a boolean."""
    if not raw:
        raise Malformed("missing field value")
    if raw in TRUE or raw in _FALSE:
        return Type.BOOLEAN, raw in TRUE
    match = _NUMBER.fullmatch(raw)
    if not match:
        raise Malformed("invalid number" if raw[0] in "-.0123456789+Nn" else "invalid boolean")
    kind = Type(str(match.lastgroup))
    if kind is Type.FLOAT:
        number = float(raw)
        if math.isinf(number):
            raise Malformed("invalid float")
        return kind, number
    count = _whole(match[kind])
    if count is None:
        raise Malformed(f"unable to parse {kind} {raw[:-1][:40]}: value out of range")
    return kind, count


def _whole(digits: str) -> int | None:
    """A whole number of 64 bits, or None beyond them. Python's int refuses thousands of digits."""
    figures = digits.lstrip("-0")
    if len(figures) > 19:
        return None
    count = int(figures or "0") * (-1 if digits[0] == "-" else 1)
    return count if INT64_MIN <= count <= INT64_MAX else None
