"""Time as the whole project keeps it: UTC, integers, half-open ranges.

A moment is microseconds since 1970-01-01T00:00:00Z, a day is the number of UTC days since then.
Microseconds are the finest unit that Parquet, DuckDB and Python's datetime all hold exactly.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, date, datetime, timedelta

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
_EPOCH = date(1970, 1, 1)
_EPOCH_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def now() -> int:
    """This moment in microseconds since the epoch."""
    return time.time_ns() // 1000


def day_of(moment: int) -> int:
    """The UTC day a moment lies in; days before 1970 are negative."""
    return moment // DAY


def day_range(day: int) -> tuple[int, int]:
    """The half-open range of moments ``[start, end)`` of a UTC day."""
    return day * DAY, (day + 1) * DAY


def day_text(day: int) -> str:
    """A day as ``YYYY-MM-DD``."""
    return (_EPOCH + timedelta(days=day)).isoformat()


def parse_day(text: str) -> int:
    """The day that ``YYYY-MM-DD`` names. Raises ValueError for anything else."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError(f"{text!r} is not a day written as YYYY-MM-DD")
    return (date.fromisoformat(text) - _EPOCH).days


def iso(moment: int) -> str:
    """A moment as ISO 8601 in UTC, e.g. ``2026-11-20T13:19:43.000000Z``."""
    return (_EPOCH_TIME + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def compact(moment: int) -> str:
    """A moment for file names: fixed width, sorts by time, e.g. ``20261120T131943000000Z``."""
    return (_EPOCH_TIME + timedelta(microseconds=moment)).strftime("%Y%m%dT%H%M%S%fZ")


def parse_moment(text: str) -> int:
    """The moment an ISO 8601 text names; without a zone it is UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(text)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=UTC)
    return (parsed - _EPOCH_TIME) // timedelta(microseconds=1)
