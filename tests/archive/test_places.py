"""Places of addresses in both tiers: as rows are loaded, and when they are looked up again."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.manifest import live_files
from gateway_assets.archive.places import Replaced
from gateway_assets.archive.prune import prune
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.reconcile import difference
from gateway_assets.errors import ConfigError
from gateway_assets.files.landing import Stamp, land
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.hot.load import LoadResult, load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.table import from_source
from gateway_assets.tables import IP_TRAFFIC, IP_TRAFFIC_DAILY, IP_TRAFFIC_HOURLY
from tests.mmdb import write_mmdb
from tests.traffic import ORIGIN, TODAY, roll_up, row, seen

CASES = Path(__file__).parents[1] / "cases" / "geoip"
REMOTES = ("9.0.0.1", "9.1.0.1", "8.8.8.8", "192.168.1.1")
ROWS = 24  # of a landing file, of all remotes in turn
OLD_DAYS = range(TODAY - 12, TODAY - 9)
ALL_DAYS = range(TODAY - 30, TODAY + 1)

Place = tuple[Any, ...]
NULLS: Place = (None, None, None, None)
UNKNOWN: Place = ("ZZ", None, None, None)


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")


def install(settings: Settings, country: str) -> None:
    """A database that knows two of the remotes."""
    records = {
        "9.0.0.0/16": {"country_code": country, "state1": "North", "city": f"{country} City"},
        "9.1.0.0/16": {"country_code": country},
        "8.0.0.0/8": {"latitude": "unknown"},
    }
    write_mmdb(settings.data_dir / "geoip" / "city.mmdb", records)


def places(country: str) -> dict[str, Place]:
    return {
        "9.0.0.1": (country, "North", f"{country} City", None),
        "9.1.0.1": (country, None, None, None),
        "8.8.8.8": UNKNOWN,
        "192.168.1.1": UNKNOWN,
    }


NOT_LOOKED_UP = dict.fromkeys(REMOTES, NULLS)


def land_and_load(settings: Settings, days: range, sequence: int = 0) -> LoadResult:
    for day in days:
        rows = []
        for number in range(ROWS):
            made = row(day, sequence * ROWS + number)
            rows.append((*made[:6], REMOTES[number % len(REMOTES)], *made[7:]))
        land(settings.landing, SOURCE, Stamp(ORIGIN, day * clock.DAY + sequence, sequence), rows)
    with open_store(settings.hot_database) as connection:
        result = load(connection, IP_TRAFFIC, settings)
        roll_up(connection, settings)
    return result


def answered(settings: Settings, days: range = ALL_DAYS) -> Counter[tuple[str, Place]]:
    """How many rows the bridge answers of each remote at each place."""
    start, end = clock.iso(days[0] * clock.DAY), clock.iso((days[-1] + 1) * clock.DAY)
    found = UnifiedQueryBridge(settings).rows(
        "SELECT remote_ip, country, province, city, isp, count(*) AS n FROM ip_traffic "
        f"WHERE time >= '{start}' AND time < '{end}' GROUP BY ALL"
    )
    return Counter({(r["remote_ip"], tuple(r.values())[1:5]): r["n"] for r in found})


def wanted(known: dict[str, Place], files: int) -> Counter[tuple[str, Place]]:
    each = ROWS // len(REMOTES) * files
    return Counter(dict.fromkeys(known.items(), each))


def check(settings: Settings) -> None:
    """Every row once, every file whole, roll-ups as they were."""
    assert not difference(IP_TRAFFIC, settings)
    assert not difference(IP_TRAFFIC_DAILY, settings)
    assert not [wrong for _, wrong in UniversalArchiver(settings).verify("ip_traffic") if wrong]


def archive(settings: Settings) -> None:
    result = UniversalArchiver(settings).archive_table("ip_traffic")
    result.raise_failures()


def replaced(settings: Settings, days: range = ALL_DAYS, *, dry_run: bool = False) -> Replaced:
    geoip = GeoIP(settings.geoip_paths, settings.geo_language)
    archiver = UniversalArchiver(settings)
    result = archiver.replace_places("ip_traffic", geoip, days, dry_run=dry_run)
    result.raise_failures()
    return result


def test_rows_get_places_when_they_are_loaded(settings: Settings) -> None:
    day = range(TODAY, TODAY + 1)
    land_and_load(settings, day)
    assert answered(settings) == wanted(NOT_LOOKED_UP, 1)
    install(settings, "DE")
    result = land_and_load(settings, day, 1)
    assert (result.rows, result.geoip_problems, result.failed_lookups) == (ROWS, [], 0)
    assert answered(settings) == wanted(NOT_LOOKED_UP, 1) + wanted(places("DE"), 1)
    check(settings)


def test_a_damaged_database_stops_no_loading(settings: Settings) -> None:
    folder = settings.data_dir / "geoip"
    folder.mkdir(parents=True)
    for case in ("Invalid-Node-Count", "Broken-Double-Format"):
        source = CASES / f"GeoIP2-City-Test-{case}.mmdb"
        (folder / source.name).write_bytes(source.read_bytes())
    rows = [
        (*row(TODAY, 0)[:6], remote, *row(TODAY, 0)[7:]) for remote in ("2001:220::", "9.9.9.9")
    ]
    land(settings.landing, SOURCE, Stamp(ORIGIN, TODAY * clock.DAY, 0), rows)
    with open_store(settings.hot_database) as connection:
        result = load(connection, IP_TRAFFIC, settings)
    (problem,) = result.geoip_problems
    assert "Invalid-Node-Count" in problem
    assert (result.rows, result.failed_lookups) == (2, 1)
    assert set(answered(settings)) == {("2001:220::", UNKNOWN), ("9.9.9.9", UNKNOWN)}


def test_the_language_of_names_is_a_setting(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = CASES / "GeoIP2-City-Test.mmdb"
    monkeypatch.setenv("GATEWAY_GEOIP_DATABASES", f'["{city}"]')
    monkeypatch.setenv("GATEWAY_GEO_LANGUAGE", "zh-CN")
    made = row(TODAY, 0)
    land(
        settings.landing,
        SOURCE,
        Stamp(ORIGIN, TODAY * clock.DAY, 0),
        [(*made[:6], "175.16.199.1", *made[7:])],
    )
    with open_store(settings.hot_database) as connection:
        load(connection, IP_TRAFFIC, load_settings())
    assert set(answered(settings)) == {("175.16.199.1", ("CN", "吉林", "长春", None))}


@contextmanager
def the_release_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The declarations as they were without places."""
    before = from_source(SOURCE, hot_days=7)
    tables = (before, IP_TRAFFIC_HOURLY, IP_TRAFFIC_DAILY)
    with monkeypatch.context() as patch:
        for module in ("gateway_assets.hot.schema", "gateway_assets.tiers.catalog"):
            patch.setattr(f"{module}.TABLES", tables)
        patch.setattr("tests.traffic.TABLES", tables)
        patch.setitem(globals(), "IP_TRAFFIC", before)
        yield


def test_rows_and_files_of_the_release_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    long_ago = range(TODAY - 75, TODAY - 72)  # of a month that is over, which gets a copy
    with the_release_before(monkeypatch):
        for days in (long_ago, OLD_DAYS, range(TODAY, TODAY + 1)):
            land_and_load(settings, days)
        archive(settings)
        with sqlite3.connect(settings.hot_database) as connection:
            columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(ip_traffic)")]
        connection.close()
        assert "country" not in columns
    with open_store(settings.hot_database) as connection:
        files = live_files(connection, seen(connection, IP_TRAFFIC))
        assert len(files) == len(long_ago) + len(OLD_DAYS)
    assert answered(settings, range(TODAY - 80, TODAY + 1)) == wanted(NOT_LOOKED_UP, 7)
    install(settings, "DE")
    land_and_load(settings, OLD_DAYS, 1)  # late rows beside files of the older shape
    both = wanted(NOT_LOOKED_UP, 3) + wanted(places("DE"), 3)
    assert answered(settings, OLD_DAYS) == both
    archive(settings)
    check(settings)
    assert answered(settings, OLD_DAYS) == both
    UniversalArchiver(settings).restore("ip_traffic", [OLD_DAYS[0]], hold_days=0)
    assert answered(settings, OLD_DAYS) == both
    archive(settings)
    everything = range(TODAY - 80, TODAY + 1)
    assert replaced(settings, everything).archived_rows == 5 * ROWS + ROWS
    assert answered(settings, everything) == wanted(places("DE"), 10)
    archive(settings)  # makes the files of a day one, and copies of the month
    check(settings)
    assert answered(settings, everything) == wanted(places("DE"), 10)
    with open_store(settings.hot_database) as connection:
        files = live_files(connection, seen(connection, IP_TRAFFIC))
    assert len({file.schema_version for file in files}) == 1
    assert len(files) == len(long_ago) + len(OLD_DAYS)


def test_a_newer_database_is_asked_again(settings: Settings) -> None:
    install(settings, "DE")
    land_and_load(settings, OLD_DAYS)
    land_and_load(settings, range(TODAY, TODAY + 1))
    archive(settings)
    install(settings, "FR")
    asked = (OLD_DAYS[0], OLD_DAYS[1])
    some = range(asked[0], asked[1] + 1)
    changing = ROWS // 2  # of each day: two of four remotes are known
    would = replaced(settings, some, dry_run=True)
    assert (would.days, would.hot_rows, would.archived_rows) == (2, 0, 2 * changing)
    assert answered(settings) == wanted(places("DE"), 4)
    assert replaced(settings, some).archived_rows == 2 * changing
    assert answered(settings, some) == wanted(places("FR"), 2)
    assert answered(settings) == wanted(places("FR"), 2) + wanted(places("DE"), 2)
    check(settings)
    rest = replaced(settings)
    assert (rest.hot_rows, rest.archived_rows, rest.files) == (changing, changing, 1)
    again = replaced(settings)
    assert (again.hot_rows, again.archived_rows, again.files) == (0, 0, 0)
    assert answered(settings) == wanted(places("FR"), 4)
    check(settings)


@pytest.mark.parametrize("pruned", [False, True])
def test_days_whose_hot_copies_are_still_there(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, pruned: bool
) -> None:
    install(settings, "DE")
    land_and_load(settings, OLD_DAYS)
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "24")
    waiting = load_settings()
    archive(waiting)
    with UniversalArchiver(waiting)._working("ip_traffic") as source:
        files = live_files(source.connection, source.table)
        assert {file.state for file in files} == {"published"}
        if pruned:
            source.pace.rows = 7
            assert next(prune(source, files[0])).rows == 7
    install(settings, "FR")
    result = replaced(waiting)
    assert result.taken_back == [clock.day_text(day) for day in OLD_DAYS]
    assert result.hot_rows + result.archived_rows == len(OLD_DAYS) * ROWS // 2
    assert bool(result.archived_rows) == pruned
    assert answered(settings) == wanted(places("FR"), 3)
    check(settings)
    archive(settings)
    assert answered(settings) == wanted(places("FR"), 3)
    check(settings)


def test_without_a_whole_database_nothing_changes(settings: Settings) -> None:
    install(settings, "DE")
    land_and_load(settings, OLD_DAYS)
    archive(settings)
    database = settings.data_dir / "geoip" / "city.mmdb"
    database.write_bytes(b"half")
    with pytest.raises(ConfigError, match="no whole database"):
        replaced(settings)
    database.write_bytes((CASES / "bad" / "libmaxminddb-deep-nesting.mmdb").read_bytes())
    for dry_run in (True, False):
        with pytest.raises(ConfigError, match="damaged"):
            replaced(settings, dry_run=dry_run)
    database.unlink()
    with pytest.raises(ConfigError, match="no GeoIP database"):
        replaced(settings)
    assert answered(settings) == wanted(places("DE"), 3)
    check(settings)
