"""Every way of writing a time: found, bounded, and read the same by SQLite and by Python."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.status import status
from gateway_assets.errors import ConfigError
from gateway_assets.tiers import guess
from gateway_assets.tiers.catalog import find
from gateway_assets.tiers.times import (
    EPOCHS,
    FORMATS,
    ISO_OFFSET,
    SPELLED,
    Epoch,
    Spelled,
    TimeFormat,
)
from tests.tiers.places import (
    APP,
    OLD,
    TODAY,
    Rows,
    answered,
    archive,
    at,
    declare,
    files,
    make,
    number,
    run,
    text_at,
)

MOMENT = clock.parse_moment("2026-03-04T05:06:07.891011")
FEW = [
    *EPOCHS,
    *SPELLED[4:6],
    SPELLED[-1],
    *(FORMATS[name] for name in ("date", "iso", "iso_offset")),
]
few = pytest.mark.parametrize("written", FEW, ids=lambda written: written.name)
every = pytest.mark.parametrize("written", FORMATS.values(), ids=lambda written: written.name)


def usable(written: TimeFormat, value: Any) -> bool:
    """What SQLite itself says of one value."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        (found,) = connection.execute(f"SELECT {written.usable('x')} FROM t").fetchone()
    return bool(found)


def write(written: TimeFormat, moment: int) -> Any:
    """A moment as an application writes it in a format."""
    match written.name:
        case "epoch_ns":
            return moment * 1_000
        case "epoch_s_real":
            return moment / clock.SECOND
        case "date":
            return clock.iso(moment)[:10]
        case "iso":
            return clock.iso(moment)[:16]
        case "iso_offset":
            return clock.iso(moment)[:19] + "+05:30"
    assert isinstance(written, Epoch | Spelled)
    (raw,) = written.raw(clock_array(moment))
    return raw


def compared(low: Any, raw: Any, high: Any) -> bool:
    return bool(low <= raw < high)


def clock_array(*moments: int) -> Any:
    import numpy as np  # noqa: PLC0415  as the code does: only where it is used

    return np.asarray(moments, np.int64)


def guessed(*values: Any) -> str:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(value,) for value in values])
        return guess.time_format(connection, "t", "x").name


@every
def test_every_format_is_found_by_its_values(written: TimeFormat) -> None:
    moments = [MOMENT + number * clock.SECOND for number in range(-3, 4)]
    if "[" in written.name:  # what tells it is that a zero fraction is left out
        moments.append(MOMENT - MOMENT % clock.SECOND)
    assert guessed(*(write(written, moment) for moment in moments)) == written.name


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ([0, 1, 10**10], "epoch_s"),
        ([10**11, 10**12], "epoch_ms"),
        ([10**14], "epoch_us"),
        ([10**17, 2**63 - 1], "epoch_ns"),
        ([1.5, 10**9], "epoch_s_real"),
        (["2026-01-01", None, "2026-01-02"], "date"),
        (["2026-01-01 10:00", "2026-01-01T10:00:00"], "iso"),
        (["2026-01-01 10:00:00+00:00", "2026-01-01 10:00:00+02:00"], "iso_offset"),
        (["2026-01-01 10:00:00+00:00"], "YYYY-MM-DD HH:MM:SS+00:00"),
        (["2026-01-01T10:00:00", "2026-01-01T10:00:01", "soon"], "YYYY-MM-DDTHH:MM:SS"),
        ([1_700_000_000, 1_700_000_001, "soon", None], "epoch_s"),
    ],
)
def test_what_a_column_says_of_itself(values: list[Any], name: str) -> None:
    assert guessed(*values) == name


@pytest.mark.parametrize(
    "values", [["soon", "later"], [b"2026-01-01"], [-5], [-1.5], ["2026-02-30"]]
)
def test_columns_that_say_nothing_are_refused(values: list[Any]) -> None:
    with pytest.raises(ConfigError, match="no times that are understood") as refused:
        guessed(*values)
    assert "time_format" in refused.value.hint


@every
def test_bounds_hold_the_whole_day_and_nothing_else(written: TimeFormat) -> None:
    day = clock.day_of(MOMENT)
    first, end = clock.day_range(day)
    low, high = written.bounds(day)
    exact = written.is_exact
    for moment, inside in ((first, True), (end - 1, True), (first - 1, False), (end, False)):
        raw = write(written, moment)
        assert usable(written, raw), raw
        assert compared(low, raw, high) is inside or not exact, raw


@few
@pytest.mark.parametrize("text", ["1970-01-01T00:00:00", "9999-12-31T23:59:59"])
def test_bounds_of_the_first_and_the_last_day(written: TimeFormat, text: str) -> None:
    """9999-12-31 is what many applications write for "never"."""
    moment = clock.parse_moment(text)
    if written.name == "epoch_ns":
        moment = min(moment, 2**63 // 1000 // clock.DAY * clock.DAY - 1)
    day = clock.day_of(moment)
    raw = text + "+00:00" if written is ISO_OFFSET else write(written, moment)
    assert usable(written, raw)
    low, high = written.bounds(day)
    assert compared(low, raw, high)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("SELECT ?, ?", (low, high))


@pytest.mark.parametrize("written", EPOCHS, ids=lambda written: written.name)
@pytest.mark.parametrize("value", [-1, None, "2026-01-01", b"1", 2**63 - 1, float("inf")])
def test_numbers_that_are_no_times(written: Epoch, value: Any) -> None:
    assert not usable(written, value)
    assert value == 2**63 - 1 or written.day(value) is None


@given(moment=st.integers(0, clock.parse_moment("9999-12-31T23:59:59.999999")))
@example(MOMENT)
@example(0)
@example(clock.parse_moment("2024-02-29T23:59:59.999999"))
@example(clock.parse_moment("2000-02-29T00:00:00"))
def test_a_moment_is_the_same_for_sqlite_and_for_python(moment: int) -> None:
    for written in SPELLED:
        (raw,) = written.raw(clock_array(moment))
        assert usable(written, raw), raw
        parsed = written.moments([raw])
        assert parsed is not None, raw
        assert written.raw(parsed) == [raw]
        unit = {"": clock.SECOND, ".SSS": 1000}.get(written.fraction, 1)
        assert parsed.tolist() == [moment // unit * unit]
        assert clock.parse_moment(raw) == parsed.tolist()[0]
        assert written.day(raw) == moment // clock.DAY


DIGIT = "0123456789"
PIECES = st.sampled_from(
    [
        *("-", ":", " ", "T", "t", ".", "Z", "z", "+", "\0", "é", "٣", "\udc80"),
        *("+00:00", "+02:00", "-00:00", "000", "999999", "000000", "24", "60", "02-29", "02-30"),
    ]
)


@st.composite
def nearly_right(draw: st.DrawFn) -> str:
    """A text in some spelling, with a few places of it changed, added or cut off."""
    written = draw(st.sampled_from(SPELLED))
    year, month, day = (draw(st.integers(0, most)) for most in (9999, 13, 32))
    hour, minute, second = (draw(st.integers(0, most)) for most in (25, 61, 61))
    digits = {"": 0, ".SSS": 3}.get(written.fraction, draw(st.sampled_from([0, 6])))
    fraction = "." + "".join(draw(st.sampled_from("09"))[0] for _ in range(digits))
    text = f"{year:04}-{month:02}-{day:02}{written.separator}{hour:02}:{minute:02}:{second:02}"
    text += (fraction if digits else "") + written.zone
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(text)))
        new = draw(st.one_of(PIECES, st.sampled_from(DIGIT), st.just("")))
        text = text[:place] + new + text[place + draw(st.integers(0, len(new) + 1)) :]
    return text


@given(text=nearly_right())
@example("2026-02-30 00:00:00")
@example("2025-02-29 00:00:00")
@example("2024-02-29 00:00:00")
@example("1900-02-29 00:00:00")
@example("2026-01-01 24:00:00")
@example("2026-01-01 23:59:60")
@example("2026-01-01T00:00:00.000000")
@example("2026-01-01T00:00:00Z\0")
@example("2026-01-01 00:00:00\0 and more")
@example("2026-01-01 00:00:00.000000")
@example("0000-01-01 00:00:00")
@example("0001-01-01 00:00:00")
@example("2026-00-01 00:00:00")
@example("2026-01-01 00:00:00 ")
def test_what_sqlite_lets_through_is_parsed_and_written_the_same(text: str) -> None:
    """A text that may leave hot by its time but is not parsed would widen the time column."""
    assume(text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))
    for written in SPELLED:
        parsed = written.moments([text])
        passes = usable(written, text)
        if passes:
            assert parsed is not None, written.name
            assert written.day(text) == parsed.tolist()[0] // clock.DAY
        if parsed is not None:
            assert passes, written.name
            assert written.raw(parsed) == [text], written.name


@pytest.mark.parametrize("written", SPELLED[:2], ids=lambda written: written.name)
def test_one_wrong_text_among_many_is_noticed(written: Spelled) -> None:
    right = [write(written, MOMENT + number) for number in range(50)]
    assert written.moments(right) is not None
    assert written.moments([*right, "x" * len(right[0])]) is None
    assert written.moments([*right[:-2], right[-2][:-1], right[-1] + "0"]) is None


OFFSETS = [
    ("2026-03-04T00:30:00+02:00", "2026-03-03"),
    ("2026-03-04T23:30:00-02:00", "2026-03-05"),
    ("2026-03-04T12:00:00+14:00", "2026-03-03"),
    ("2026-03-04T12:00:00Z", "2026-03-04"),
]


@pytest.mark.parametrize(("text", "day"), OFFSETS)
def test_offsets_belong_to_the_utc_day(text: str, day: str) -> None:
    number = clock.parse_day(day)
    low, high = ISO_OFFSET.bounds(number)
    assert isinstance(low, str) and isinstance(high, str)
    assert low <= text < high
    assert usable(ISO_OFFSET, text)
    assert clock.day_of(ISO_OFFSET.moment(text) or 0) == number


def days_of(name: str) -> list[str]:
    """The days that a table's archived files are of."""
    query = "SELECT day FROM gateway_archive_files WHERE table_name = ? ORDER BY 1"
    return [clock.day_text(day) for (day,) in run(query, name)]


def shifted(day: int, offset: str, hour: int) -> str:
    return f"{clock.day_text(day)}T{hour:02}:00:00{offset}"


def test_a_table_with_offsets_is_archived_by_utc_days() -> None:
    rows: Rows = [
        (1, shifted(OLD, "+02:00", 1)),
        (2, shifted(OLD, "-02:00", 23)),
        (3, shifted(OLD, "+00:00", 12)),
        (4, shifted(TODAY, "+00:00", 0)),
    ]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, ts TEXT)", "t", rows)
    settings = declare()
    assert archive(settings).rows == 3
    assert days_of("t") == [clock.day_text(OLD + step) for step in (-1, 0, 1)]
    assert run("SELECT id FROM t") == [(4,)]
    assert answered(settings) == rows
    for step in (-1, 0, 1):
        assert UniversalArchiver(settings).restore("t", [OLD + step]) == 1
    assert run("SELECT * FROM t ORDER BY id") == rows


def good_and_bad(written: TimeFormat) -> tuple[list[Any], list[Any]]:
    """Two old times and one of today; values that are no times of this format."""
    moments = [OLD * clock.DAY + 1_234_567, (OLD + 1) * clock.DAY - 1, TODAY * clock.DAY]
    right = [write(written, moment) for moment in moments]
    bad: list[Any] = [None, "soon", "", b"\x00", "2026-02-30", "2026-13-01 00:00:00", -1]
    if isinstance(right[0], str):
        return right, [*bad, right[0] + "?", "0000-00-00 00:00:00", 5]
    return right, [*bad, str(right[0]) + "x", -1.5, "0000-00-00"]


@few
@pytest.mark.parametrize("indexed", [True, False])
def test_rows_without_a_usable_time_stay(written: TimeFormat, indexed: bool) -> None:
    """Whatever stands in the time column, every row is answered, and only real times leave."""
    right, bad = good_and_bad(written)
    rows = list(enumerate([*bad[:4], *right, *bad[4:]], start=1))
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts)"
    make(ddl + ("; CREATE INDEX i ON t (ts)" if indexed else ""), "t", rows)
    settings = declare(time_format=written.name)
    result = archive(settings)
    assert result.rows == 2
    assert len(run("SELECT id FROM t")) == len(rows) - 2
    assert status(find(settings, "t"), settings).unusable_rows == len(bad)
    assert [row[0] for row in answered(settings, columns="id")] == [
        row[0] for row in sorted(rows, key=lambda row: repr((row[0],)))
    ]
    UniversalArchiver(settings).restore("t", range(OLD - 1, OLD + 2))
    assert [(row[0], row[1]) for row in run("SELECT * FROM t ORDER BY id")] == rows


@pytest.mark.parametrize("ending", ["\0", "\0 and more"])
@pytest.mark.parametrize("name", ["YYYY-MM-DD HH:MM:SS", "date", "iso", "iso_offset"])
def test_a_text_that_goes_on_after_a_nul_is_no_time(name: str, ending: str) -> None:
    """SQLite's functions look at a text up to its first NUL only."""
    right = text_at(OLD)[: 10 if name == "date" else 19]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, ts TEXT)", "t", [(1, right + ending)])
    settings = declare(time_format=name)
    assert archive(settings).rows == 0
    run("INSERT INTO t VALUES (2, ?)", right)
    assert archive(settings).rows == 1


@pytest.mark.parametrize(
    ("written", "never"),
    [
        ("YYYY-MM-DD HH:MM:SS", "9999-12-31 23:59:59"),
        ("date", "9999-12-31"),
        ("iso_offset", "9999-12-31T00:00:00+00:00"),
        ("epoch_ns", 2**63 - 1),
        ("epoch_s", 253_402_300_799),
        ("YYYY-MM-DD HH:MM:SS", "0000-01-01 00:00:00"),
        ("iso", "0000-01-01"),
    ],
)
@pytest.mark.parametrize("indexed", [True, False])
def test_a_time_that_stands_for_never(written: str, never: Any, indexed: bool) -> None:
    old = write(FORMATS[written], OLD * clock.DAY)
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts)"
    make(
        ddl + ("; CREATE INDEX i ON t (ts)" if indexed else ""),
        "t",
        [(1, old), (2, old), (3, never)],
    )
    settings = declare(time_format=written)
    assert archive(settings).rows == 2
    assert run("SELECT id FROM t") == [(3,)]
    assert number(settings, "SELECT count(*) FROM t") == 3


def test_a_question_about_the_ends_of_time() -> None:
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, ts TEXT)", "t", [(1, text_at(OLD))])
    settings = declare()
    for bound in ("0001-01-01", "1969-12-31", "9999-12-31", "9999-12-30"):
        query = f"SELECT count(*) FROM t WHERE ts >= TIMESTAMPTZ '{bound}'"
        assert number(settings, query) == int(bound < "2026"), bound


def in_units(name: str, units: int) -> Callable[[int], Any]:
    return lambda second: at(OLD, second) * units + (0.25 if name.endswith("real") else 0)


@pytest.mark.parametrize(
    ("name", "units"),
    [
        ("epoch_s", 1),
        ("epoch_ms", 1000),
        ("epoch_us", 10**6),
        ("epoch_ns", 10**9),
        ("epoch_s_real", 1),
    ],
)
def test_epochs_are_detected_archived_and_asked_by_time(name: str, units: int) -> None:
    value = in_units(name, units)
    rows = [(second, value(second)) for second in range(86_380, 86_420)]
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY, ts DATETIME); CREATE INDEX i ON t (ts)"
    make(ddl, "t", [*rows, (10**6, in_units(name, units)((TODAY - OLD) * 86_400))])
    settings = declare()
    assert archive(settings).rows == 40
    assert days_of("t") == [clock.day_text(OLD), clock.day_text(OLD + 1)]
    assert run("SELECT id FROM t") == [(10**6,)]
    moment = datetime.fromtimestamp(at(OLD + 1), UTC)
    bound = f"TIMESTAMPTZ '{moment}'" if units <= 10**6 and name != "epoch_s_real" else None
    query = f"SELECT count(*) FROM t WHERE ts < {bound or at(OLD + 1) * units}"
    assert number(settings, query) == 20
    UniversalArchiver(settings).restore("t", [OLD, OLD + 1])
    assert run("SELECT * FROM t WHERE id < 1000000 ORDER BY id") == rows


def test_only_dates() -> None:
    rows = [(1, clock.day_text(OLD)), (2, clock.day_text(OLD + 1)), (3, clock.day_text(TODAY))]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE)", "t", rows)
    settings = declare(time="day")
    assert archive(settings).rows == 2
    assert answered(settings) == rows
    assert number(settings, f"SELECT count(*) FROM t WHERE day = '{clock.day_text(OLD)}'") == 1


def test_rows_of_the_future_stay_and_are_told() -> None:
    rows = [(1, text_at(OLD)), (2, text_at(TODAY + 5)), (3, text_at(TODAY))]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, ts TEXT)", "t", rows)
    settings = declare()
    kept = archive(settings).kept
    assert kept == {
        clock.day_text(TODAY): "the day is not over",
        clock.day_text(TODAY + 5): "in the future",
    }
    assert len(files(settings)) == 1
    assert APP.exists()
