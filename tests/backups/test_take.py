"""A backup has everything, as of moments between which nothing is lost, or is not there."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.backups import record
from gateway_assets.backups.bring import bring
from gateway_assets.backups.prove import prove
from gateway_assets.backups.record import backups_in, read_record
from gateway_assets.backups.sqlite import copy_database, opened_copy, rows_by_table
from gateway_assets.backups.take import alone, take
from gateway_assets.errors import BackupError, Busy
from gateway_assets.frames.log import open_log
from gateway_assets.frames.reading import segments
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store, writing
from gateway_assets.points.expire import expire_loaded
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC
from tests.backups.filled import (
    LOADED,
    WAITING,
    declare_user_table,
    everything,
    left,
    load_points,
    write_points,
)
from tests.traffic import TODAY, land_rows

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


def test_what_is_in_a_backup(filled: Settings, tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("backup_keep = 5\n")
    (tmp_path / ".env").write_text("GATEWAY_NOTIFY_URL=https://secret.example\n")
    declare_user_table(filled, tmp_path / "bot.db", 25)
    done = read_record(take(filled).path)
    kinds = {part.path: part.kind for part in done.parts}
    (elsewhere,) = (path for path in kinds if path.startswith("elsewhere/"))
    assert {path for path, kind in kinds.items() if kind == record.SQLITE} == {
        "data/hot.db",
        "data/points.db",
        elsewhere,
    }
    assert kinds["config/gateway.toml"] == kinds["data/tables.toml"] == record.CONFIG
    assert "config/.env" not in kinds
    assert len(done.of_kind(record.LANDING)) == 1
    rows = {part.path: part.rows for part in done.parts}
    assert rows[elsewhere] == {"jobs": 25}
    assert rows["data/points.db"]["points"] == 10
    assert {entry.path for entry in done.entries()} == {
        str(path.relative_to(filled.data_dir)) for path in filled.archive.rglob("*.parquet")
    }
    with_secrets = take(filled, with_secrets=True)
    assert "config/.env" in {part.path for part in with_secrets.parts}
    assert {oct(path.stat().st_mode & 0o077) for path in done.path.rglob("*.db")} == {"0o0"}
    assert (done.path.stat().st_mode & 0o777, done.left_out) == (0o700, [])


def test_a_transaction_is_never_half_in_it(filled: Settings) -> None:
    """Two tables get a row each in one transaction, as fast as a writer can."""
    stopped, started = threading.Event(), threading.Event()
    written: list[int] = []

    def write() -> None:
        with closing(sqlite3.connect(filled.registry_database, isolation_level=None)) as own:
            own.execute("PRAGMA journal_mode=WAL")
            own.execute("CREATE TABLE one (n INTEGER, filler TEXT)")
            own.execute("CREATE TABLE two (n INTEGER, filler TEXT)")
            while not stopped.is_set():
                with writing(own):
                    own.execute("INSERT INTO one VALUES (?, ?)", (len(written), "x" * 3000))
                    own.execute("INSERT INTO two VALUES (?, ?)", (len(written), "x" * 3000))
                written.append(1)
                started.set()

    writer = threading.Thread(target=write)
    writer.start()
    started.wait(30)
    try:
        before = len(written)
        done = [take(filled) for _ in range(3)]
        after = len(written)
    finally:
        stopped.set()
        writer.join()
    counts = []
    for one in done:
        with opened_copy(one.path / "data" / "gateway.db") as copy:
            query = "SELECT (SELECT count(*) FROM one), (SELECT count(*) FROM two)"
            counts += copy.execute(query).fetchall()
    assert all(one == two for one, two in counts)
    assert before <= counts[0][0] < counts[-1][0] <= after + 1


def test_commits_do_not_make_a_copy_begin_again(filled: Settings) -> None:
    """A database of several steps, with a commit after each of them."""
    with closing(sqlite3.connect(filled.registry_database, isolation_level=None)) as own:
        own.execute("PRAGMA journal_mode=WAL")
        own.execute("CREATE TABLE devices (id INTEGER PRIMARY KEY, filler BLOB)")
        own.executemany(
            "INSERT INTO devices (filler) VALUES (?)", [(bytes(2**20),) for _ in range(30)]
        )
        shares = []

        def commit(share: float) -> None:
            own.execute("INSERT INTO devices (filler) VALUES (?)", (bytes(5000),))
            shares.append(share)
            assert len(shares) < 20

        target = filled.data_dir / "copy"
        copy_database(filled.registry_database, target, commit)
        assert shares == sorted(shares)
        assert len(shares) > 2
        with opened_copy(target) as copy:
            assert rows_by_table(copy) == {"devices": 30}


def test_how_far_others_were_read_is_in_it(filled: Settings) -> None:
    """Of pulled tables and of clusters; and Dagster's history."""
    small = {
        "pulls/plant.json": b'{"until": 1}',
        "collect/journal.json": b'{"tick": 2}',
        "archive/receipts/erased.json": b"{}",
    }
    for name, content in small.items():
        path = filled.data_dir / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
    runs = filled.dagster_home / "history" / "runs" / "index.db"
    runs.parent.mkdir(parents=True)
    with closing(sqlite3.connect(runs)) as connection, connection:
        connection.execute("CREATE TABLE event_logs (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO event_logs DEFAULT VALUES")
    done = take(filled)
    found = {part.path: part for part in done.parts}
    for name, content in small.items():
        assert (done.path / "data" / name).read_bytes() == content
        assert found[f"data/{name}"].kind == record.STATE
    assert found["data/dagster/history/runs/index.db"].rows == {"event_logs": 1}
    assert found["data/archive/databases/ip_traffic.json"].kind == record.STATE


def test_what_is_loaded_and_removed_meanwhile_is_in_it(filled: Settings, tmp_path: Path) -> None:
    """The order matters: rows that wait are loaded, archived files replaced, in the middle of it,
    and what they came from goes at once.
    """
    at_once = load_settings(landing_keep_hours=0, frames_keep_hours=0)
    steps = iter(("hot.db is copied", "points.db is copied"))

    def interfere(done: int, total: int) -> None:
        match next(steps, ""):
            case "hot.db is copied":
                with open_store(at_once.hot_database) as connection:
                    load(connection, IP_TRAFFIC, at_once)
                assert not list(at_once.landing.rglob("*.ndjson"))
            case "points.db is copied":
                load_points(at_once)
                write_points(at_once, range(15, 16))
                load_points(at_once)
                assert expire_loaded(at_once)
                assert len(segments(at_once.frames / "a")) == 1

    done = take(at_once, progress=interfere)
    restored = bring(done, tmp_path / "restored", filled).path
    traffic, values = everything(load_settings(data_dir=restored))
    assert traffic[0]["n"] == LOADED + WAITING
    assert values == [float(n) for n in range(16)]


def test_files_that_the_archiver_replaced_meanwhile(filled: Settings) -> None:
    """The manifest that was copied names a file that has gone: the database is copied again.

    Another goes after it was taken by the first try: it is not in the backup.
    """
    days = iter((TODAY - 9, TODAY - 8))

    def interfere(done: int, total: int) -> None:
        for day in islice(days, 1):
            land_rows(filled.landing, day, 70, 10)
            with open_store(filled.hot_database) as connection:
                load(connection, IP_TRAFFIC, filled)
            UniversalArchiver(filled).archive_table(IP_TRAFFIC)
            UniversalArchiver(filled).compact(IP_TRAFFIC)

    done = take(filled, archive="link", progress=interfere)
    assert done.left_out == []
    names = {entry.path for entry in done.entries()}
    there = {str(path.relative_to(done.path / "data")) for path in done.path.rglob("*.parquet")}
    assert (
        names
        == there
        == {str(path.relative_to(filled.data_dir)) for path in filled.archive.rglob("*.parquet")}
    )
    prove(done, filled)


def test_killed_in_the_middle(filled: Settings) -> None:
    """Killed at twenty places: nothing half appears, and the next one works."""
    older = take(filled)
    prove(older, filled)
    calls = _backup_of_a_child(filled, 0)
    kills = [_backup_of_a_child(filled, at) for at in range(50, calls, calls // 20)]
    assert kills.count(-signal.SIGKILL) >= 19
    complete = backups_in(filled.backups)
    assert len(complete) <= 3  # two that were made, and one that was killed when it was there
    for path in complete:
        prove(read_record(path), filled)
    last = take(filled)
    names = {path.name for path in (*complete, last.path)}
    assert {name for name in left(filled.backups) if not name.startswith("hot-")} == names


def _backup_of_a_child(settings: Settings, at: int) -> int:
    """Back up in a process of its own, which kills itself at a call of a function, counted from 1.

    Returns how many calls it made, or minus the signal that ended it.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        calls = 0

        def count(frame: FrameType, event: str, arg: Any) -> None:
            nonlocal calls
            calls += event in {"call", "c_call"}
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.setprofile(count)
            take(settings)
            sys.setprofile(None)
            os.write(write, str(calls).encode())
        finally:
            os._exit(0)
    os.close(write)
    _, status = os.waitpid(child, 0)
    with os.fdopen(read) as pipe:
        return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else int(pipe.read())


def test_two_backups_do_not_run_at_once(filled: Settings) -> None:
    with alone(filled, filled.backups), pytest.raises(Busy, match="a backup is already running"):
        take(filled)


def test_older_ones_go_but_never_the_last_that_was_proven(filled: Settings) -> None:
    keeping = load_settings(backup_keep=2)
    proven = take(keeping)
    prove(proven, keeping)
    others = [take(keeping) for _ in range(4)]
    assert backups_in(keeping.backups) == [proven.path, others[-2].path, others[-1].path]
    prove(others[-1], keeping)
    newest = take(keeping)
    assert backups_in(keeping.backups) == [others[-1].path, newest.path]


def test_a_failure_leaves_the_older_ones_alone(filled: Settings) -> None:
    keeping = load_settings(backup_keep=1)
    one = take(keeping)
    before = left(keeping.backups)
    filled.registry_database.write_bytes(b"this is not a database at all" * 100)
    with pytest.raises(BackupError, match=r"no backup was made: .*gateway\.db: file is not a"):
        take(keeping)
    assert left(keeping.backups) == before
    assert backups_in(keeping.backups) == [one.path]


def test_a_log_in_rocksdb_is_refused(filled: Settings) -> None:
    pytest.importorskip("rocksdict")
    open_log(filled.frames / "rocks", backend="rocksdb").close()
    with pytest.raises(BackupError, match="only its writer can copy"):
        take(filled)


@contextmanager
def disk(path: Path, size: str) -> Iterator[Path]:
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


@needs_root
def test_a_disk_that_is_too_small(filled: Settings, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "32m") as small:
        with pytest.raises(BackupError, match=r"no backup was made: the backup may need .* MiB"):
            take(filled, to=small)
        assert left(small) == set()


@needs_root
def test_a_disk_that_fills_meanwhile(filled: Settings, tmp_path: Path) -> None:
    with disk(tmp_path / "small", "80m") as small:
        older = take(filled, to=small)

        def fill_up(done: int, total: int) -> None:
            with (small / "filler").open("ab", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(2**16))
                except OSError:
                    pass

        with pytest.raises(BackupError, match=r"no backup was made: .*(full|No space)") as refused:
            take(load_settings(backup_keep=1), to=small, progress=fill_up)
        assert "free space" in refused.value.hint
        assert left(small) == {older.name, "filler"}
        (small / "filler").unlink()
        prove(older, filled)
        again = take(load_settings(backup_keep=1), to=small)
        assert backups_in(small) == [older.path, again.path]


def test_copies_of_archived_files_are_made_once(filled: Settings, tmp_path: Path) -> None:
    first = take(filled, to=tmp_path / "to", archive="copy")
    second = take(filled, to=tmp_path / "to", archive="copy")
    names = [entry.path for entry in first.entries()]
    assert names
    for name in names:
        one, two = first.path / "data" / name, second.path / "data" / name
        assert one.samefile(two)
        assert not one.samefile(filled.data_dir / name)
    assert json.loads((first.path / "backup.json").read_text())["archive"] == "copy"


def test_a_missing_archived_file_is_told_and_the_rest_is_taken(filled: Settings) -> None:
    gone = min(filled.archive.rglob("*.parquet"))
    gone.unlink()
    done = take(filled)
    assert done.left_out == [f"{gone} is missing"]
    with pytest.raises(BackupError, match=f"{gone.name} is missing"):
        prove(done, filled)
