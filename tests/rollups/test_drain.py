"""Roll-ups merge every row once: early, late, twice drained, before and after archiving."""

from __future__ import annotations

import json
import sqlite3
from contextlib import AbstractContextManager
from random import Random

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.totals import expected_sums
from gateway_assets.errors import StoreError
from gateway_assets.files.landing import Stamp, land
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store, writing
from gateway_assets.rollups import drain as drain_module
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.table import DAILY, Bucket, Table
from gateway_assets.table import rolled_up as rolled_up_from
from gateway_assets.tables import IP_TRAFFIC, IP_TRAFFIC_DAILY, IP_TRAFFIC_HOURLY
from tests.traffic import ORIGIN, TODAY, land_days, land_rows, roll_up, row, total

DAY = TODAY - 2
ROLLUPS = (IP_TRAFFIC_HOURLY, IP_TRAFFIC_DAILY)
NAMES = [table.name for table in ROLLUPS]


def test_a_day_archived_at_the_wrong_moment_is_restored_first(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archiver publishes the roll-up's day after the drain has begun with it."""
    monkeypatch.setenv("GATEWAY_HOT_DAYS", '{"ip_traffic": 0, "ip_traffic_daily": 0}')
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    settings = load_settings()
    land_rows(settings.landing, DAY, 0, 30)
    load(store, IP_TRAFFIC, settings)
    drain(store, IP_TRAFFIC_DAILY, settings)
    entered = iter(range(1))

    def archive_first(connection: sqlite3.Connection) -> AbstractContextManager[None]:
        if next(entered, None) is not None:
            with open_store(settings.hot_database):
                UniversalArchiver(settings).archive_table(IP_TRAFFIC_DAILY)
            land_rows(settings.landing, DAY, 1, 30)
            load(connection, IP_TRAFFIC, settings)
        return writing(connection)

    store.execute("INSERT INTO dirty_buckets VALUES ('other', 0, 0, 0)")
    monkeypatch.setattr(drain_module, "writing", archive_first)
    monkeypatch.setattr(drain_module, "waiting_days", lambda *_: [DAY])
    drain(store, IP_TRAFFIC_DAILY, settings)
    assert rolled_up(store, IP_TRAFFIC_DAILY) == recomputed(store, IP_TRAFFIC_DAILY)


def test_one_damaged_day_does_not_stop_the_others(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_HOT_DAYS", '{"ip_traffic": 0, "ip_traffic_daily": 0}')
    settings = load_settings()
    land_days(settings.landing, range(DAY, TODAY))
    load(store, IP_TRAFFIC, settings)
    drain(store, IP_TRAFFIC_DAILY, settings)
    UniversalArchiver(settings).archive_table(IP_TRAFFIC_DAILY, days=[DAY])
    next(settings.archive.rglob("*.parquet")).unlink()
    for day in (DAY, TODAY):
        land_rows(settings.landing, day, 100, 10)
    load(store, IP_TRAFFIC, settings)
    result = drain(store, IP_TRAFFIC_DAILY, settings)
    assert result.days == [clock.day_text(TODAY)]
    assert list(result.failed) == [clock.day_text(DAY)]
    with pytest.raises(StoreError, match="is missing"):
        result.raise_failures()


def recomputed(connection: sqlite3.Connection, table: Table) -> list[tuple[object, ...]]:
    width = {"ip_traffic_hourly": 3_600_000_000, "ip_traffic_daily": 86_400_000_000}[table.name]
    return connection.execute(
        f"""
        SELECT time / {width} * {width}, host, backend, layer, remote_ip, process,
               sum(tx_bytes), sum(rx_bytes), count(*), min(time), max(end_time), unit,
               country
        FROM ip_traffic GROUP BY 1, 2, 3, 4, 5, 6, 12, 13 ORDER BY 1, 5, 6, 12, 13
        """
    ).fetchall()


def rolled_up(connection: sqlite3.Connection, table: Table) -> list[tuple[object, ...]]:
    names = ", ".join(column.name for column in table.columns)
    query = f"SELECT {names} FROM {table.name} ORDER BY time, remote_ip, process, unit, country"
    return connection.execute(query).fetchall()


@pytest.mark.parametrize("table", ROLLUPS, ids=NAMES)
def test_files_in_any_order_and_drains_between(
    store: sqlite3.Connection, settings: Settings, table: Table
) -> None:
    random = Random(7)
    arrivals = [(day, n) for day in range(TODAY - 3, TODAY + 1) for n in range(6)]
    random.shuffle(arrivals)
    for day, number in arrivals:
        land_rows(settings.landing, day, number, 50, sent=random.randrange(10**6))
        if random.random() < 0.5:
            load(store, IP_TRAFFIC, settings)
        if random.random() < 0.5:
            drain(store, table, settings)
    load(store, IP_TRAFFIC, settings)
    drain(store, table, settings)
    assert rolled_up(store, table) == recomputed(store, table)
    query = f"SELECT DISTINCT time % {clock.DAY} / {clock.HOUR} FROM {table.name} ORDER BY 1"
    hours = [hour for (hour,) in store.execute(query)]
    assert hours == ([0, 1, 2] if table is IP_TRAFFIC_HOURLY else [0])


@pytest.mark.parametrize("table", ROLLUPS, ids=NAMES)
def test_draining_twice_merges_once(
    store: sqlite3.Connection, settings: Settings, table: Table
) -> None:
    land_days(settings.landing, range(DAY, TODAY))
    load(store, IP_TRAFFIC, settings)
    assert drain(store, table, settings).merged_rows == 240
    assert drain(store, table, settings).merged_rows == 0
    assert rolled_up(store, table) == recomputed(store, table)


def test_only_the_days_asked_for(store: sqlite3.Connection, settings: Settings) -> None:
    land_days(settings.landing, range(DAY, TODAY))
    load(store, IP_TRAFFIC, settings)
    assert drain(store, IP_TRAFFIC_DAILY, settings, [DAY]).days == [clock.day_text(DAY)]
    assert drain(store, IP_TRAFFIC_DAILY, settings).days == [clock.day_text(DAY + 1)]


def test_an_unknown_process_and_an_empty_name_stay_apart(
    store: sqlite3.Connection, settings: Settings
) -> None:
    rows = [row(DAY, 0, process=process) for process in (None, "", None, "")]
    land(settings.landing, SOURCE, Stamp(ORIGIN, DAY * clock.DAY, 0), rows)
    load(store, IP_TRAFFIC, settings)
    drain(store, IP_TRAFFIC_DAILY, settings)
    query = "SELECT process, samples FROM ip_traffic_daily ORDER BY process"
    assert store.execute(query).fetchall() == [(None, 2), ("", 2)]


@pytest.mark.parametrize("table", ROLLUPS, ids=NAMES)
def test_units_of_one_process_stay_apart(
    store: sqlite3.Connection, settings: Settings, table: Table
) -> None:
    place = [column.name for column in SOURCE.columns].index("unit")
    rows = [
        (*row(DAY, 0)[:place], unit, *row(DAY, 0)[place + 1 :])
        for unit in ("a.service", "b.service", None, "a.service")
    ]
    land(settings.landing, SOURCE, Stamp(ORIGIN, DAY * clock.DAY, 0), rows)
    load(store, IP_TRAFFIC, settings)
    drain(store, table, settings)
    query = f"SELECT unit, samples FROM {table.name} ORDER BY unit"
    assert store.execute(query).fetchall() == [(None, 1), ("a.service", 2), ("b.service", 1)]


def test_buckets_that_lie_in_two_days_are_refused() -> None:
    assert Bucket("5min", 300 * clock.SECOND, "five minutes").width == 300_000_000
    with pytest.raises(ValueError, match="do not divide a day"):
        Bucket("7min", 420 * clock.SECOND, "seven minutes")


def test_a_key_that_came_later_may_be_null() -> None:
    assert IP_TRAFFIC_DAILY.rollup
    with pytest.raises(ValueError, match="may not be NULL"):
        rolled_up_from(
            IP_TRAFFIC,
            DAILY,
            by=("host",),
            also_by=("remote_ip",),
            states=IP_TRAFFIC_DAILY.rollup.states,
            hot_days=1,
            about="",
        )


@pytest.mark.parametrize("grace", ["0", "24"])
@pytest.mark.parametrize("table", ROLLUPS, ids=NAMES)
def test_late_rows_repair_a_day_whose_roll_up_is_archived(
    monkeypatch: pytest.MonkeyPatch, store: sqlite3.Connection, grace: str, table: Table
) -> None:
    monkeypatch.setenv("GATEWAY_HOT_DAYS", json.dumps(dict.fromkeys(["ip_traffic", *NAMES], 0)))
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", grace)
    settings = load_settings()
    archiver = UniversalArchiver(settings)
    for number in range(3):
        land_rows(settings.landing, DAY, number, 30)
        load(store, IP_TRAFFIC, settings)
        result = drain(store, table, settings)
        assert result.restored_days == ([clock.day_text(DAY)] if number else [])
        roll_up(store, settings)
        archiver.archive_table(IP_TRAFFIC)
        archiver.archive_table(table)
        merged, raw = total(store, table, DAY), total(store, IP_TRAFFIC, DAY)
        assert merged.sums == expected_sums(table, raw)
        assert raw.rows == 30 * (number + 1)


def erase_and_archive(store: sqlite3.Connection, settings: Settings) -> None:
    """Of one address, and then archive; a difference would fail it."""
    assert UniversalArchiver(settings).erase(IP_TRAFFIC, {"remote_ip": "192.0.2.7"}).hot_rows
    roll_up(store, settings)
    for table in (IP_TRAFFIC, *ROLLUPS):
        UniversalArchiver(settings).archive_table(table, hot_days=0).raise_failures()


def test_rows_erased_before_they_were_merged(store: sqlite3.Connection, settings: Settings) -> None:
    """Of several files and days, some of them merged already by one roll-up."""
    land_days(settings.landing, range(DAY, TODAY))
    load(store, IP_TRAFFIC, settings)
    drain(store, IP_TRAFFIC_DAILY, settings, [DAY])
    land_rows(settings.landing, DAY, 5, 40)
    load(store, IP_TRAFFIC, settings)
    erase_and_archive(store, settings)


def test_rows_erased_while_a_younger_roll_up_waits_for_more(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """What is gone of a day is counted once, when it is merged from the start."""
    land_rows(settings.landing, DAY, 0, 40)
    load(store, IP_TRAFFIC, settings)
    roll_up(store, settings)
    store.execute("DROP TABLE ip_traffic_hourly")
    with open_store(settings.hot_database) as again:
        for sequence in range(1, 6):
            land_rows(settings.landing, DAY, sequence, 40)
        load(again, IP_TRAFFIC, settings)
        erase_and_archive(again, settings)
