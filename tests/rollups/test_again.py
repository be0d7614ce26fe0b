"""Days whose rows get other countries, or whose roll-up gets a key: grouped again, exactly."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.totals import expected_sums, with_removed
from gateway_assets.bridge.reconcile import difference
from gateway_assets.files.landing import Stamp, land
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.hot import schema
from gateway_assets.hot.dirty import waiting_days
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.table import Table
from gateway_assets.table import rolled_up as rolled_up_from
from gateway_assets.tables import IP_TRAFFIC, IP_TRAFFIC_DAILY, IP_TRAFFIC_HOURLY, TABLES
from gateway_assets.tiers.catalog import Declared
from tests.grouped import rolled_up, wrong_rows
from tests.mmdb import write_mmdb
from tests.traffic import ORIGIN, TODAY, roll_up, row, seen

ROLLUPS = (IP_TRAFFIC_HOURLY, IP_TRAFFIC_DAILY)
# Of ip_traffic: pruned; pruned, with late rows in hot; published, with hidden copies; hot.
DAYS = range(TODAY - 4, TODAY)
PRUNED, LATE, PUBLISHED, HOT = DAYS
REMOTES = ("9.0.0.1", "9.1.0.1", "8.8.8.8")
ROWS = 240  # of a landing file: two hours, of all remotes in turn


def install(settings: Settings, one: str, other: str) -> None:
    """A database that knows two of the remotes."""
    records = {"9.0.0.0/16": {"country_code": one}, "9.1.0.0/16": {"country_code": other}}
    write_mmdb(settings.data_dir / "geoip" / "country.mmdb", records)


def land_day(settings: Settings, day: int, sequence: int) -> None:
    rows = []
    for number in range(ROWS):
        made = row(day, sequence * 30 + number)
        rows.append((*made[:6], REMOTES[number % len(REMOTES)], *made[7:]))
    land(settings.landing, SOURCE, Stamp(ORIGIN, day * clock.DAY + sequence, sequence), rows)


def archive(table: Table | Declared, day: int, grace: int) -> None:
    archiver = UniversalArchiver(load_settings(archive_grace_hours=grace))
    archiver.archive_table(table, hot_days=0, days=[day]).raise_failures()


def fill(store: sqlite3.Connection, settings: Settings, rollups: tuple[Table, ...]) -> None:
    """Rows of four days in every place, and some of their roll-ups archived. In each bucket, rows
    of one remote have two countries, because another database was there for half of them.
    """

    def rolled_up_again() -> None:
        load(store, IP_TRAFFIC, settings)
        for table in rollups:
            drain(store, table, settings).raise_failures()

    for sequence, places in enumerate([("DE", "FR"), ("DE", "DE")]):
        install(settings, *places)
        for day in DAYS:
            land_day(settings, day, sequence)
        rolled_up_again()
    for day, grace in ((PRUNED, 0), (LATE, 0), (PUBLISHED, 24)):
        archive(IP_TRAFFIC, day, grace)
    land_day(settings, LATE, 2)
    rolled_up_again()
    for table in rollups:
        declared = Declared(table.name, settings.hot_database, table)
        archive(declared, PRUNED, 0)
        archive(declared, PUBLISHED, 24)


@pytest.fixture
def house(settings: Settings) -> Settings:
    with open_store(settings.hot_database) as store:
        fill(store, settings, ROLLUPS)
    check(settings)
    return settings


def re_enrich(settings: Settings) -> None:
    geoip = GeoIP(settings.geoip_paths)
    UniversalArchiver(settings).replace_places(IP_TRAFFIC, geoip, DAYS).raise_failures()


def dirty(settings: Settings, table: Table) -> list[int]:
    with open_store(settings.hot_database) as store:
        return waiting_days(store, table)


def sums_agree(settings: Settings, table: Table, day: int) -> bool:
    assert table.rollup
    with open_store(settings.hot_database) as store:
        below = with_removed(store, seen(store, IP_TRAFFIC), settings.archive, day)
        above = with_removed(store, seen(store, table), settings.archive, day)
    return above.sums == expected_sums(table, below)


def check(settings: Settings) -> None:
    """Nothing waits, roll-ups are what a GROUP BY over all raw rows gives, all files are whole."""
    for table in ROLLUPS:
        assert dirty(settings, table) == []
        assert wrong_rows(settings, table) == []
        assert all(sums_agree(settings, table, day) for day in DAYS)
    for table in TABLES:
        assert not difference(table, settings)
        found = UniversalArchiver(settings).verify(table)
        assert not [wrong for _, wrong in found if wrong]


def drain_all(settings: Settings) -> None:
    with open_store(settings.hot_database) as store:
        roll_up(store, settings)


def countries(settings: Settings, table: Table) -> set[tuple[str, str | None]]:
    return {(one["remote_ip"], one["country"]) for one in rolled_up(settings, table)}


# What the database knows then: countries become one, change places, or are not known any more.
@pytest.mark.parametrize("places", [("IT", "IT"), ("FR", "DE"), ("DE", "ZZ")], ids="-".join)
def test_other_countries_everywhere(house: Settings, places: tuple[str, str]) -> None:
    install(house, *places)
    re_enrich(house)
    assert all(dirty(house, table) == list(DAYS) for table in ROLLUPS)
    drain_all(house)
    check(house)
    wanted = {*zip(REMOTES, places, strict=False), ("8.8.8.8", "ZZ")}
    assert all(countries(house, table) == wanted for table in ROLLUPS)
    for table in TABLES:
        UniversalArchiver(load_settings(archive_grace_hours=0)).archive_table(table, hot_days=0)
    check(house)


def test_nothing_changed_marks_nothing(house: Settings) -> None:
    re_enrich(house)  # rows of the first database get what the second knows
    drain_all(house)
    check(house)
    re_enrich(house)
    assert all(dirty(house, table) == [] for table in ROLLUPS)


def test_late_rows_come_before_the_drain(house: Settings) -> None:
    install(house, "IT", "ES")
    re_enrich(house)
    install(house, "US", "US")
    for day in DAYS:
        land_day(house, day, 3)
    with open_store(house.hot_database) as store:
        load(store, IP_TRAFFIC, house)
    re_enrich(house)
    for day in DAYS:
        land_day(house, day, 4)
    with open_store(house.hot_database) as store:
        load(store, IP_TRAFFIC, house)
    drain_all(house)
    check(house)


def test_a_roll_up_keeps_what_rows_that_have_gone_left_in_it(house: Settings) -> None:
    """Erased below, then looked up again: what is left below does not take its place."""
    UniversalArchiver(house).erase(IP_TRAFFIC, {"remote_ip": "9.0.0.1"})
    for table in ROLLUPS:
        UniversalArchiver(house).erase(table, {"remote_ip": "8.8.8.8"})
    land_day(house, LATE, 3)
    with open_store(house.hot_database) as store:
        load(store, IP_TRAFFIC, house)
        roll_up(store, house)
    kept = {
        table.name: [one for one in rolled_up(house, table) if one["remote_ip"] != "9.1.0.1"]
        for table in ROLLUPS
    }
    install(house, "IT", "IT")
    re_enrich(house)
    drain_all(house)
    for table in ROLLUPS:
        left = [one for one in rolled_up(house, table) if one["remote_ip"] != "9.1.0.1"]
        assert left == kept[table.name]
        assert {one["remote_ip"] for one in wrong_rows(house, table)} == {"9.0.0.1", "8.8.8.8"}
        assert all(sums_agree(house, table, day) for day in DAYS)


def test_a_damaged_file_leaves_its_day_dirty(house: Settings) -> None:
    install(house, "IT", "IT")
    re_enrich(house)
    with open_store(house.hot_database) as store:
        (file,) = live_files(store, seen(store, IP_TRAFFIC), PRUNED)
        path: Path = file.below(house.archive)
        kept = path.read_bytes()
        path.write_bytes(kept[:-9])
        result = drain(store, IP_TRAFFIC_DAILY, house)
        assert list(result.failed) == [clock.day_text(PRUNED)]
        assert waiting_days(store, IP_TRAFFIC_DAILY) == [PRUNED]
        path.write_bytes(kept)
    drain_all(house)
    check(house)


def older(table: Table, keys: int) -> Table:
    """As a release declared it that had only so many of the keys."""
    rollup = table.rollup
    assert rollup
    return rolled_up_from(
        IP_TRAFFIC,
        rollup.bucket,
        by=rollup.first_by,
        also_by=rollup.by[len(rollup.first_by) : keys],
        states=rollup.states,
        hot_days=table.hot_days,
        about="",
    )


@pytest.mark.parametrize("keys", [5, 6], ids=["without unit", "without country"])
def test_roll_ups_of_a_release_without_the_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, keys: int
) -> None:
    before = tuple(older(table, keys) for table in ROLLUPS)
    unplaced = PRUNED - 9
    with monkeypatch.context() as release:
        release.setattr(schema, "TABLES", (IP_TRAFFIC, *before))
        with open_store(settings.hot_database) as store:
            land_day(settings, unplaced, 0)
            load(store, IP_TRAFFIC, settings)  # before there was a database
            fill(store, settings, before)
            columns = "SELECT name FROM pragma_table_info('ip_traffic_daily')"
            assert ("country",) not in store.execute(columns).fetchall()
    for table in ROLLUPS:
        assert dirty(settings, table) == list(DAYS)
    with open_store(settings.hot_database) as store:
        land_day(settings, HOT, 3)
        load(store, IP_TRAFFIC, settings)
    drain_all(settings)
    check(settings)
    for table in ROLLUPS:
        assert ("9.1.0.1", "FR") in countries(settings, table)
        assert ("9.1.0.1", None) in countries(settings, table)
