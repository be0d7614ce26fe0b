"""How StarRocks writes sizes, shares, moments and Java's numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

SHANGHAI = timezone(timedelta(hours=8))  # the default of every session; "CST" means it, too
_UNITS = ("B", "KB", "MB", "GB", "TB")
_ZONES = {
    "UTC": UTC,
    "GMT": UTC,
    "+00:00": UTC,
    "ASIA/SHANGHAI": SHANGHAI,
    "CST": SHANGHAI,
    "PRC": SHANGHAI,
    "+08:00": SHANGHAI,
}


def zone_of(name: str) -> timezone | None:
    """The time zone a session variable names; None: not known here."""
    return _ZONES.get(name.upper())


def decimal(value: float, digits: int, *, comma: bool) -> str:
    """A number as Java's formatters write it in a locale with or without a decimal comma."""
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if comma else text


def size(value: float, *, comma: bool = False, space: str = " ", byte: str = "B") -> str:
    """Bytes as ``1.968 TB``; ``byte`` is empty for the old versions that leave that unit out."""
    unit = 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return decimal(value, 3, comma=comma) + space + (_UNITS[unit] if unit else byte)


def short_size(value: float) -> str:
    """Bytes as ``15.6GB`` or ``0B``, as partitions and caches have them."""
    if value < 1024:
        return f"{value:.0f}B"
    text = size(value, space=" ")
    number, unit = text.split()
    return f"{float(number):.1f}{unit}"


def percent(value: float, digits: int = 2, *, comma: bool = False) -> str:
    """``44.72 %``"""
    return decimal(value, digits, comma=comma) + " %"


def moment(time: int, zone: timezone) -> str:
    """Microseconds since 1970 as ``2025-10-17 04:13:34`` in a session's zone."""
    return datetime.fromtimestamp(time // 1_000_000, zone).strftime("%Y-%m-%d %H:%M:%S")


def java_double(value: float) -> str:
    """A number as ``Double.toString`` writes it: ``0.0``, ``1.7197114546E8``, ``NaN``."""
    if value != value:  # noqa: PLR0124  the definition of NaN
        return "NaN"
    if value in {float("inf"), float("-inf")}:
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(float(value)) if "e" not in repr(value) else f"{Decimal(repr(value)):f}"
    sign, digits, exponent = Decimal(repr(float(value))).as_tuple()
    assert isinstance(exponent, int)
    fraction = "".join(map(str, digits[1:])).rstrip("0") or "0"
    power = exponent + len(digits) - 1
    return f"{'-' if sign else ''}{digits[0]}.{fraction}E{power}"
