"""Landing files become rows once and only once, whatever is loaded, by whom and how often."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway_assets import clock
from gateway_assets.archive.totals import files_that_differ, loaded
from gateway_assets.errors import Busy, StoreError
from gateway_assets.files.landing import Stamp, land, landing_files
from gateway_assets.hot.ledger import least_coverage
from gateway_assets.hot.load import load, pending
from gateway_assets.hot.quarantine import REASON, quarantined
from gateway_assets.hot.store import open_store, translated
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import ORIGIN, TODAY, land_days, land_rows, row, total


def rows_of(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    """Everything but the ids, which depend on the order of loading."""
    names = ", ".join(column.name for column in IP_TRAFFIC.columns)
    query = f"SELECT {names} FROM ip_traffic ORDER BY time, remote_ip, process"
    return connection.execute(query).fetchall()


def test_rows_ledger_and_sums_agree(store: sqlite3.Connection, settings: Settings) -> None:
    land_days(settings.landing, range(TODAY - 1, TODAY + 1))
    result = load(store, IP_TRAFFIC, settings)
    assert (len(result.files), result.rows) == (6, 240)
    assert loaded(store, IP_TRAFFIC) == total(store, IP_TRAFFIC)
    assert total(store, IP_TRAFFIC).sums["tx_bytes"] == 240_000
    assert not files_that_differ(store, IP_TRAFFIC, result.files)
    assert not pending(store, SOURCE, settings.landing)


def test_a_row_that_changed_after_loading_is_noticed(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_rows(settings.landing, TODAY, 0, 5)
    result = load(store, IP_TRAFFIC, settings)
    store.execute("UPDATE ip_traffic SET tx_bytes = tx_bytes + 1 WHERE id = 3")
    assert files_that_differ(store, IP_TRAFFIC, result.files) == result.files


def test_loading_again_changes_nothing(store: sqlite3.Connection, settings: Settings) -> None:
    land_days(settings.landing, range(TODAY, TODAY + 1))
    load(store, IP_TRAFFIC, settings)
    before = rows_of(store)
    again = load(store, IP_TRAFFIC, settings)
    assert (again.files, again.rows) == ([], 0)
    assert rows_of(store) == before


def test_a_damaged_file_goes_aside_and_stops_nothing(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_days(settings.landing, range(TODAY, TODAY + 1), files=3)
    first, damaged, last = landing_files(settings.landing, SOURCE)
    damaged.write_bytes(damaged.read_bytes()[:-30])
    result = load(store, IP_TRAFFIC, settings)
    assert result.files == [first.name.removesuffix(".ndjson"), last.name.removesuffix(".ndjson")]
    (moved,) = quarantined(settings.quarantine / "ip_traffic")
    assert moved.name.endswith(damaged.name)
    assert "footer" in moved.with_name(moved.name + REASON).read_text()
    assert not damaged.exists()


def test_another_file_under_a_loaded_name_goes_aside(
    store: sqlite3.Connection, settings: Settings
) -> None:
    first = land_rows(settings.landing, TODAY, 0, 3)
    load(store, IP_TRAFFIC, settings)
    first.path.unlink()
    second = land_rows(settings.landing, TODAY, 0, 4, sent=7)
    assert second.name == first.name
    (reason,) = load(store, IP_TRAFFIC, settings).quarantined
    assert "another file of this name" in reason
    assert len(rows_of(store)) == 3
    assert len(quarantined(settings.quarantine / "ip_traffic")) == 1


def test_the_same_file_compressed_is_loaded_once(
    store: sqlite3.Connection, settings: Settings
) -> None:
    first = land_rows(settings.landing, TODAY, 0, 30)
    load(store, IP_TRAFFIC, settings)
    packed = first.path.with_suffix(".ndjson.gz")
    packed.write_bytes(gzip.compress(first.path.read_bytes()))
    result = load(store, IP_TRAFFIC, settings)
    assert (result.already_loaded, result.quarantined, packed.exists()) == (1, [], False)
    assert not pending(store, SOURCE, settings.landing)
    assert len(rows_of(store)) == 30


def test_names_that_are_not_text_or_too_long_stop_nothing(
    store: sqlite3.Connection, settings: Settings
) -> None:
    good = land_rows(settings.landing, TODAY, 0, 3)
    for name in (b"\xff.ndjson", b"x" * 240 + b".ndjson"):
        with open(os.fsencode(good.path.parent) + b"/" + name, "wb") as file:  # noqa: PTH123  not UTF-8
            file.write(b"rubbish")
    result = load(store, IP_TRAFFIC, settings)
    assert (result.rows, len(result.quarantined)) == (3, 2)
    assert not pending(store, SOURCE, settings.landing)


def test_loaded_files_are_removed_after_their_time_only(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    land_rows(settings.landing, TODAY, 0, 3)
    assert load(store, IP_TRAFFIC, settings).removed == 0
    monkeypatch.setenv("GATEWAY_LANDING_KEEP_HOURS", "0")
    land_rows(settings.landing, TODAY, 1, 3)
    result = load(store, IP_TRAFFIC, load_settings())
    assert (len(result.files), result.removed) == (1, 2)
    assert not list(landing_files(settings.landing, SOURCE))
    assert len(rows_of(store)) == 6


def test_ids_are_never_used_twice(store: sqlite3.Connection, settings: Settings) -> None:
    land_rows(settings.landing, TODAY, 0, 5)
    load(store, IP_TRAFFIC, settings)
    store.execute("DELETE FROM ip_traffic")
    land_rows(settings.landing, TODAY, 1, 5)
    load(store, IP_TRAFFIC, settings)
    assert store.execute("SELECT min(id) FROM ip_traffic").fetchone() == (6,)


def test_many_processes_load_the_same_files_once(settings: Settings) -> None:
    land_days(settings.landing, range(TODAY - 2, TODAY + 1), files=20, rows=20)
    command = [str(Path(sys.executable).with_name("gateway")), "load", "--json"]
    loaders = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(4)]
    assert [loader.communicate() and loader.returncode for loader in loaders] == [0] * 4
    with open_store(settings.hot_database) as connection:
        assert len(rows_of(connection)) == 3 * 20 * 20
        assert loaded(connection, IP_TRAFFIC) == total(connection, IP_TRAFFIC)


FILES = 6


@hypothesis_settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, FILES - 1), max_size=8), max_size=6))
def test_any_order_and_repetition_gives_the_same_rows(
    tmp_path_factory: pytest.TempPathFactory, arrivals: list[list[int]]
) -> None:
    """Files arrive in any groups, come again after they went, and are loaded after each group."""
    folder = tmp_path_factory.mktemp("ledger")
    own = load_settings(data_dir=folder / "data")
    made = [land_rows(folder / "made", TODAY - n % 3, n, 5) for n in range(FILES)]
    with open_store(own.hot_database) as connection:
        for group in arrivals:
            for number in group:
                target = own.landing / made[number].path.relative_to(folder / "made")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(made[number].path, target)
            load(connection, IP_TRAFFIC, own)
        seen = {number for group in arrivals for number in group}
        found = total(connection, IP_TRAFFIC)
        assert found == loaded(connection, IP_TRAFFIC)
        assert found.rows == 5 * len(seen)
        assert found.sums["rx_bytes"] == sum(made[number].sums["rx_bytes"] for number in seen)


def test_a_locked_database_is_said_to_be_busy(
    settings: Settings, store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    land_rows(settings.landing, TODAY, 0, 1)
    with sqlite3.connect(settings.hot_database, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        store.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(Busy, match="try again"), translated(settings.hot_database):
            load(store, IP_TRAFFIC, settings)
        other.execute("ROLLBACK")
    other.close()
    assert load(store, IP_TRAFFIC, settings).rows == 1


def test_a_file_that_is_no_database_is_explained(settings: Settings) -> None:
    settings.data_dir.mkdir()
    settings.hot_database.write_bytes(b"this is a text file, not a database" * 100)
    with pytest.raises(StoreError, match="not a SQLite file"), open_store(settings.hot_database):
        pass


def test_an_empty_table_of_an_older_release_is_made_anew(settings: Settings) -> None:
    with open_store(settings.hot_database) as connection:
        connection.execute("ALTER TABLE latency_histogram RENAME COLUMN buckets TO bucket")
    with open_store(settings.hot_database) as connection:
        query = "SELECT name FROM pragma_table_info('latency_histogram')"
        assert ("buckets",) in connection.execute(query).fetchall()
        connection.execute("INSERT INTO latency_histogram VALUES (NULL, 1, 'a', 1, '{}')")
        connection.execute("ALTER TABLE latency_histogram RENAME COLUMN buckets TO bucket")
    with pytest.raises(StoreError, match="other columns"), open_store(settings.hot_database):
        pass


def test_other_columns_than_declared_are_refused(settings: Settings) -> None:
    with open_store(settings.hot_database) as connection:
        connection.execute("ALTER TABLE ip_traffic ADD COLUMN more TEXT")
    with pytest.raises(StoreError, match="other columns"), open_store(settings.hot_database):
        pass


def test_the_least_coverage_is_found(store: sqlite3.Connection, settings: Settings) -> None:
    told: list[dict[str, object]] = [{"coverage": 1.0}, {"coverage": 0.25}, {"coverage": "x"}, {}]
    for number, facts in enumerate(told):
        stamp = Stamp(ORIGIN, TODAY * clock.DAY, number)
        land(settings.landing, SOURCE, stamp, [row(TODAY, number)], facts=facts)
    load(store, IP_TRAFFIC, settings)
    least = least_coverage(store, IP_TRAFFIC, 0)
    assert least
    assert least[0] == 0.25
    assert least[1].endswith("-000001")
    assert least_coverage(store, IP_TRAFFIC, clock.now() + clock.DAY) is None


def test_a_ledger_of_an_older_release_learns_of_facts(
    store: sqlite3.Connection, settings: Settings
) -> None:
    store.execute("ALTER TABLE loaded_files DROP COLUMN facts")
    with open_store(settings.hot_database) as again:
        land_rows(settings.landing, TODAY, 0, 5)
        assert load(again, IP_TRAFFIC, settings).rows == 5


def test_a_table_of_an_older_release_gets_the_columns_that_came_since(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_rows(settings.landing, TODAY, 0, 5)
    load(store, IP_TRAFFIC, settings)
    before = rows_of(store)
    for column in reversed(IP_TRAFFIC.columns[11:]):
        store.execute(f"ALTER TABLE ip_traffic DROP COLUMN {column.name}")
    with open_store(settings.hot_database) as again:
        assert rows_of(again) == before
        again.execute("ALTER TABLE ip_traffic DROP COLUMN rx_bytes")
    with pytest.raises(StoreError, match="other columns"), open_store(settings.hot_database):
        pass
