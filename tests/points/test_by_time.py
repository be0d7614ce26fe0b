"""Tables that lie by series, asked by time alone: from series to series, never every row."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.overview import overview
from gateway_assets.bridge.where import column
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.again import mark_again
from gateway_assets.points.compare import counted
from gateway_assets.points.levels import DAY, HOUR, LEVELS
from gateway_assets.points.load import Loader
from gateway_assets.points.refresh import refresh
from gateway_assets.points.schema import VERSION, open_points
from gateway_assets.settings import Settings, load_settings

FIRST = 20_000  # 2024-10-04
TABLES = ["points", *(level.table for level in LEVELS)]
Plans = list[tuple[str, list[str]]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(
        data_dir=tmp_path / "data",
        archive_grace_hours=0,
        archive_backup=False,
        points_hot_days=1,
        points_keep_days=36_500,
        minutes_keep_days=36_500,
        hours_keep_days=36_500,
        days_keep_days=36_500,
    )


def load_points(settings: Settings) -> None:
    """Three series, an hour apart, of three days."""
    log = open_log(settings.frames / "test")
    lines = [
        f"m,device={name} value={hour} {FIRST * DAY + hour * HOUR}"
        for name in "abc"
        for hour in range(72)
    ]
    log.append(Kind.DATA, "\n".join(lines).encode(), 0)
    log.close()
    with open_points(settings.points_database) as connection:
        Loader(connection, settings).load()
        refresh(connection, settings)


def indexes(connection: sqlite3.Connection) -> set[str]:
    query = "SELECT name FROM sqlite_schema WHERE type = 'index' AND name LIKE '%by_time'"
    return {name for (name,) in connection.execute(query)}


def by_time(connection: sqlite3.Connection, table: str) -> str:
    query = f"EXPLAIN QUERY PLAN DELETE FROM {table} WHERE time >= ? AND time < ?"
    ((*_, plan),) = connection.execute(query, (0, 1))
    return str(plan)


def test_a_database_of_version_2_loses_its_indexes_and_keeps_its_rows(settings: Settings) -> None:
    load_points(settings)
    path = settings.points_database
    with closing(sqlite3.connect(path)) as old, old:
        rows = {name: old.execute(f"SELECT * FROM {name}").fetchall() for name in TABLES}
        old.execute("DROP TABLE sqlite_stat1")
        for name in TABLES:
            old.execute(f"CREATE INDEX {name}_by_time ON {name} (time)")
        old.execute("PRAGMA user_version = 2")
    with closing(sqlite3.connect(path)) as open_before, open_points(path) as connection:
        assert open_before.execute("SELECT count(*) FROM points").fetchone() == (216,)
        assert indexes(connection) == set()
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
        for name, had in rows.items():
            assert had
            assert connection.execute(f"SELECT * FROM {name}").fetchall() == had
        for each in (connection, open_before):
            assert all("ANY(series)" in by_time(each, name) for name in TABLES)


def test_series_are_skipped_on_the_first_connection_and_on_all_others(settings: Settings) -> None:
    path = settings.points_database
    with open_points(path) as connection:
        assert all("ANY(series)" in by_time(connection, name) for name in TABLES)
        connection.execute("VACUUM")
        assert all("ANY(series)" in by_time(connection, name) for name in TABLES)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reader:
        assert all("ANY(series)" in by_time(reader, name) for name in TABLES)


@pytest.mark.parametrize("statement", ["ANALYZE", "DROP TABLE sqlite_stat1"])
def test_statistics_that_somebody_took_are_stated_again(settings: Settings, statement: str) -> None:
    """Of three series with few rows SQLite would conclude that it reads all of them."""
    path = settings.points_database
    with open_points(path) as connection:
        rows = [(series, time) for series in range(30) for time in range(5)]
        connection.executemany("INSERT INTO points (series, time) VALUES (?, ?)", rows)
        connection.execute(statement)
    with closing(sqlite3.connect(path)) as other:
        assert "ANY(series)" not in by_time(other, "points")
    with open_points(path) as connection:
        assert "ANY(series)" in by_time(connection, "points")
    with closing(sqlite3.connect(path)) as other:
        assert "ANY(series)" in by_time(other, "points")


# What may read the whole of a table: SQLite skips in the first, as the steps in
# tests/archive/test_hops.py tell, and reads no row for the second.
_WHOLE = re.compile(r'(SELECT DISTINCT "series" FROM "\w+"|SELECT count\(\*\) FROM "\w+"$)')
_SCAN = re.compile(rf"SCAN ({'|'.join(TABLES)})\b")


class Traced:
    """Every statement that any connection to a database runs, with SQLite's plan for it."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._said: set[str] = set()
        self._path = path
        connect = sqlite3.connect

        def traced(*args: object, **kwargs: object) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*args, **kwargs)  # type: ignore[call-overload]
            if str(path) in str(args[0]):
                connection.set_trace_callback(self._said.add)
            return connection

        monkeypatch.setattr(sqlite3, "connect", traced)

    def plans(self) -> Plans:
        found = []
        said = sorted(statement.strip() for statement in self._said)
        with closing(sqlite3.connect(self._path)) as connection:
            connection.create_function("gateway_like", 2, lambda *_: 1)
            for statement in said:
                if re.match(r"(?i)(select|with|delete|update|insert)\b", statement):
                    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}").fetchall()
                    found.append((statement, [step for *_, step in rows]))
        return found


def archive_all(settings: Settings) -> None:
    for name in TABLES:
        archiver = UniversalArchiver(settings)
        result = archiver.archive_table(name, hot_days=0)
        assert not result.failed
        assert result.pruned_rows >= 9


def restore_all(settings: Settings) -> None:
    archive_all(settings)
    for name in TABLES:
        UniversalArchiver(settings).restore(name, [FIRST + 1], hold_days=0)


def look_over(settings: Settings) -> None:
    found = {row.table: row for row in overview(settings)}
    assert found["points"].hot_rows == 216


def ask(settings: Settings) -> None:
    begin, end = (FIRST + 1) * DAY, (FIRST + 2) * DAY
    within = (column("time") >= begin) & (column("time") < end)
    with UnifiedQueryBridge(settings) as bridge:
        assert bridge.count("points", within) == 72
        assert len(bridge.query("points", within, order="time", limit=100).rows()) == 72
        assert len(bridge.query("points", within).rows()) == 72
        query = "SELECT device, value FROM points WHERE time >= ? AND time < ?"
        assert len(bridge.sql(query, (begin, end)).to_pylist()) == 72


def compare(settings: Settings) -> None:
    with open_points(settings.points_database) as connection:
        assert [day.points for day in counted(connection, [FIRST])] == [72]
        mark_again(connection, settings, [FIRST])
        refresh(connection, settings)


@pytest.mark.parametrize(
    "work", [archive_all, restore_all, look_over, ask, compare], ids=lambda work: work.__name__
)
def test_nothing_that_asks_by_time_reads_every_row(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, work: Callable[[Settings], None]
) -> None:
    load_points(settings)
    traced = Traced(settings.points_database, monkeypatch)
    work(settings)
    plans = traced.plans()
    assert any("ANY(series)" in step for _, steps in plans for step in steps)
    whole = [
        (statement, steps)
        for statement, steps in plans
        if any(_SCAN.match(step) for step in steps) and not _WHOLE.search(statement)
    ]
    assert whole == []
