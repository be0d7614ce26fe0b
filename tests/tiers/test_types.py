"""Whatever SQLite lets into a column comes back as it was, and is answered the same from both
tiers."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.settings import Settings
from tests.tiers.places import (
    APP,
    OLD,
    TODAY,
    answered,
    archive,
    at,
    cells,
    declare,
    make,
    number,
    run,
)

INF = float("inf")
EMOJI = "\N{SNAKE}👩‍👩‍👧\N{COMBINING ACUTE ACCENT}"


def text(raw: bytes) -> tuple[str, bytes]:
    """Bytes that are to be stored as TEXT, whatever they are."""
    return ("text", raw)


# What a column is declared as, and what stands in it from the first row on.
COLUMNS: dict[str, tuple[str, Sequence[Any]]] = {
    "text in an integer column": ("INTEGER", [1, "two", 3, "4 ", None]),
    "a real late in an integer column": ("INTEGER", [*range(1_100), 2.5, 7]),
    "a text late in an integer column": ("INTEGER", [*range(1_100), "x", 7]),
    "no declared type": ("", [1, 1.0, "1", b"1", None, "", b"", -0.0, 2.5]),
    "integers, a real in their middle, no declared type": ("", [*range(600), 2.5, *range(600)]),
    "integral reals, no declared type": ("", [1.0, 2.0, -3.0]),
    "texts, a blob in their middle": ("TEXT", [*map(str, range(600)), b"x", *map(str, range(600))]),
    "many NULLs, then text": ("", [None] * 2_000 + ["late"]),
    "many NULLs, then text, declared": ("INTEGER", [None] * 2_000 + ["late", 5]),
    "nothing but NULL": ("", [None, None]),
    "nothing but NULL, declared": ("DATETIME", [None, None]),
    "integers beyond doubles": ("INTEGER", [None, 2**53 + 1, -(2**53) - 1, 2**62 + 1]),
    "integers beyond doubles and a real": ("INTEGER", [2**53 + 1, 2.5]),
    "integers beyond doubles, then a real": ("NUMERIC", [2**53 + 1, *range(1_200), 0.1]),
    "ends of 64 bits": ("BIGINT", [2**63 - 1, -(2**63), 0]),
    "one more than 64 bits": ("INTEGER", ["9223372036854775808", "-9223372036854775809", 1]),
    "times": ("DATETIME", ["2026-03-04T05:06:07Z", "1999-12-31T23:59:59Z"]),
    "times with a fraction": ("TIMESTAMP", ["2026-03-04 05:06:07.891", None]),
    "times that leave a fraction out": (
        "DATETIME",
        ["2026-03-04 05:06:07", "2026-03-04 05:06:07.000001"],
    ),
    "dates": ("DATE", ["2026-03-04", "2026-02-30", None]),
    "times and garbage": ("DATETIME", ["2026-03-04 05:06:07", "soon", 5, 1.5, b"x", ""]),
    "times and, late, garbage": (
        "DATETIME",
        [
            *["2026-03-04 05:06:07"] * 600,
            "24:00",
            "2026-02-30 00:00:00",
            *["2026-03-04 05:06:07"] * 600,
        ],
    ),
    "epoch seconds": ("DATETIME", [1_700_000_000, 0, -1, None]),
    "boolean": ("BOOLEAN", [True, False, 2, "true", None]),
    "decimal": ("DECIMAL(20,4)", ["12.3400", "12345678901234567.8901", 5, "1e3", "n/a"]),
    "numeric": ("NUMERIC", [1e20, 1e19, 3.0, "0x10", 9.2e18, 2**63 - 1]),
    "reals": ("REAL", [float("nan"), -0.0, 0.0, INF, -INF, 5e-324, 1.7976931348623157e308, 1, 0.1]),
    "odd reals without a type": ("", [float("nan"), -0.0, INF, -INF]),
    "invalid UTF-8": ("TEXT", [text(b"\xff\xfe"), text(b"caf\xe9"), "café", text(b"\xed\xa0\x80")]),
    "invalid UTF-8, late": ("VARCHAR(9)", [*["x"] * 1_200, text(b"\x80"), "y"]),
    "invalid UTF-8 without a type": ("", [text(b"\xff"), b"\xff", "\xff", 255]),
    "NUL inside": ("TEXT", ["a\0b", "\0", "", text(b"\0\xff")]),
    "emoji": ("TEXT", [EMOJI, "\ufeff", "\uffff", "\U0010ffff", "line\r\nline"]),
    "blobs": ("BLOB", [b"", b"\0", bytes(range(256)), None]),
    "text and numbers in a blob column": ("BLOB", [b"x", "x", 1, 1.0]),
    "very long text": ("TEXT", ["é" * 500_000, "", "x" * 1_000_000]),
}


def filled(declared: str, values: Sequence[Any]) -> None:
    """A table with one odd column: all values on one old day, the last half of them on another."""
    ddl = f"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v {declared})"
    make(ddl)
    with closing(sqlite3.connect(APP)) as connection, connection:
        for place, value in enumerate(values):
            mark, bound = "?", value
            if isinstance(value, tuple):
                mark, bound = "CAST(? AS TEXT)", value[1]
            connection.execute(
                f"INSERT INTO t (ts, v) VALUES (?, {mark})", (at(OLD, place % 86_400), bound)
            )


@pytest.mark.parametrize(("declared", "values"), COLUMNS.values(), ids=COLUMNS)
def test_a_column_is_the_same_before_between_and_after(
    declared: str, values: Sequence[Any]
) -> None:
    filled(declared, values)
    settings = declare()
    before, shown = cells(), answered(settings, columns="id, v")
    assert archive(settings).rows == len(values)
    assert run("SELECT count(*) FROM t") == [(0,)]
    assert repr(answered(settings, columns="id, v")) == repr(shown)
    assert UniversalArchiver(settings).restore("t", [OLD], hold_days=0) == len(values)
    assert repr(cells()) == repr(before)
    archive(settings)
    assert repr(answered(settings, columns="id, v")) == repr(shown)


@pytest.mark.parametrize(("declared", "values"), COLUMNS.values(), ids=COLUMNS)
def test_both_tiers_answer_the_same_values(declared: str, values: Sequence[Any]) -> None:
    """A day of the same values each, one of them archived: every value must be there twice."""
    filled(declared, values)
    run("INSERT INTO t (ts, v) SELECT ts + ?, v FROM t", at(TODAY - OLD))
    settings = declare()
    shown = answered(settings, columns="id, v")
    assert archive(settings).rows == len(values)
    assert repr(answered(settings, columns="id, v")) == repr(shown)
    odd = "SELECT count(*) FROM (SELECT v FROM t GROUP BY v HAVING count(*) % 2 = 1)"
    assert number(settings, odd) == 0


def test_strict_tables_keep_the_types_of_any() -> None:
    values = [1, 2.5, 3.0, 2, "4", b"5"]
    rows = [(id_, at(OLD), value) for id_, value in enumerate(values, start=1)]
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INT, v ANY) STRICT"
    make(ddl, "t", rows[:4])
    settings = declare()
    before = cells()
    archive(settings)
    UniversalArchiver(settings).restore("t", [OLD])
    assert repr(cells()) == repr(before)


# What stands in the column on the first archived day, on the second, and today.
WIDENING: dict[str, tuple[str, list[Any], list[Any], list[Any]]] = {
    "integers, then text": ("INTEGER", [1, 2], ["x"], [3]),
    "integers, then reals": ("INTEGER", [1, 2], [2.5], [3]),
    "large integers, then reals": ("INTEGER", [2**53 + 1], [2.5], [3]),
    "large integers, then a real today": ("NUMERIC", [2**53 + 1], [1], [2.5]),
    "reals, then text": (
        "NUMERIC",
        [1, 2.5, 1e300, 1e-5, -1.5e-7, 123456789.125],
        ["x"],
        [1],
    ),
    "real column, then text": ("REAL", [1, 2.5, 1e300, 1e-5, 1e15, 1e16, INF, -0.0], ["x"], [1]),
    "text, then a blob": ("TEXT", ["a", ""], [b"a"], ["b"]),
    "blobs, then text": ("BLOB", [b"\x0a\xff", b""], ["a"], [b"b"]),
    "NULL, then text": ("", [None], ["x"], [None]),
    "times, then garbage": ("DATETIME", ["2026-03-04T05:06:07.120Z"], ["soon"], [5]),
    "times, then another spelling": ("DATETIME", ["2026-03-04 05:06:07"], ["2026-03-04"], [None]),
    "times with and without fractions, then garbage": (
        "DATETIME",
        ["2026-03-04 05:06:07", "0999-03-04 05:06:07.000010"],
        ["x"],
        ["2026-03-04 05:06:07"],
    ),
}


def of_day(connection: sqlite3.Connection, day: int, values: list[Any]) -> None:
    rows = [(at(day, place), value) for place, value in enumerate(values)]
    connection.executemany("INSERT INTO t (ts, v) VALUES (?, ?)", rows)


@pytest.mark.parametrize(("declared", "first", "second", "today"), WIDENING.values(), ids=WIDENING)
def test_a_column_whose_kind_widens_stays_one_column(
    declared: str, first: list[Any], second: list[Any], today: list[Any]
) -> None:
    """What is answered in the end is what is answered of a table that was never archived."""
    make(f"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v {declared})")
    settings = declare()
    for day, values in ((OLD, first), (OLD + 1, second), (TODAY, today)):
        with closing(sqlite3.connect(APP)) as connection, connection:
            of_day(connection, day, values)
        archive(settings)
    now = answered(settings, columns="id, v")
    never = settings_of_a_copy(declared, [first, second, today])
    assert repr(now) == repr(answered(never, "never", columns="id, v"))
    UniversalArchiver(settings).restore("t", [OLD, OLD + 1])
    assert repr(cells()) == repr(cells("never"))


def settings_of_a_copy(declared: str, days: list[list[Any]]) -> Settings:
    make(f"CREATE TABLE never (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v {declared})")
    for day, values in zip((OLD, OLD + 1, TODAY), days, strict=True):
        for place, value in enumerate(values):
            run("INSERT INTO never (ts, v) VALUES (?, ?)", at(day, place), value)
    return declare("never")


@pytest.mark.parametrize("odd", [2.5, "x", b"x", 2**62])
def test_an_odd_value_after_ten_thousand_rows(odd: Any) -> None:
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v INTEGER)")
    with closing(sqlite3.connect(APP)) as connection, connection:
        of_day(connection, OLD, [*range(10_500), odd, 7, *range(600)])
    settings = declare(create_index=True)
    before, shown = cells(), answered(settings, columns="id, v")
    archive(settings)
    assert answered(settings, columns="id, v") == shown
    UniversalArchiver(settings).restore("t", [OLD])
    assert cells() == before


@pytest.mark.parametrize("declared", ["", "INTEGER", "TEXT", "NUMERIC"])
def test_what_is_erased_is_erased_in_both_tiers(declared: str) -> None:
    """A column of several types: the value looked for is found however it is stored."""
    make(f"CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v {declared})")
    with closing(sqlite3.connect(APP)) as connection, connection:
        for day in (OLD, OLD + 1, TODAY):
            of_day(connection, day, [42, "x"] if day > OLD else [42, 43])
    settings = declare()
    archive(settings, days=[OLD])
    archive(settings)
    receipt = UniversalArchiver(settings).erase("t", {"v": "42"})
    assert receipt.hot_rows + receipt.archived_rows == 3
    assert [str(value) for _, value in answered(settings, columns="id, v")] == ["43", "x", "x"]
    assert UniversalArchiver(settings).erase("t", {"v": "x"}).remaining_rows == 0
    assert len(answered(settings)) == 1


MEASURED = """
import json, resource, sys
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.settings import load_settings
import duckdb, pyarrow, pyarrow.parquet  # what is measured is the work, not the libraries
settings = load_settings()
archiver = UniversalArchiver(settings)
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if sys.argv[1] == "archive":
    rows = archiver.archive_table("t").rows
else:
    rows = archiver.restore("t", [int(sys.argv[2])])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([rows, (peak - start) / 1024]))
"""


def measured(*arguments: str) -> tuple[int, float]:
    """Rows, and by how many MiB the memory of a process of its own grew."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows, grown = json.loads(done.stdout)
    return rows, grown


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> int:
    """60 MB of blobs on one day, and a limit of 16 MB; how many rows."""
    make("CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v BLOB)")
    with closing(sqlite3.connect(APP)) as connection, connection:
        of_day(connection, OLD, [bytes(1_000_000)] * 60)
        connection.execute("UPDATE t SET v = randomblob(1000000)")
    declare()
    for name, value in (
        ("GRACE_HOURS", "0"),
        ("MEMORY_LIMIT", "16MB"),
        ("BACKUP", "false"),
        ("VACUUM", "false"),
    ):
        monkeypatch.setenv(f"GATEWAY_ARCHIVE_{name}", value)
    return 60


def test_wide_rows_are_archived_within_the_memory_that_is_allowed(wide: int) -> None:
    """Sixteen megabytes of rows, and as much again for what is made of them, several times."""
    rows, grown = measured("archive")
    assert rows == wide
    assert grown < 110


def test_wide_rows_come_back_within_bounded_memory(wide: int) -> None:
    """DuckDB may take 200 MB of its own."""
    (sums,) = run("SELECT count(*), sum(length(v)) FROM t")
    measured("archive")
    rows, grown = measured("restore", str(OLD))
    assert rows == wide
    assert run("SELECT count(*), sum(length(v)) FROM t") == [sums]
    assert grown < 400
