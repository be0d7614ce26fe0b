"""Roll-ups, and keys of roll-ups, that came to a data directory after its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.totals import expected_sums, with_removed
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.hot import schema
from gateway_assets.hot.dirty import waiting_days
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.rollups import drain as drain_module
from gateway_assets.rollups.archived import copy_rows
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings, load_settings
from gateway_assets.table import Table, rolled_up
from gateway_assets.tables import IP_TRAFFIC, IP_TRAFFIC_DAILY, IP_TRAFFIC_HOURLY
from gateway_assets.tiers.catalog import Declared, has_table
from tests.traffic import TODAY, land_days, land_rows, roll_up, seen, total

# Of ip_traffic: pruned; pruned, with late rows in hot; published, with hidden copies; hot.
DAYS = range(TODAY - 4, TODAY)
PRUNED, LATE, PUBLISHED, HOT = DAYS
ROWS = 120


def without_hourly(store: sqlite3.Connection) -> None:
    """As a release left it that had no hourly roll-up."""
    store.execute("DROP TABLE ip_traffic_hourly")
    store.execute("DELETE FROM sqlite_sequence WHERE name = 'ip_traffic_hourly'")
    store.execute("DELETE FROM dirty_buckets WHERE rollup = 'ip_traffic_hourly'")


def archive(day: int, grace: int) -> None:
    archiver = UniversalArchiver(load_settings(archive_grace_hours=grace))
    archiver.archive_table(IP_TRAFFIC, hot_days=0, days=[day]).raise_failures()


@pytest.fixture
def house(settings: Settings) -> Settings:
    """Rows of four days in every place, rolled up by day, and then the release is replaced."""
    with open_store(settings.hot_database) as store:
        land_days(settings.landing, DAYS)
        load(store, IP_TRAFFIC, settings)
        roll_up(store, settings)
        for day, grace in ((PRUNED, 0), (LATE, 0), (PUBLISHED, 24)):
            archive(day, grace)
        land_rows(settings.landing, LATE, 100, 10)
        load(store, IP_TRAFFIC, settings)
        without_hourly(store)
    return settings


@pytest.fixture
def younger(house: Settings) -> Iterator[sqlite3.Connection]:
    with open_store(house.hot_database) as store:
        yield store


def sums_agree(store: sqlite3.Connection, settings: Settings, table: Table, day: int) -> bool:
    below = with_removed(store, seen(store, IP_TRAFFIC), settings.archive, day)
    above = with_removed(store, seen(store, table), settings.archive, day)
    return above.sums == expected_sums(table, below)


def recomputed(settings: Settings) -> list[dict[str, object]]:
    """By DuckDB, over both tiers."""
    return UnifiedQueryBridge(settings).rows(
        """
        SELECT date_trunc('hour', time) AS time, remote_ip, process, sum(tx_bytes)::BIGINT AS tx,
               count(*) AS samples, min(time) AS first, max(end_time) AS last
        FROM ip_traffic GROUP BY ALL ORDER BY ALL
        """
    )


def hourly(settings: Settings) -> list[dict[str, object]]:
    return UnifiedQueryBridge(settings).rows(
        "SELECT time, remote_ip, process, tx_bytes AS tx, samples, first_seen AS first, "
        "last_seen AS last FROM ip_traffic_hourly ORDER BY ALL"
    )


def test_every_day_is_marked_once(house: Settings, younger: sqlite3.Connection) -> None:
    assert waiting_days(younger, IP_TRAFFIC_HOURLY) == list(DAYS)
    with open_store(house.hot_database) as again:
        assert len(again.execute("SELECT * FROM dirty_buckets").fetchall()) == 4 + 1


def test_rows_of_all_places_are_merged_once(house: Settings, younger: sqlite3.Connection) -> None:
    result = drain(younger, IP_TRAFFIC_HOURLY, house)
    assert (result.failed, result.merged_rows) == ({}, 4 * ROWS + 10)
    assert hourly(house) == recomputed(house)
    assert all(sums_agree(younger, house, IP_TRAFFIC_HOURLY, day) for day in DAYS)
    assert drain(younger, IP_TRAFFIC_HOURLY, house).merged_rows == 0
    # No day had to come back: what was archived stays so.
    assert total(younger, IP_TRAFFIC).rows == 4 * ROWS + 10
    query = "SELECT count(*) FROM ip_traffic WHERE time < ?"
    assert younger.execute(query, (LATE * clock.DAY,)).fetchone() == (0,)


def test_rows_that_come_before_the_first_drain_are_merged_once(
    house: Settings, younger: sqlite3.Connection
) -> None:
    for day in DAYS:
        land_rows(house.landing, day, 200, 10)
    load(younger, IP_TRAFFIC, house)
    roll_up(younger, house)
    assert hourly(house) == recomputed(house)
    for day in DAYS[:2]:
        archive(day, 0)
    land_rows(house.landing, LATE, 300, 10)
    load(younger, IP_TRAFFIC, house)
    drain(younger, IP_TRAFFIC_HOURLY, house)
    assert hourly(house) == recomputed(house)


def test_a_new_roll_up_of_nothing_has_nothing_to_do(store: sqlite3.Connection) -> None:
    without_hourly(store)
    with open_store(load_settings().hot_database) as again:
        assert has_table(again, "ip_traffic_hourly")
        assert waiting_days(again, IP_TRAFFIC_HOURLY) == []


def test_what_was_erased_before_counts_as_removed(
    house: Settings, younger: sqlite3.Connection
) -> None:
    """Also when all of a day has gone, and late rows come after that."""
    archiver = UniversalArchiver(house)
    archiver.erase(IP_TRAFFIC, {"remote_ip": "192.0.2.7"})
    archiver.erase(IP_TRAFFIC, {"process": "nginx"})
    drain(younger, IP_TRAFFIC_HOURLY, house)
    assert hourly(house) == recomputed(house)
    assert all(sums_agree(younger, house, IP_TRAFFIC_HOURLY, day) for day in DAYS)
    for day in DAYS:
        land_rows(house.landing, day, 200, 10)
    load(younger, IP_TRAFFIC, house)
    drain(younger, IP_TRAFFIC_HOURLY, house)
    assert all(sums_agree(younger, house, IP_TRAFFIC_HOURLY, day) for day in DAYS)


def test_a_day_of_which_nothing_is_left(settings: Settings) -> None:
    with open_store(settings.hot_database) as store:
        land_rows(settings.landing, HOT, 0, 10)
        load(store, IP_TRAFFIC, settings)
        roll_up(store, settings)
        UniversalArchiver(settings).erase(IP_TRAFFIC, {"host": "box"})
        without_hourly(store)
    with open_store(settings.hot_database) as store:
        land_rows(settings.landing, HOT, 1, 10)
        load(store, IP_TRAFFIC, settings)
        drain(store, IP_TRAFFIC_HOURLY, settings)
        assert sums_agree(store, settings, IP_TRAFFIC_HOURLY, HOT)


def archived_file(settings: Settings, day: int) -> Path:
    (path,) = (settings.archive / "ip_traffic").rglob(f"day={clock.day_text(day)[-2:]}/*")
    return path


def test_late_rows_need_no_file(house: Settings, younger: sqlite3.Connection) -> None:
    archived_file(house, LATE).unlink()
    assert drain(younger, IP_TRAFFIC_DAILY, house).merged_rows == 10
    assert list(drain(younger, IP_TRAFFIC_HOURLY, house).failed) == [clock.day_text(LATE)]


def test_a_damaged_file_stops_its_own_day_only(
    house: Settings, younger: sqlite3.Connection
) -> None:
    path, other = (archived_file(house, day) for day in (PRUNED, PUBLISHED))
    kept = path.read_bytes()
    path.write_bytes(other.read_bytes())  # a good file, of other rows
    result = drain(younger, IP_TRAFFIC_HOURLY, house)
    assert (list(result.failed), len(result.days)) == ([clock.day_text(PRUNED)], 3)
    path.write_bytes(kept)
    assert drain(younger, IP_TRAFFIC_HOURLY, house).merged_rows == ROWS
    assert hourly(house) == recomputed(house)


def test_a_file_swapped_while_it_is_read_is_looked_for_again(
    house: Settings, younger: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    swaps = iter(range(1))

    def erase_after(*arguments: Any) -> None:
        copy_rows(*arguments)
        if next(swaps, None) is not None:
            UniversalArchiver(house).erase(IP_TRAFFIC, {"remote_ip": "192.0.2.7"})

    monkeypatch.setattr(drain_module, "copy_rows", erase_after)
    drain(younger, IP_TRAFFIC_HOURLY, house).raise_failures()
    assert hourly(house) == recomputed(house)
    assert all(sums_agree(younger, house, IP_TRAFFIC_HOURLY, day) for day in DAYS)


OLDER_DAILY = """
    CREATE TABLE "ip_traffic_daily" ("id" INTEGER PRIMARY KEY AUTOINCREMENT, "time" INTEGER NOT
    NULL, "host" TEXT NOT NULL, "backend" TEXT NOT NULL, "layer" TEXT NOT NULL, "remote_ip" TEXT
    NOT NULL, "process" TEXT, "tx_bytes" INTEGER NOT NULL, "rx_bytes" INTEGER NOT NULL, "samples"
    INTEGER NOT NULL, "first_seen" INTEGER NOT NULL, "last_seen" INTEGER NOT NULL) STRICT;
    CREATE INDEX "ip_traffic_daily_time" ON "ip_traffic_daily" ("time");
    CREATE UNIQUE INDEX "ip_traffic_daily_key" ON "ip_traffic_daily" ("time",
    COALESCE("host", x'00'), COALESCE("backend", x'00'), COALESCE("layer", x'00'),
    COALESCE("remote_ip", x'00'), COALESCE("process", x'00'));
"""


def key_columns(store: sqlite3.Connection) -> str:
    query = "SELECT sql FROM sqlite_schema WHERE name = 'ip_traffic_daily_key'"
    return str(store.execute(query).fetchone()[0])


def test_an_older_daily_table_gets_the_key_that_came_later(
    house: Settings, younger: sqlite3.Connection
) -> None:
    current = key_columns(younger)
    names = "id, time, host, backend, layer, remote_ip, process, tx_bytes, rx_bytes, samples, "
    names += "first_seen, last_seen"
    rows = younger.execute(f"SELECT {names} FROM ip_traffic_daily").fetchall()
    younger.execute("DROP TABLE ip_traffic_daily")
    younger.executescript(OLDER_DAILY)
    marks = ", ".join("?" * 12)
    younger.executemany(f"INSERT INTO ip_traffic_daily VALUES ({marks})", rows)
    with open_store(house.hot_database) as store:
        assert "unit" in key_columns(store) and key_columns(store) == current
        assert store.execute(f"SELECT {names} FROM ip_traffic_daily").fetchall() == rows
        query = "SELECT DISTINCT unit FROM ip_traffic_daily"
        assert store.execute(query).fetchall() == [(None,)]
        land_rows(house.landing, HOT, 100, 10)
        load(store, IP_TRAFFIC, house)
        drain(store, IP_TRAFFIC_DAILY, house).raise_failures()
        assert all(sums_agree(store, house, IP_TRAFFIC_DAILY, day) for day in DAYS)
        # The table was there: it is not told of all rows again.
        assert store.execute("SELECT sum(samples) FROM ip_traffic_daily").fetchone() == (500,)


def test_an_index_lost_half_way_is_made_again(store: sqlite3.Connection) -> None:
    current = key_columns(store)
    store.execute("DROP INDEX ip_traffic_daily_key")
    with open_store(load_settings().hot_database) as again:
        assert key_columns(again) == current


def test_an_archived_daily_day_without_the_key_comes_back_for_late_rows(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file has the columns of the release before, which knew no units."""
    rollup = IP_TRAFFIC_DAILY.rollup
    assert rollup
    older = rolled_up(
        IP_TRAFFIC, rollup.bucket, by=rollup.by[:5], states=rollup.states, hot_days=0, about=""
    )
    land_rows(settings.landing, HOT, 0, 30)
    with monkeypatch.context() as release:
        release.setattr(schema, "TABLES", (IP_TRAFFIC, older))
        with open_store(settings.hot_database) as store:
            load(store, IP_TRAFFIC, settings)
            drain(store, older, settings).raise_failures()
            pruning = UniversalArchiver(load_settings(archive_grace_hours=0))
            pruning.archive_table(Declared(older.name, settings.hot_database, older), hot_days=0)
            (file,) = live_files(store, seen(store, older))
            assert "unit" not in file.columns
    with open_store(settings.hot_database) as store:
        land_rows(settings.landing, HOT, 1, 30)
        load(store, IP_TRAFFIC, settings)
        assert drain(store, IP_TRAFFIC_DAILY, settings).restored_days == [clock.day_text(HOT)]
        assert sums_agree(store, settings, IP_TRAFFIC_DAILY, HOT)
        assert UniversalArchiver(settings).archive_table(IP_TRAFFIC_DAILY, hot_days=0).files
        (file,) = live_files(store, seen(store, IP_TRAFFIC_DAILY))
        assert "unit" in file.columns
    query = "SELECT sum(samples) AS n, count(unit) AS units FROM ip_traffic_daily"
    assert UnifiedQueryBridge(settings).rows(query) == [{"n": 60, "units": 0}]
