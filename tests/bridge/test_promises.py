"""Whoever asks is told the truth or an error, whatever else goes on.

PROMISE_QUERIES asks for more questions than the suite does, PROMISE_SEED for others.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import ArchiveDamaged
from gateway_assets.settings import Settings
from tests.bridge.promises import COUNTS
from tests.tiers.places import TODAY, archive, at, declare, files, make, ordered, patient, run

QUERIES = int(os.environ.get("PROMISE_QUERIES", "200"))
SEED = int(os.environ.get("PROMISE_SEED", "1"))
SECONDS_EACH = 2.0  # to give up; a question takes a thirtieth of a second

# The counts of a campaign of any length that must not be zero.
MUST_HAPPEN = set(COUNTS) - {"moved", "failed", "again"}


def test_every_answer_is_right_while_archiver_and_writer_go_on() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bridge.promises", str(SEED), str(QUERIES)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120 + QUERIES * SECONDS_EACH,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    found = json.loads(done.stdout)
    assert found["questions"] >= QUERIES
    assert found["moved"] * 100 < found["questions"]
    assert not {name for name in MUST_HAPPEN if not found[name]}, found


# --- Damaged files -------------------------------------------------------------------------------

# Each in a month of its own, so that no monthly copy stands for them.
FIRST, SECOND, THIRD = TODAY - 110, TODAY - 75, TODAY - 40
ROWS = 40


def _middle_of(path: Path, column: str) -> int:
    """An offset in a data page of a column."""
    chunks = pq.read_metadata(path).row_group(0)
    places = {chunks.column(n).path_in_schema: n for n in range(chunks.num_columns)}
    chunk = chunks.column(places[column])
    return int(chunk.data_page_offset + chunk.total_compressed_size * 3 // 4)


def _flip(column: str) -> Callable[[Path], None]:
    def flip(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[_middle_of(path, column)] ^= 0x10
        path.write_bytes(content)

    flip.__name__ = f"a flipped bit of {column}"
    return flip


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _remove(path: Path) -> None:
    path.unlink()


DAMAGES = [_truncate, _halve, _empty, _remove, *map(_flip, ("n", "time", "who", "size"))]

# All columns of the damaged day are looked at, so that it is needed whichever of them broke.
_EACH = "n, time, who, size"
_FIRST = f"time BETWEEN to_timestamp({at(FIRST)}) AND to_timestamp({at(FIRST, 99)})"
_DAY = f"time >= to_timestamp({at(SECOND)}) AND time < to_timestamp({at(SECOND + 1)})"
NEED = [
    "SELECT * FROM t",
    f"SELECT {_EACH} FROM t WHERE {_DAY}",
    f"SELECT {_EACH} FROM t WHERE time >= to_timestamp({at(SECOND - 3)})",
    f"SELECT {_EACH} FROM t WHERE n BETWEEN 1 AND 1000000000",
    "SELECT sum(n), max(time), max(who), sum(size) FROM t",
    "SELECT date_trunc('day', time), sum(n), max(who), sum(size) FROM t GROUP BY 1",
    f"SELECT {_EACH} FROM t ORDER BY size, n, who, time LIMIT 3",
    f"SELECT {_EACH} FROM t WHERE who LIKE '%e%' OR who IS NULL OR n > 0",
    "SELECT a.*, u.x FROM t AS a JOIN u ON u.x = a.n % 9",
    f"SELECT {_EACH}, lag(n) OVER (ORDER BY time, n) FROM t",
    f"WITH w AS (SELECT * FROM t WHERE {_DAY}) SELECT count(*), max(w) FROM w",
    "SELECT n, time, who, size FROM t EXCEPT SELECT x, NULL, '', 0 FROM u",
]
DO_NOT_NEED = [
    f"SELECT * FROM t WHERE time >= to_timestamp({at(THIRD)})",
    f"SELECT count(*), sum(n) FROM t WHERE time < to_timestamp({at(SECOND - 1)})",
    f"SELECT n FROM t WHERE {_FIRST}",
    f"SELECT max(time) FROM t WHERE time > to_timestamp({at(TODAY - 1)})",
    "SELECT * FROM u",
    "SELECT count(*) FROM u WHERE x > 3",
    "SELECT 1 AS one",
]


@pytest.fixture
def damageable() -> Settings:
    """Three archived days with a file each, hot rows, and another table."""
    who = ("amy", "bea", "cy", None)
    rows = [
        (day * 1000 + n, at(day, n), who[n % 4] and f"{who[n % 4]}{n}", n / 4)
        for day in (FIRST, SECOND, THIRD, TODAY)
        for n in range(ROWS)
    ]
    make("CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER, who TEXT, size REAL)", "t", rows)
    make(
        "CREATE TABLE u (x INTEGER PRIMARY KEY, time INTEGER)", "u", [(n, at(n)) for n in range(9)]
    )
    declare(time="time")
    settings = declare("u", time="time")
    archive(settings)
    assert len(files(settings)) == 3
    return settings


def _damaged_file(settings: Settings) -> Path:
    (path,) = [p for p in files(settings) if f"{_day_of(p)}" == f"{SECOND}"]
    return path


def _day_of(path: Path) -> int:
    return int(pq.read_table(path, columns=["n"], partitioning=None)["n"][0].as_py()) // 1000


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_an_error_for_whoever_needs_it_and_for_nobody_else(
    damageable: Settings, damage: Callable[[Path], None]
) -> None:
    bridge = UnifiedQueryBridge(damageable)
    before = [ordered(map(_values, bridge.rows(query))) for query in DO_NOT_NEED]
    whole = {query: bridge.rows(query) for query in NEED}
    assert all(whole.values())
    path = _damaged_file(damageable)
    damage(path)
    for query in NEED:
        # This process has seen the file whole, but this bridge has no answer to repeat.
        with pytest.raises(ArchiveDamaged) as caught:
            UnifiedQueryBridge(damageable).rows(query)
        assert str(path) in caught.value.message, query
        assert "gateway archive" in caught.value.hint, query
        with suppress(ArchiveDamaged):
            assert bridge.rows(query) == whole[query]
    with pytest.raises(ArchiveDamaged, match=path.name):
        UnifiedQueryBridge(damageable).sql(NEED[0])
    assert [ordered(map(_values, bridge.rows(query))) for query in DO_NOT_NEED] == before


def _values(row: dict[str, object]) -> tuple[object, ...]:
    return tuple(row.values())


def test_a_file_that_is_put_back_answers_again(damageable: Settings) -> None:
    bridge = UnifiedQueryBridge(damageable)
    path = _damaged_file(damageable)
    whole, wanted = path.read_bytes(), bridge.rows(NEED[0])
    for damage in DAMAGES:
        damage(path)
        with pytest.raises(ArchiveDamaged):
            UnifiedQueryBridge(damageable).rows(NEED[0])
        path.write_bytes(whole)
        assert bridge.rows(NEED[0]) == wanted


def test_hidden_rows_are_not_answered_in_place_of_a_damaged_file() -> None:
    """All rows of the day are still in the hot table, hidden; the file is what answers."""
    make(
        "CREATE TABLE t (n INTEGER PRIMARY KEY, time INTEGER)",
        "t",
        [(1, at(FIRST)), (2, at(TODAY))],
    )
    settings = declare(time="time")
    archive(patient(settings))
    assert run("SELECT count(*) FROM t") == [(2,)]
    (path,) = files(settings)
    _truncate(path)
    with pytest.raises(ArchiveDamaged, match=path.name):
        UnifiedQueryBridge(settings).rows("SELECT n FROM t")
    assert UniversalArchiver(settings).archive_table("t").failed
    assert run("SELECT count(*) FROM t") == [(2,)]
