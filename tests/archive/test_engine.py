"""Days go to Parquet and come back, and every row is answered once all the while."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from gateway_assets import clock
from gateway_assets.archive import export
from gateway_assets.archive.engine import UniversalArchiver, lock_of, set_aside
from gateway_assets.archive.manifest import live_files
from gateway_assets.bridge.reconcile import difference
from gateway_assets.errors import ArchiveDamaged, ArchiveError, Busy
from gateway_assets.files.landing import Row
from gateway_assets.files.lock import exclusive
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC
from gateway_assets.tiers.catalog import find
from tests.traffic import TODAY, land_days, land_rows, roll_up, seen

OLD = range(TODAY - 10, TODAY - 7)


@pytest.fixture
def archiver(store: sqlite3.Connection, settings: Settings) -> UniversalArchiver:
    fill(store, settings)
    return UniversalArchiver(settings)


def fill(store: sqlite3.Connection, settings: Settings) -> None:
    land_days(settings.landing, range(TODAY - 10, TODAY + 1))
    load(store, IP_TRAFFIC, settings)
    roll_up(store, settings)


def hot_rows(store: sqlite3.Connection) -> list[Row]:
    return store.execute("SELECT * FROM ip_traffic ORDER BY id").fetchall()


def test_the_tree_is_hive_and_any_tool_reads_it(
    archiver: UniversalArchiver, settings: Settings
) -> None:
    result = archiver.archive_table(IP_TRAFFIC)
    assert result.days == [clock.day_text(day) for day in OLD]
    year, month, day = result.days[0].split("-")
    (file,) = (settings.archive / f"ip_traffic/year={year}/month={month}/day={day}").iterdir()
    column = pq.ParquetFile(file).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    tree = f"{settings.archive}/ip_traffic/*/*/*/*.parquet"
    counted = f"SELECT day, count(*) FROM read_parquet('{tree}') GROUP BY ALL ORDER BY 1"
    assert [rows for _, rows in duckdb.execute(counted).fetchall()] == [120, 120, 120]


def test_hot_copies_stay_hidden_for_the_grace_period_then_go(
    archiver: UniversalArchiver, store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = hot_rows(store)
    assert archiver.archive_table(IP_TRAFFIC).pruned_rows == 0
    assert hot_rows(store) == before
    assert not difference(IP_TRAFFIC, load_settings())
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    assert UniversalArchiver(load_settings()).archive_table(IP_TRAFFIC).pruned_rows == 360
    assert len(hot_rows(store)) == len(before) - 360
    assert not difference(IP_TRAFFIC, load_settings())


def test_running_again_changes_nothing(archiver: UniversalArchiver, settings: Settings) -> None:
    archiver.archive_table(IP_TRAFFIC)
    files = sorted(settings.archive.rglob("*"))
    again = archiver.archive_table(IP_TRAFFIC)
    assert (again.rows, again.files) == (0, [])
    assert sorted(settings.archive.rglob("*")) == files


@pytest.mark.parametrize("grace", ["0", "24"])
def test_a_restored_day_is_as_it_was_and_stays(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, grace: str
) -> None:
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", grace)
    settings = load_settings()
    fill(store, settings)
    archiver = UniversalArchiver(settings)
    before = hot_rows(store)
    archiver.archive_table(IP_TRAFFIC)
    land_rows(settings.landing, OLD[0], 100, 10)
    load(store, IP_TRAFFIC, settings)
    roll_up(store, settings)
    archiver.archive_table(IP_TRAFFIC)
    assert len(live_files(store, seen(store, IP_TRAFFIC), OLD[0])) == 1
    assert archiver.restore(IP_TRAFFIC, [OLD[0]]) == 130
    day = [row for row in hot_rows(store) if clock.day_of(row[1]) == OLD[0]]
    assert day[:120] == [row for row in before if clock.day_of(row[1]) == OLD[0]]
    assert not list(
        (settings.archive / "ip_traffic").glob(f"*/*/day={clock.day_text(OLD[0])[8:]}/*")
    )
    assert "held until" in archiver.archive_table(IP_TRAFFIC).kept[clock.day_text(OLD[0])]
    assert not difference(IP_TRAFFIC, settings)


def test_a_day_held_for_no_time_is_archived_again(archiver: UniversalArchiver) -> None:
    archiver.archive_table(IP_TRAFFIC)
    archiver.restore(IP_TRAFFIC, [OLD[1]], hold_days=0)
    assert archiver.archive_table(IP_TRAFFIC).days == [clock.day_text(OLD[1])]


def test_a_change_of_a_hidden_row_takes_the_publication_back(
    archiver: UniversalArchiver, store: sqlite3.Connection
) -> None:
    archiver.archive_table(IP_TRAFFIC)
    assert len(live_files(store, seen(store, IP_TRAFFIC))) == 3
    store.execute("UPDATE ip_traffic SET pid = 7 WHERE id = 1")
    assert len(live_files(store, seen(store, IP_TRAFFIC))) == 2
    assert not difference(IP_TRAFFIC, load_settings())
    assert archiver.archive_table(IP_TRAFFIC).rows == 120
    store.execute("DELETE FROM ip_traffic WHERE id = 1")
    assert store.execute("SELECT count(*) FROM ip_traffic WHERE id = 1").fetchone() == (1,)
    assert not difference(IP_TRAFFIC, load_settings())


def test_rows_that_change_while_they_are_archived_stay_hot(
    archiver: UniversalArchiver, store: sqlite3.Connection, settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Another connection updates a row after each time the file is written."""
    publish = export._publish

    def change_first(*args: object) -> object:
        with open_store(settings.hot_database) as other:
            other.execute("UPDATE ip_traffic SET pid = ifnull(pid, 0) + 1 WHERE id = 5")
        return publish(*args)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(export, "_publish", change_first)
    result = archiver.archive_table(IP_TRAFFIC, days=[OLD[0]])
    assert "rows changed while" in result.kept[clock.day_text(OLD[0])]
    assert not list(settings.archive.rglob("*.parquet"))
    monkeypatch.undo()
    assert archiver.archive_table(IP_TRAFFIC, days=[OLD[0]]).rows == 120
    (file,) = live_files(store, seen(store, IP_TRAFFIC), OLD[0])
    assert file.columns["pid"]["max"] == 42
    assert file.columns["pid"]["min"] == 3


def test_writers_elsewhere_do_not_stop_the_archive(
    archiver: UniversalArchiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody commits to other days between reading and publication."""
    publish = export._publish

    def write_first(*args: object) -> object:
        with open_store(settings.hot_database) as other:
            other.execute("UPDATE ip_traffic SET pid = 1 WHERE id > 1000")
        return publish(*args)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(export, "_publish", write_first)
    assert archiver.archive_table(IP_TRAFFIC, days=[OLD[0]]).rows == 120


def damages(path: Path) -> Iterator[str]:
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    yield "cut"
    path.write_bytes(whole[:200] + bytes([whole[200] ^ 1]) + whole[201:])
    yield "one bit flipped"
    path.unlink()
    yield "missing"


def test_damaged_files_are_found_named_and_never_restored(
    archiver: UniversalArchiver, settings: Settings
) -> None:
    result = archiver.archive_table(IP_TRAFFIC)
    assert not any(damage for _, damage in archiver.verify(IP_TRAFFIC))
    for kind in damages(settings.archive / result.files[0]):
        found = [path for path, damage in archiver.verify(IP_TRAFFIC) if damage]
        assert found == [result.files[0]], kind
        with pytest.raises(ArchiveDamaged, match=Path(found[0]).name):
            archiver.restore(IP_TRAFFIC, [OLD[0]])


def test_pruning_needs_a_whole_file(
    archiver: UniversalArchiver, store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> None:  # fmt: skip
    result = archiver.archive_table(IP_TRAFFIC)
    (settings.archive / result.files[0]).write_bytes(b"PAR1")
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    before = hot_rows(store)
    pruned = UniversalArchiver(load_settings()).archive_table(IP_TRAFFIC)
    assert list(pruned.failed) == [clock.day_text(OLD[0])]
    assert pruned.pruned_rows == 240, "the other days are not kept waiting"
    with pytest.raises(ArchiveError, match="part-"):
        pruned.raise_failures()
    assert hot_rows(store)[:120] == before[:120]


def test_unknown_files_are_never_answered_and_never_deleted(
    archiver: UniversalArchiver, settings: Settings
) -> None:
    result = archiver.archive_table(IP_TRAFFIC, days=[OLD[0]])
    file = settings.archive / result.files[0]
    (file.parent / "part-orphan.parquet").write_bytes(file.read_bytes())
    (file.parent / ".part-half.parquet.partial").write_bytes(b"half")
    assert not difference(IP_TRAFFIC, settings)
    moved = set_aside(settings, IP_TRAFFIC)
    assert list(file.parent.iterdir()) == [file]
    assert moved == list((settings.archive.parent / "orphans").rglob("*.parquet"))
    assert moved[0].read_bytes() == file.read_bytes()


def test_another_hot_database_is_refused(archiver: UniversalArchiver, settings: Settings) -> None:
    files = archiver.archive_table(IP_TRAFFIC).files
    settings.hot_database.unlink()
    with pytest.raises(ArchiveError, match="belongs to another database"):
        UniversalArchiver(settings).archive_table(IP_TRAFFIC)
    assert all((settings.archive / file).exists() for file in files)


def test_an_older_hot_database_costs_no_archived_row(
    archiver: UniversalArchiver, store: sqlite3.Connection, settings: Settings
) -> None:
    archiver.archive_table(IP_TRAFFIC, days=[OLD[0]])
    older = archiver.backup(IP_TRAFFIC)
    files = archiver.archive_table(IP_TRAFFIC).files
    store.close()
    for ending in ("", "-wal", "-shm"):
        Path(f"{settings.hot_database}{ending}").unlink(missing_ok=True)
    older.rename(settings.hot_database)
    again = archiver.archive_table(IP_TRAFFIC)
    assert sorted(again.set_aside) == sorted(
        str(settings.archive.parent / "orphans" / file) for file in files
    )
    assert again.rows == 240
    assert not difference(IP_TRAFFIC, settings)


def test_rows_stay_while_their_roll_up_does_not_add_up(
    archiver: UniversalArchiver, store: sqlite3.Connection
) -> None:
    store.execute("UPDATE ip_traffic_daily SET tx_bytes = tx_bytes + 1 WHERE id = 1")
    result = archiver.archive_table(IP_TRAFFIC)
    assert "ip_traffic_daily has" in result.failed[clock.day_text(OLD[0])]
    assert result.days == [clock.day_text(day) for day in OLD[1:]]


def test_a_day_that_is_not_archived_cannot_be_restored(archiver: UniversalArchiver) -> None:
    with pytest.raises(ArchiveError, match="nothing of ip_traffic"):
        archiver.restore(IP_TRAFFIC, [OLD[0]])
    assert len(archiver.archive_table(IP_TRAFFIC).days) == 3


def test_one_archiver_at_a_time(
    archiver: UniversalArchiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway_assets.archive.engine.LOCK_WAIT_SECONDS", 0.1)
    lock = lock_of(settings, find(settings, IP_TRAFFIC))
    with exclusive(lock, "the archive"), pytest.raises(Busy, match="already running"):
        archiver.archive_table(IP_TRAFFIC)


def test_days_not_rolled_up_stay(store: sqlite3.Connection, settings: Settings) -> None:
    land_rows(settings.landing, OLD[0], 0, 10)
    load(store, IP_TRAFFIC, settings)
    archiver = UniversalArchiver(settings)
    assert "gateway rollup" in archiver.archive_table(IP_TRAFFIC).kept[clock.day_text(OLD[0])]
    roll_up(store, settings)
    assert archiver.archive_table(IP_TRAFFIC).rows == 10
