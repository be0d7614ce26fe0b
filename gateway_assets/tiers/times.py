"""How a moment is written in a column: numbers since the epoch, or ISO 8601 text.

Every format knows the bounds of a UTC day in its own spelling, so that SQLite's index on the raw
column finds a day. Text without a zone is UTC. The grammar is that of SQLite's date functions,
https://www.sqlite.org/lang_datefunc.html, made strict: one spelling per format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from gateway_assets import clock
from gateway_assets.hot.sql import Fragment, quoted
from gateway_assets.model import INT64_MAX, TIME_END, Kind

Moments = np.ndarray[Any, np.dtype[np.int64]]
Raw = int | float | str

FIRST_DAY, LAST_DAY = -719_162, clock.day_of(TIME_END) - 1  # of the years 1 to 9999
_DATE = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]"
_TIME = "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]"


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """A way of writing moments. ``kind`` is how such a column is kept in Parquet."""

    name: str
    kind: Kind

    def bounds(self, day: int) -> tuple[Raw, Raw]:
        """The half-open range of raw values that holds every value of a UTC day."""
        raise NotImplementedError

    def day(self, raw: Any) -> int | None:
        """The UTC day of a raw value; None when it is not written in this format."""
        raise NotImplementedError

    def moment(self, raw: Any) -> int | None:
        """A raw value as microseconds since the epoch; None when it is not in this format."""
        raise NotImplementedError

    def usable(self, column: str) -> Fragment:
        """SQL that is true for values written in this format."""
        raise NotImplementedError

    @property
    def is_exact(self) -> bool:
        """Whether every usable value within a day's bounds is of that day."""
        return True


@dataclass(frozen=True, slots=True)
class Epoch(TimeFormat):
    """Whole (or, ``real``, fractional) units since 1970-01-01T00:00:00Z."""

    per_second: int
    real: bool = False

    @property
    def end(self) -> int:
        """The first raw value beyond the last whole day that 64 bits and the calendar have."""
        day = 86_400 * self.per_second
        return min((LAST_DAY + 1) * day, INT64_MAX // day * day)

    def bounds(self, day: int) -> tuple[Raw, Raw]:
        whole = 86_400 * self.per_second
        ends = (day * whole, (day + 1) * whole)
        start, end = (min(max(raw, -self.end), self.end) for raw in ends)
        return (float(start), float(end)) if self.real else (start, end)

    def day(self, raw: Any) -> int | None:
        fits = isinstance(raw, int | float) if self.real else isinstance(raw, int)
        if not fits or not 0 <= raw < self.end:
            return None
        return int(raw // (86_400 * self.per_second))

    def moment(self, raw: Any) -> int | None:
        if self.day(raw) is None:
            return None
        return int(raw * clock.SECOND // self.per_second)

    def usable(self, column: str) -> Fragment:
        types = "'integer', 'real'" if self.real else "'integer'"
        name = quoted(column)
        return Fragment(f"typeof({name}) IN ({types}) AND {name} >= 0 AND {name} < {self.end}")

    def moments(self, values: Moments) -> Moments:
        """Microseconds since the epoch, of whole units not finer than that."""
        return values * (clock.SECOND // self.per_second)

    def raw(self, moments: Moments) -> list[int]:
        plain: list[int] = (moments // (clock.SECOND // self.per_second)).tolist()
        return plain


@dataclass(frozen=True, slots=True)
class Text(TimeFormat):
    """Text that begins with a date, in UTC; any spelling that SQLite understands."""

    def bounds(self, day: int) -> tuple[Raw, Raw]:
        return _day_text(day), _day_text(day + 1)

    def day(self, raw: Any) -> int | None:
        if not isinstance(raw, str):
            return None
        try:
            return clock.parse_day(raw[:10])
        except ValueError:
            return None

    def moment(self, raw: Any) -> int | None:
        if self.day(raw) is None:
            return None
        try:
            return clock.parse_moment(raw)
        except ValueError:
            return None

    def usable(self, column: str) -> Fragment:
        name = quoted(column)
        ending = f"length({name}) = 10" if self.name == "date" else f"julianday({name}) IS NOT NULL"
        return Fragment(
            f"{_plain_text(name)} AND {name} GLOB '{_DATE}*' AND {ending} "
            f"AND date(substr({name}, 1, 10), '+0 days') = substr({name}, 1, 10) "
            f"AND NOT substr({name}, 11) GLOB '*[-+][0-9][0-9]:[0-9][0-9]'"
        )


@dataclass(frozen=True, slots=True)
class OffsetText(Text):
    """Text with zone offsets: the date in it may be a day off the UTC day."""

    def bounds(self, day: int) -> tuple[Raw, Raw]:
        return _day_text(day - 1), _day_text(day + 2)

    def usable(self, column: str) -> Fragment:
        name = quoted(column)
        return Fragment(
            f"{_plain_text(name)} AND {name} GLOB '{_DATE}*' "
            f"AND date(substr({name}, 1, 10), '+0 days') = substr({name}, 1, 10) "
            f"AND unixepoch({name}) >= 0"
        )

    @property
    def is_exact(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Spelled(Text):
    """Text in exactly one spelling, so that a timestamp gives the same text back."""

    separator: str
    fraction: str  # '', '.SSS', '.SSSSSS', or '[.SSSSSS]': left out when zero
    zone: str  # '', 'Z' or '+00:00'

    def usable(self, column: str) -> Fragment:
        name = quoted(column)
        digits = {"": [""], ".SSS": [".", *["[0-9]"] * 3], ".SSSSSS": [".", *["[0-9]"] * 6]}
        whole = f"{_DATE}{self.separator}{_TIME}"
        if self.fraction == "[.SSSSSS]":
            six = "".join(digits[".SSSSSS"])
            matches = (
                f"({name} GLOB '{whole}{self.zone}' OR ({name} GLOB '{whole}{six}{self.zone}' "
                f"AND substr({name}, 20, 7) <> '.000000'))"
            )
        else:
            matches = f"{name} GLOB '{whole}{''.join(digits[self.fraction])}{self.zone}'"
        return Fragment(
            f"{_plain_text(name)} AND {matches} AND substr({name}, 12, 2) < '24' "
            f"AND date(substr({name}, 1, 10), '+0 days') = substr({name}, 1, 10)"
        )

    def moments(self, values: Sequence[str]) -> Moments | None:
        """Microseconds since the epoch, or None when a text is not in this very spelling."""
        zone = self.zone
        if self.fraction == "[.SSSSSS]":
            bare = 19 + len(zone)
            if any(len(v) != bare and v[19:26] == ".000000" for v in values):
                return None
            filled = [v[:19] + ".000000" + v[19:] if len(v) == bare else v for v in values]
            return _parsed(filled, self.separator, 6, zone)
        return _parsed(values, self.separator, max(len(self.fraction) - 1, 0), zone)

    def raw(self, moments: Moments) -> list[str]:
        unit = {"": "s", ".SSS": "ms"}.get(self.fraction, "us")
        # NumPy's stubs know units only as literals.
        texts = np.datetime_as_string(moments.astype("M8[us]"), unit=unit).tolist()  # type: ignore[call-overload]
        if self.fraction == "[.SSSSSS]":
            texts = [t[:19] if t.endswith(".000000") else t for t in texts]
        if self.separator != "T":
            texts = [t[:10] + self.separator + t[11:] for t in texts]
        return [t + self.zone for t in texts] if self.zone else texts

    @property
    def duckdb_pattern(self) -> str:
        """The same spelling for DuckDB's strftime; a fraction that may be left out is in."""
        fraction = {"": "", ".SSS": ".%g"}.get(self.fraction, ".%f")
        return f"%Y-%m-%d{self.separator}%H:%M:%S{fraction}{self.zone}"


def _day_text(day: int) -> str:
    """A day as text; beyond the calendar, text that sorts before or behind every day."""
    if day < FIRST_DAY:
        return "0001"
    return clock.day_text(day) if day <= LAST_DAY else "9999-12-32"


def _plain_text(name: str) -> str:
    """Text that does not go on behind a NUL, where SQLite's functions stop, of the years 1 on."""
    return (
        f"typeof({name}) = 'text' AND length({name}) = length(CAST({name} AS BLOB)) "
        f"AND {name} >= '0001'"
    )


def _parsed(values: Sequence[str], separator: str, digits: int, zone: str) -> Moments | None:
    """All texts at once, as a matrix of characters: every digit and separator is looked at."""
    width = 19 + (digits + 1 if digits else 0) + len(zone)
    joined = "".join(values)
    if len(joined) != width * len(values) or not joined.isascii():
        return None
    if values and set(map(len, values)) != {width}:
        return None
    matrix = np.frombuffer(joined.encode(), np.uint8).reshape(len(values), width)
    template = f"dddd-dd-dd{separator}dd:dd:dd" + ("." + "d" * digits if digits else "") + zone
    fixed = [place for place, letter in enumerate(template) if letter != "d"]
    wanted = np.frombuffer(template.encode(), np.uint8)[fixed]
    if not (matrix[:, fixed] == wanted).all():
        return None
    places = [place for place, letter in enumerate(template) if letter == "d"]
    numbers = matrix[:, places].astype(np.int64) - ord("0")
    if ((numbers < 0) | (numbers > 9)).any():
        return None

    def number(first: int, count: int) -> Moments:
        return numbers[:, first : first + count] @ (10 ** np.arange(count - 1, -1, -1))

    year, month, day = number(0, 4), number(4, 2), number(6, 2)
    hour, minute, second = number(8, 2), number(10, 2), number(12, 2)
    if (
        (year < 1) | (month < 1) | (month > 12) | (hour > 23) | (minute > 59) | (second > 59)
    ).any():
        return None
    months = (year - 1970) * 12 + month - 1
    first, following = (
        m.astype("M8[M]").astype("M8[D]").astype(np.int64) for m in (months, months + 1)
    )
    if ((day < 1) | (first + day > following)).any():
        return None
    fraction = number(14, digits) * 10 ** (6 - digits) if digits else np.int64(0)
    seconds = (first + day - 1) * 86_400 + hour * 3600 + minute * 60 + second
    result: Moments = seconds * clock.SECOND + fraction
    return result


EPOCHS = (
    Epoch("epoch_s", Kind.TIME, 1),
    Epoch("epoch_ms", Kind.TIME, 1_000),
    Epoch("epoch_us", Kind.TIME, clock.SECOND),
    Epoch("epoch_ns", Kind.INTEGER, 1_000_000_000),
    Epoch("epoch_s_real", Kind.REAL, 1, real=True),
)
SPELLED = tuple(
    Spelled(f"YYYY-MM-DD{sep}HH:MM:SS{fraction}{zone}", Kind.TIME, sep, fraction, zone)
    for sep, fraction, zone in product(
        (" ", "T"), (".SSSSSS", "[.SSSSSS]", ".SSS", ""), ("", "Z", "+00:00")
    )
    # With a fraction that may be left out, "Z" would sort behind ".", against the order of time.
    if (fraction, zone) != ("[.SSSSSS]", "Z")
)
DATE = Text("date", Kind.TEXT)
ISO = Text("iso", Kind.TEXT)
ISO_OFFSET = OffsetText("iso_offset", Kind.TEXT)
FORMATS: dict[str, TimeFormat] = {
    known.name: known for known in (*EPOCHS, *SPELLED, DATE, ISO, ISO_OFFSET)
}


def spelled_format(values: Sequence[str]) -> Spelled | None:
    """The one spelling that all of these texts have, the strictest first; None without any."""
    if not values:
        return None
    ordered = sorted(SPELLED, key=lambda known: known.fraction == "[.SSSSSS]")
    return next((known for known in ordered if known.moments(values) is not None), None)
