r"""Texts of SHOW and information_schema as numbers and moments; what cannot be read is None.

StarRocks formats sizes and percentages with Java's default locale, so the decimal sign may be a
comma (``44,72 %``); it never groups digits. Sizes are powers of 1024, and old versions leave out
the unit of bytes (``.000``). Unknown is written as NULL, ``NULL``, ``N/A``, ``\N`` or nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gateway_assets.clock import SECOND

_NULLS = frozenset({"", "null", "n/a", "\\n"})
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_AMOUNT = r"(\d+(?:[.,]\d*)?|[.,]\d+)"
_SIZE = re.compile(_AMOUNT + r"\s*([KMGTPE]?)i?B?", re.ASCII | re.IGNORECASE)
_PERCENT = re.compile(_AMOUNT + r"\s*%?", re.ASCII)
_CACHE = re.compile(r"DiskUsage:\s*([^/,]+(?:,\d+[^/,]*)?)/\s*(.*?)\s*(?:,\s*[A-Za-z]|$)")
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)
_OFFSET = re.compile(r"(?:GMT|UTC)?([+-])(\d{1,2})(?::?(\d\d))?", re.ASCII)
_ALIASES = {"Z": "UTC", "CST": "Asia/Shanghai"}  # StarRocks' own meaning of CST
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = 40  # of a whole number; longer ones are no amount of anything

_HALF_HOUR = 1800 * SECOND
_SKEW = 900 * SECOND  # clocks that differ by less show no other zone
_NEAR = 600 * SECOND  # a half hour; in between it is unknown, so that no zone turns into another
_FARTHEST = 14 * 3600 * SECOND


class Cache(NamedTuple):
    """Data cache on the disks of a node, bytes."""

    used: int
    total: int


def known(text: str | None) -> str | None:
    """The text without blanks around it, or None where it is one of the spellings of NULL."""
    stripped = text.strip() if text is not None else ""
    return None if stripped.lower() in _NULLS else stripped


def number(text: str | None) -> int | float | None:
    """A number; an int, exact to the last digit, where it is whole (``1.2345678E7``, ``0.0``).

    NaN and Infinity are None: they are no amounts.
    """
    found = known(text)
    if found is None or not _NUMBER.fullmatch(found):
        return None
    if found.isdigit() and len(found) <= _DIGITS:
        return int(found)
    exact = Decimal(found)
    if exact.is_zero():
        return 0
    if exact.adjusted() >= _DIGITS:
        return None
    return int(exact) if exact == exact.to_integral_value() else float(exact)


def whole(text: str | None) -> int | None:
    """A whole number, exact; None for one with a fraction."""
    found = number(text)
    return found if isinstance(found, int) else None


def size(text: str | None) -> int | None:
    """Bytes of ``1.968 TB``, ``50.559GB``, ``0.000 ``, ``.000`` or ``1,968 TB``."""
    found = known(text)
    match = _SIZE.fullmatch(found) if found else None
    if not match or len(match[1]) > _DIGITS:
        return None
    unit: int = 1024 ** _POWERS[match[2].upper()]
    return round(_fraction(match[1]) * unit)


def percent(text: str | None) -> float | None:
    """Per cent of ``44.72 %``, ``44,72 %`` or ``44.72``; None for what is below nothing."""
    found = known(text)
    match = _PERCENT.fullmatch(found) if found else None
    return _fraction(match[1]) if match and len(match[1]) <= _DIGITS else None


def flag(text: str | None) -> bool | None:
    """True or False of ``true``, ``1``, ``yes`` and their opposites."""
    return _FLAGS.get((known(text) or "").lower())


def moment(text: str | None) -> int | None:
    """Microseconds since 1970 of ``2025-10-17 03:05:43``, read as UTC.

    The first day of 1970 stands for never, in whichever zone.
    """
    found = known(text)
    if found is None or not _MOMENT.fullmatch(found):
        return None
    try:
        parsed = datetime.fromisoformat(found).replace(tzinfo=UTC)
    except ValueError:
        return None
    since = (parsed - _EPOCH) // timedelta(microseconds=1)
    return since if since >= 48 * _HALF_HOUR else None


def zone_offset(heartbeats: Iterable[int | None], now: int) -> int | None:
    """How far texts of moments are ahead of UTC, microseconds, from LastHeartbeat of live nodes.

    A session that refused ``SET time_zone`` answers in the server's zone. Heartbeats are seconds
    old, zones differ by half hours at least, so the newest heartbeat tells. None where no
    heartbeat is known or where the difference could be a clock that is wrong: a guess would
    make processes seem to have been started anew.
    """
    ahead = max((each for each in heartbeats if each is not None), default=None)
    if ahead is None:
        return None
    ahead -= now
    if abs(ahead) < _SKEW:
        return 0
    offset = round(ahead / _HALF_HOUR) * _HALF_HOUR
    is_clear = abs(ahead - offset) <= _NEAR and 0 < abs(offset) <= _FARTHEST
    return offset if is_clear else None


def zone(text: str | None) -> tzinfo | None:
    """The time zone of ``Asia/Shanghai``, ``CST`` or ``GMT+08:00``; None where it is not known."""
    name = known(text) or ""
    if match := _OFFSET.fullmatch(name):
        ahead = timedelta(hours=int(match[2]), minutes=int(match[3] or 0))
        sign = -1 if match[1] == "-" else 1
        return timezone(sign * ahead) if ahead < timedelta(days=1) else None
    try:
        return ZoneInfo(_ALIASES.get(name, name))
    except (KeyError, OSError, ValueError):  # no such name, or one that is no name
        return None


def data_cache(text: str | None) -> Cache | None:
    """Use and size of ``Status: Normal, DiskUsage: 44MB/1TB, MemUsage: 0B/0B``."""
    match = _CACHE.search(known(text) or "")
    if not match:
        return None
    used, total = size(match[1]), size(match[2])
    return Cache(used, total) if used is not None and total is not None else None


def _fraction(text: str) -> float:
    return float(text.replace(",", "."))
