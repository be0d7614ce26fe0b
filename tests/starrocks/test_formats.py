"""Texts of SHOW: every way that a version or a locale has of writing them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.clock import SECOND, parse_moment
from gateway_assets.starrocks import formats

NOW = parse_moment("2026-11-20T12:00:00")


@pytest.mark.parametrize("text", [None, "", " ", "NULL", "null", "N/A", "\\N"])
def test_null_is_unknown_everywhere(text: str | None) -> None:
    readers: list[Any] = [
        formats.known, formats.number, formats.whole, formats.size, formats.percent, formats.flag,
        formats.moment, formats.data_cache,
    ]  # fmt: skip
    assert [read(text) for read in readers] == [None] * len(readers)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1.968 TB", round(1.968 * 2**40)),
        ("1,968 TB", round(1.968 * 2**40)),
        (".000", 0),
        ("0.000 ", 0),
        ("0.000 B", 0),
        ("1.000 B", 1),
        ("50.559GB", round(50.559 * 2**30)),
        ("15.6GB", round(15.6 * 2**30)),
        ("44MB", 44 * 2**20),
        ("8388608.000 TB", 8388608 * 2**40),
        ("4.474 KB", 4581),
        ("1024", 1024),
        ("5 GB left", None),
        ("-1.000 B", None),
        ("1.2.3 GB", None),
        ("GB", None),
        ("9" * 5000, None),
    ],
    ids=lambda value: str(value)[:20],
)
def test_trap_01_sizes(text: str, wanted: int | None) -> None:
    assert formats.size(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("44.72 %", 44.72),
        ("44,72 %", 44.72),
        ("0.0 %", 0.0),
        ("2.86%", 2.86),
        ("100.00 %", 100.0),
        ("-inf %", None),
        ("-3.00 %", None),
        ("NaN %", None),
        ("∞ %", None),
        ("12 per cent", None),
    ],
)
def test_trap_01_percentages(text: str, wanted: float | None) -> None:
    assert formats.percent(text) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1.2345678E7", 12345678),
        ("9007199254740993", 9007199254740993),
        ("9.007199254740993E15", 9007199254740993),
        ("0.0", 0),
        ("1.7196E8", 171960000),
        ("-5", -5),
        ("2.5", 2.5),
        ("1E-7", 1e-7),
        ("NaN", None),
        ("Infinity", None),
        ("1E9999", None),
        ("1E99999999", None),
        ("1_000", None),
        ("٣", None),
        ("9" * 5000, None),
        ("0E9999", 0),
    ],
    ids=lambda value: str(value)[:20],
)
def test_trap_20_numbers_are_exact_where_they_are_whole(text: str, wanted: float | None) -> None:
    found = formats.number(text)
    assert found == wanted
    assert type(found) is type(wanted)
    assert formats.whole(text) == (wanted if isinstance(wanted, int) else None)


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Asia/Shanghai", 8), ("CST", 8), ("PRC", 8), ("UTC", 0), ("Etc/UTC", 0), ("Z", 0),
        ("GMT", 0), ("GMT+08:00", 8), ("+05:30", 5.5), ("-3:30", -3.5), ("UTC-9", -9),
        ("Mars/Olympus", None), ("../etc/passwd", None), ("+99:00", None), ("NULL", None),
        ("", None), (None, None),
    ],
)  # fmt: skip
def test_zones(text: str | None, hours: float | None) -> None:
    found = formats.zone(text)
    offset = found.utcoffset(datetime(2026, 1, 1)) if found else None
    assert offset == (None if hours is None else timedelta(hours=hours))


def test_flags() -> None:
    assert [formats.flag(text) for text in ("true", "False", "1", "0", "maybe")] == [
        True, False, True, False, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2025-10-17 03:05:43", parse_moment("2025-10-17T03:05:43")),
        ("2025-10-17 03:05:43.5", parse_moment("2025-10-17T03:05:43.500")),
        ("1970-01-01 08:00:00", None),
        ("2025-13-17 03:05:43", None),
        ("0000-00-00 00:00:00", None),
        ("2025-10-17", None),
        ("yesterday", None),
    ],
)
def test_moments(text: str, wanted: int | None) -> None:
    assert formats.moment(text) == wanted


@pytest.mark.parametrize(
    ("ahead", "wanted"),
    [
        (-5, 0),  # a heartbeat is some seconds old
        (40, 0),  # trap 23: a clock that is fast
        (-840, 0),
        (1080, None),  # zone or clock?
        (8 * 3600 - 3, 8 * 3600),
        (5.5 * 3600 - 3, 5.5 * 3600),
        (-3.5 * 3600 - 3, -3.5 * 3600),
        (8 * 3600 + 900, None),
        (20 * 3600, None),
    ],
)
def test_trap_17_a_session_in_another_zone_is_noticed(ahead: float, wanted: float | None) -> None:
    newest = NOW + int(ahead * SECOND)
    found = formats.zone_offset([newest - 7 * 86_400 * SECOND, None, newest], NOW)
    assert found == (None if wanted is None else int(wanted * SECOND))


def test_without_heartbeats_the_zone_is_unknown() -> None:
    assert formats.zone_offset([None], NOW) is None


@given(st.integers(-(10**9), 10**9), st.integers(0, 600))
def test_zones_next_to_each_other_are_never_confused(seconds: int, drift: int) -> None:
    """A clock that drifts passes through unknown, never from one zone to another at once."""
    one = formats.zone_offset([NOW + seconds * SECOND], NOW)
    other = formats.zone_offset([NOW + (seconds + min(drift, 299)) * SECOND], NOW)
    assert one is None or other is None or one == other


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Status: Normal, DiskUsage: 44MB/1TB, MemUsage: 0B/0B", (44 * 2**20, 2**40)),
        ("Status: Normal, DiskUsage: 0B/0B, MemUsage: 0B/0B", (0, 0)),
        ("Status: Normal, DiskUsage: 0.00GB/2.00GB, MemUsage: 0B/0B", (0, 2 * 2**30)),
        ("Status: Normal, DiskUsage: 1,50GB/2,00GB, MemUsage: 0B/0B", (1610612736, 2 * 2**30)),
        ("Status: Normal, DiskUsage: 44MB/1TB", (44 * 2**20, 2**40)),
        ("Status: Disabled", None),
    ],
)
def test_data_caches(text: str, wanted: tuple[int, int] | None) -> None:
    assert formats.data_cache(text) == wanted


@given(st.text())
def test_nothing_raises(text: str) -> None:
    for read in (
        formats.number, formats.whole, formats.size, formats.percent, formats.flag, formats.moment,
        formats.data_cache,
    ):  # fmt: skip
        read(text)


@given(st.integers(-(2**70), 2**70))
def test_every_whole_number_comes_back(value: int) -> None:
    assert formats.whole(str(value)) == value
