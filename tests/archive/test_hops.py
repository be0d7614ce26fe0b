"""Days, ends and chunks of tables that lie by another column: as if the time had an index."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from gateway_assets.archive.chunks import by_spans, is_spanned
from gateway_assets.archive.days import visible_days
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.hops import first_time, is_sought, last_time, lead
from gateway_assets.archive.source import Source
from gateway_assets.archive.visible import count_hidden, visible
from gateway_assets.bridge.overview import overview
from gateway_assets.errors import ArchiveError
from gateway_assets.settings import Settings
from tests.tiers.places import APP, OLD, TODAY, archive, at, declare, make, patient, run, text_at

COLUMNS = "lead INTEGER, time {affinity}, value REAL"
KEYED = f"CREATE TABLE t ({COLUMNS}, PRIMARY KEY (lead, time))"
SHAPES = {"keyed": KEYED, "without-rowid": f"{KEYED} WITHOUT ROWID"}
BELIEVE = """
;ANALYZE sqlite_schema;
INSERT INTO sqlite_stat1 SELECT 't', name, '1000000 1000 1' FROM (
    SELECT 't' AS name FROM pragma_table_list('t') WHERE wr
    UNION ALL SELECT name FROM pragma_index_list('t') WHERE name LIKE 'sqlite%'
)
"""
INDEX = "CREATE INDEX by_time ON t (time)"
ODD: list[Any] = [-5, 1.5, "at noon", b"\x00", at(OLD) + 0.5, "9999-99-99"]
Row = tuple[Any, Any, float]


def some_rows(seed: int, write: Callable[[int, int], Any], *, nulls: bool) -> list[Row]:
    """Of a few leads and days, in gaps and in heaps, some with a time that is none."""
    rng = random.Random(seed)
    leads: list[Any] = [*range(rng.randrange(1, 6)), *([None] if nulls else [])]
    days = [*rng.sample(range(OLD, OLD + 40), 6), TODAY - 1, TODAY, TODAY + 2]
    rows = {
        (rng.choice(leads), write(rng.choice(days), rng.choice([0, 1, 86_399, 43_200 + n])))
        for n in range(rng.choice([1, 5, 80]))
    }
    rows |= {(leads[0], odd) for odd in rng.sample(ODD, rng.randrange(len(ODD)))}
    return [(*row, float(number % 3)) for number, row in enumerate(sorted(rows, key=repr))]


def declared(spelling: str) -> Settings:
    written = {"epoch_s": "epoch_s", "text": "YYYY-MM-DD HH:MM:SS"}[spelling]
    return declare(time="time", time_format=written, where="value <> 2", dedup=[])


def looked_at(settings: Settings) -> tuple[object, ...]:
    """What is known of a table by its times."""
    with UniversalArchiver(settings)._looking("t") as source:
        connection, table = source.connection, source.table
        shown = visible(connection, table)
        (count,) = connection.execute(f"SELECT count(*) FROM t WHERE NOT ({shown})").fetchone()
        assert count_hidden(connection, table) == count
        ends = [
            end(connection, table, "time >= ?", (least,))
            for end in (first_time, last_time)
            for least in (table.written.bounds(OLD)[0], table.written.bounds(TODAY)[0], b"\xff")
        ]
        days = [sorted(visible_days(connection, table, leaving=way)) for way in (True, False)]
    (row,) = overview(settings)[-1:]
    assert row.table == "t"
    return ends, days, row.hot_rows, row.hidden_rows, row.days, row.oldest, row.newest


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("spelling", ["epoch_s", "text"])
def test_a_table_without_an_index_is_seen_as_one_with_it(
    spelling: str, shape: str, seed: int
) -> None:
    """Also while some days are hidden, and with the rows of others that may not leave."""
    write: Callable[[int, int], Any] = at if spelling == "epoch_s" else text_at
    affinity = "INTEGER" if spelling == "epoch_s" else "TEXT"
    rows = some_rows(seed, write, nulls=shape == "keyed")
    make(SHAPES[shape].format(affinity=affinity) + BELIEVE, "t", rows)
    settings = declared(spelling)
    for hidden in (False, True):
        if hidden:
            archive(patient(settings))
        with UniversalArchiver(settings)._looking("t") as source:
            assert lead(source.connection, source.table) == "lead"
            assert is_spanned(source.connection, source.table) == (spelling == "epoch_s")
        led = looked_at(settings)
        run(INDEX)
        with UniversalArchiver(settings)._looking("t") as source:
            assert lead(source.connection, source.table) == ""
            assert is_sought(source.connection, source.table)
        assert looked_at(settings) == led
        run("DROP INDEX by_time")
        run("DELETE FROM sqlite_stat1")
        with UniversalArchiver(settings)._looking("t") as source:
            assert not is_sought(source.connection, source.table)
        assert looked_at(settings) == led
        with closing(sqlite3.connect(APP)) as connection, connection:
            connection.executescript(BELIEVE.strip("\n;"))


def chunks(source: Source, start: int, end: int) -> list[int]:
    """How many rows each chunk has; the rest is the last."""
    found = []
    while start < end:
        bound = by_spans(source, start, end)
        query = "SELECT count(*) FROM t WHERE time >= ? AND time < ?"
        found += source.connection.execute(
            query, (start, end if bound is None else bound)
        ).fetchone()
        start = end if bound is None else bound
        assert isinstance(start, int)
    return found


@pytest.mark.parametrize("shape", list(SHAPES))
def test_chunks_have_few_rows_but_for_those_of_one_moment(shape: str) -> None:
    even: list[Row] = [(n % 7, at(OLD, 1 + n // 2), 0.0) for n in range(999)]
    even.append((7, at(OLD) + 0.5, 0.0))
    heap = [(n, at(OLD, 70_000), 0.0) for n in range(500)]
    make(SHAPES[shape].format(affinity="INTEGER") + BELIEVE, "t", even + heap)
    settings = declared("epoch_s")
    with UniversalArchiver(settings)._looking("t") as source:
        source.pace.rows = 50
        found = chunks(source, at(OLD), at(OLD + 1))
        assert sum(found) == 1_500
        assert [rows for rows in found if rows > 100] == [500]
        assert 11 <= len(found) <= 25
        assert chunks(source, at(OLD + 1), at(OLD + 2)) == [0]
        source.pace.rows = 1_000
        assert chunks(source, at(OLD), at(OLD + 1)) == [1_500]


def test_a_day_leaves_in_chunks_and_comes_back() -> None:
    rows: list[Row] = [(n % 9, at(OLD, n), float(n % 2)) for n in range(5_000)]
    rows += [(3, at(OLD) + 0.5, 0.0), (4, at(TODAY), 0.0)]
    make(SHAPES["without-rowid"].format(affinity="INTEGER") + BELIEVE, "t", rows)
    settings = declared("epoch_s")
    result = archive(settings)
    assert (result.rows, result.pruned_rows) == (5_000, 5_000)
    assert sorted(run("SELECT lead, time FROM t")) == [(3, at(OLD) + 0.5), (4, at(TODAY))]
    assert UniversalArchiver(settings).restore("t", [OLD], hold_days=0) == 5_000
    assert sorted(run("SELECT * FROM t")) == sorted(rows)


def filled(leads: int, rows: int, apart: int) -> Settings:
    """Rows of each lead, some seconds apart."""
    make(SHAPES["without-rowid"].format(affinity="INTEGER") + BELIEVE)
    with closing(sqlite3.connect(APP)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        query = """
            WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n LIMIT 5000)
            INSERT INTO t SELECT lead.n, ? + n.n * ?, 0 FROM n AS lead CROSS JOIN n
            WHERE lead.n < ? AND n.n < ?
        """
        connection.execute(query, (at(OLD), apart, leads, rows))
        assert connection.total_changes == leads * rows
    return declare(time="time", time_format="epoch_s", dedup=[])


def steps(settings: Settings, work: Callable[[Source], object]) -> int:
    """Of SQLite's machine, of which each row that is looked at takes several."""
    count = 0

    def counted() -> None:
        nonlocal count
        count += 1

    with UniversalArchiver(settings)._looking("t") as source:
        source.connection.set_progress_handler(counted, 100)
        work(source)
    return count * 100


def days(source: Source) -> list[int]:
    return list(visible_days(source.connection, source.table, leaving=False))


def test_of_a_large_table_few_rows_are_looked_at() -> None:
    settings = filled(20, 5_000, 60)
    assert steps(settings, days) < 10_000
    assert steps(settings, lambda source: by_spans(source, at(OLD), at(OLD + 1))) < 60_000
    condition = "time >= ?", (at(OLD + 1),)
    assert steps(settings, lambda s: first_time(s.connection, s.table, *condition)) < 2_000
    archive(patient(settings), days=[OLD])
    assert steps(settings, days) < 10_000
    run("DROP TABLE sqlite_stat1")
    assert steps(settings, days) > 100_000


def test_a_day_is_known_by_any_of_its_rows() -> None:
    """Not by the first of them, for which each lead has to be asked."""
    assert steps(filled(1_000, 50, 86_400), days) < 100_000


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_large_table_needs_an_index_or_leads_that_are_skipped(shape: str) -> None:
    make(SHAPES[shape].format(affinity="INTEGER"))
    with closing(sqlite3.connect(APP)) as connection, connection:
        rows = [(n % 5, at(OLD, n), 0.0) for n in range(10_001)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    settings = declared("epoch_s")
    with pytest.raises(ArchiveError, match="no index on time"):
        archive(settings)
    run("ANALYZE")
    assert archive(settings).rows == 10_001
