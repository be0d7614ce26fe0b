"""The ledger knows every file for ever, also those whose own rows have gone from it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import zlib
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gateway_assets import clock
from gateway_assets.archive.totals import loaded
from gateway_assets.files.landing import Landed, Row, Stamp, land, read_landing
from gateway_assets.hot import ledger
from gateway_assets.hot.counters import counters_that_differ
from gateway_assets.hot.ledger import has_loaded, loaded_since
from gateway_assets.hot.load import load, pending
from gateway_assets.hot.names import divided, packed, unpacked
from gateway_assets.hot.quarantine import quarantined
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources import metrics_snapshots
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import IP_TRAFFIC, METRICS_SNAPSHOTS
from tests.clusters import land_all, snapshot, times
from tests.traffic import ORIGIN, TODAY, land_rows, row, total

FILES = 40
LONG_AGO = 5 * clock.DAY


def age(store: sqlite3.Connection, by: int = LONG_AGO) -> None:
    store.execute("UPDATE loaded_files SET loaded_at = loaded_at - ?", (by,))


def own_rows(store: sqlite3.Connection) -> int:
    (count,) = store.execute("SELECT count(*) FROM loaded_files").fetchone()
    return int(count)


def stored_rows(store: sqlite3.Connection) -> list[Row]:
    """Everything that the landing files have, which is neither ids nor places."""
    names = ", ".join(column.name for column in SOURCE.columns)
    return sorted(store.execute(f"SELECT {names} FROM ip_traffic"), key=repr)


def arrive(file: Path, made: Path, settings: Settings) -> None:
    target = settings.landing / file.relative_to(made)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)


def made_files(root: Path, random: Random) -> list[Path]:
    """Of several writers, in several orders of sequences and times, some of one time or number."""
    files = []
    for number in range(FILES):
        origin = ORIGIN._replace(boot=random.choice(["0badcafe", "12345678"]))
        day = TODAY - random.randrange(3)
        stamp = Stamp(origin, day * clock.DAY + random.randrange(5) * clock.SECOND, number % 7)
        rows = [row(day, random.randrange(2880)) for _ in range(random.randrange(4))]
        try:
            files.append(land(root, SOURCE, stamp, rows).path)
        except FileExistsError:
            continue
    return files


@pytest.mark.parametrize("seed", range(6))
def test_every_file_is_in_once_whatever_was_shortened_when(
    tmp_path: Path, store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    random = Random(seed)
    monkeypatch.setattr(ledger, "AT_ONCE", 3)
    monkeypatch.setenv("GATEWAY_LANDING_KEEP_HOURS", random.choice(["0", "24"]))
    settings = load_settings()
    made = made_files(tmp_path / "made", random)
    seen: set[Path] = set()
    for _ in range(25):
        for file in random.choices(made, k=random.randrange(6)):
            arrive(file, tmp_path / "made", settings)
            seen.add(file)
        assert load(store, IP_TRAFFIC, settings).quarantined == []
        if random.random() < 0.4:
            age(store, random.choice([clock.DAY, LONG_AGO]))
    assert store.execute("SELECT count(*) > 0 FROM loaded_days").fetchone() == (1,)
    rows = [each for file in seen for each in read_landing(file, SOURCE).rows]
    assert stored_rows(store) == sorted(rows, key=repr)
    assert loaded(store, IP_TRAFFIC) == total(store, IP_TRAFFIC)
    assert pending(store, SOURCE, settings.landing) == []


def test_a_file_comes_back_after_years(store: sqlite3.Connection, settings: Settings) -> None:
    file = land_rows(settings.landing, TODAY, 0, 5)
    content = file.path.read_bytes()
    load(store, IP_TRAFFIC, settings)
    age(store)
    assert load(store, IP_TRAFFIC, settings).removed == 1
    assert own_rows(store) == 0
    file.path.write_bytes(content)
    assert pending(store, SOURCE, settings.landing) == [file.path]
    result = load(store, IP_TRAFFIC, settings)
    assert (result.already_loaded, result.quarantined, file.path.exists()) == (1, [], False)
    assert total(store, IP_TRAFFIC).rows == 5


def test_another_file_of_a_name_of_long_ago_goes_aside(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_rows(settings.landing, TODAY, 0, 3)
    load(store, IP_TRAFFIC, settings)
    age(store)
    load(store, IP_TRAFFIC, settings)
    land_rows(settings.landing, TODAY, 0, 4, sent=7)
    (reason,) = load(store, IP_TRAFFIC, settings).quarantined
    assert "another file of this name" in reason
    assert len(quarantined(settings.quarantine / "ip_traffic")) == 1
    assert total(store, IP_TRAFFIC).rows == 3


def test_a_file_that_is_late_for_the_first_time_is_loaded(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """Between others of its writer and day, which were loaded long ago."""
    for sequence in (1, 3):
        land_rows(settings.landing, TODAY - 100, sequence, 5)
    load(store, IP_TRAFFIC, settings)
    age(store)
    land_rows(settings.landing, TODAY - 100, 2, 5)
    assert load(store, IP_TRAFFIC, settings).rows == 5
    age(store)
    load(store, IP_TRAFFIC, settings)
    query = "SELECT rows, length(crc32s) FROM loaded_days"
    assert store.execute(query).fetchall() == [(15, 12)]
    assert loaded(store, IP_TRAFFIC) == total(store, IP_TRAFFIC)


def test_names_of_another_form_are_known_as_well(
    store: sqlite3.Connection, settings: Settings
) -> None:
    """A producer may call its files what it likes, as long as their headers say the same."""
    file = land_rows(settings.landing, TODAY, 0, 2)
    path = file.path.with_name("my-20261120T\n.ndjson")
    lines = file.path.read_bytes().replace(file.name.encode(), b"my-20261120T\\n")
    file.path.unlink()
    path.write_bytes(with_crc(lines))
    content = path.read_bytes()
    assert load(store, IP_TRAFFIC, settings).rows == 2
    age(store)
    load(store, IP_TRAFFIC, settings)
    assert own_rows(store) == 0
    path.write_bytes(content)
    assert load(store, IP_TRAFFIC, settings).already_loaded == 1
    assert total(store, IP_TRAFFIC).rows == 2


def test_totals_of_two_tables_stay_apart(store: sqlite3.Connection, settings: Settings) -> None:
    """Also where a file of one has a name like those of the other."""
    theirs = land_rows(settings.landing, TODAY, 0, 3)
    landed = land_all(settings.landing, metrics_snapshots.SOURCE, [snapshot(times(TODAY)[0])])
    name = theirs.name.replace("-000000", "-000009")
    path = landed.path.with_name(f"{name}.ndjson")
    path.write_bytes(
        with_crc(landed.path.read_bytes().replace(landed.name.encode(), name.encode()))
    )
    landed.path.unlink()
    for table in (IP_TRAFFIC, METRICS_SNAPSHOTS):
        assert load(store, table, settings).quarantined == []
    age(store)
    for table in (IP_TRAFFIC, METRICS_SNAPSHOTS):
        load(store, table, settings)
        assert loaded(store, table) == total(store, table)
    path.write_bytes(b"")
    shutil.copy(land_rows(settings.landing.parent, TODAY, 0, 3).path, theirs.path)
    assert load(store, IP_TRAFFIC, settings).already_loaded == 1


def with_crc(lines: bytes) -> bytes:
    """A landing file that was changed, with the CRC-32 that it has now."""
    body, _, last = lines.rstrip(b"\n").rpartition(b"\n")
    body += b"\n"
    footer = {**json.loads(last), "crc32": f"{zlib.crc32(body):08x}"}
    return body + json.dumps(footer).encode() + b"\n"


def test_files_of_the_last_days_have_rows_of_their_own(
    store: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    """Those that may still be on disk, and those that checks look at."""
    land_rows(settings.landing, TODAY, 0, 1)
    load(store, IP_TRAFFIC, settings)
    age(store, 3 * clock.DAY)
    monkeypatch.setenv("GATEWAY_LANDING_KEEP_HOURS", "240")
    load(store, IP_TRAFFIC, load_settings())
    assert own_rows(store) == 1
    monkeypatch.setenv("GATEWAY_LANDING_KEEP_HOURS", "0")
    age(store, -clock.DAY - clock.HOUR)
    assert loaded_since(store, IP_TRAFFIC, clock.now() - 2 * clock.DAY) == (1, 0)
    load(store, IP_TRAFFIC, load_settings())
    assert own_rows(store) == 1
    age(store, 2 * clock.DAY)
    load(store, IP_TRAFFIC, load_settings())
    assert own_rows(store) == 0
    assert has_loaded(store, IP_TRAFFIC)
    assert not has_loaded(store, METRICS_SNAPSHOTS)


def land_counted(settings: Settings, sequence: int, **facts: Any) -> Landed:
    stamp = Stamp(ORIGIN, TODAY * clock.DAY, sequence)
    complete = facts.pop("complete", True)
    rows = [row(TODAY, sequence, sent=100)]
    return land(settings.landing, SOURCE, stamp, rows, complete=complete, facts=facts)


def test_counters_are_compared_with_files_of_long_ago_too(
    store: sqlite3.Connection, settings: Settings
) -> None:
    def counters(epoch: int, whole: int) -> dict[str, int]:
        return {"epoch": epoch, "tx_bytes": whole, "rx_bytes": 0}

    sealed = sum(land_counted(settings, 1, complete=False).sums.values())
    whole = sum(land_counted(settings, 0, counters=counters(7, 100)).sums.values())
    land_counted(settings, 2, counters=counters(9, 5000))
    for number, wrong in enumerate((5, {}, counters(-1, 0), counters(2**62, 0), {"epoch": "x"})):
        land_counted(settings, 3 + number, counters=wrong)
    load(store, IP_TRAFFIC, settings)
    before = counters_that_differ(store, IP_TRAFFIC)
    assert list(before) == ["box-test since 1970-01-01T00:00:00.000009Z"]
    age(store)
    load(store, IP_TRAFFIC, settings)
    assert own_rows(store) == 0
    assert counters_that_differ(store, IP_TRAFFIC) == before
    # What is missing was counted by the sealed file, or in one that came later.
    land_counted(settings, 10, counters=counters(7, whole + sealed))
    load(store, IP_TRAFFIC, settings)
    found = counters_that_differ(store, IP_TRAFFIC)
    age(store)
    load(store, IP_TRAFFIC, settings)
    assert counters_that_differ(store, IP_TRAFFIC) == found


def test_sums_of_zero_are_not_kept(store: sqlite3.Connection, settings: Settings) -> None:
    land_all(settings.landing, metrics_snapshots.SOURCE, [snapshot(times(TODAY)[0], query_total=3)])
    load(store, METRICS_SNAPSHOTS, settings)
    query = "SELECT sums FROM loaded_files UNION ALL SELECT sums FROM loaded_days"
    assert store.execute(query).fetchall() == [('{"query_total": 3}',)]
    age(store)
    load(store, METRICS_SNAPSHOTS, settings)
    assert store.execute(query).fetchall() == [('{"query_total": 3}',)]
    assert loaded(store, METRICS_SNAPSHOTS) == total(store, METRICS_SNAPSHOTS)


def test_a_ledger_of_an_older_release_is_shortened(
    store: sqlite3.Connection, settings: Settings
) -> None:
    land_rows(settings.landing, TODAY, 0, 5)
    load(store, IP_TRAFFIC, settings)
    age(store)
    store.execute("DROP TABLE loaded_days")
    store.execute("DROP INDEX loaded_files_time")
    store.execute("""UPDATE loaded_files SET sums = '{"tx_bytes": 5000, "rx_bytes": 10}'""")
    with open_store(settings.hot_database) as again:
        load(again, IP_TRAFFIC, settings)
        assert own_rows(again) == 0
        assert loaded(again, IP_TRAFFIC) == total(again, IP_TRAFFIC)


def test_many_processes_shorten_and_load_what_comes_back(
    store: sqlite3.Connection, settings: Settings
) -> None:
    made = settings.landing.parent / "made"
    files = [land_rows(made, TODAY - day, n, 5).path for day in range(3) for n in range(30)]
    for some in (files[:30], files[30:60]):
        for file in some:
            arrive(file, made, settings)
        load(store, IP_TRAFFIC, settings)
        age(store)
    command = [str(Path(sys.executable).with_name("gateway")), "load", "--json"]
    loaders = []
    for _ in range(4):
        for file in files:
            arrive(file, made, settings)
        loaders.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    assert [loader.communicate() and loader.returncode for loader in loaders] == [0] * 4
    assert total(store, IP_TRAFFIC).rows == 90 * 5
    assert loaded(store, IP_TRAFFIC) == total(store, IP_TRAFFIC)
    assert quarantined(settings.quarantine / "ip_traffic") == []


def test_killed_before_any_statement(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old files are shortened, new ones loaded, and copies of the old ones come back."""
    monkeypatch.setattr(ledger, "AT_ONCE", 4)
    made = tmp_path / "made"
    old = [land_rows(made, TODAY - 9, number, 5).path for number in range(6)]
    new = [land_rows(made, TODAY - 9, number, 5).path for number in range(6, 8)]
    for file in old:
        arrive(file, made, settings)
    with open_store(settings.hot_database) as store:
        load(store, IP_TRAFFIC, settings)
        age(store)
    number = kills = 0
    while kills == number:
        number += 1
        trial = load_settings(data_dir=tmp_path / f"trial{number}")
        shutil.copytree(settings.data_dir, trial.data_dir)
        for file in new:
            arrive(file, made, trial)
        kills += killed_at_statement(number, trial, old, made)
        with open_store(trial.hot_database) as store:
            assert loaded(store, IP_TRAFFIC) == total(store, IP_TRAFFIC)
            load_and_again(store, trial, old, made)
            assert loaded(store, IP_TRAFFIC) == total(store, IP_TRAFFIC)
            assert (own_rows(store), total(store, IP_TRAFFIC).rows) == (2, 8 * 5)
        shutil.rmtree(trial.data_dir)
    assert kills > 20


def load_and_again(
    store: sqlite3.Connection, settings: Settings, old: list[Path], made: Path
) -> None:
    load(store, IP_TRAFFIC, settings)
    for file in old:
        arrive(file, made, settings)
    assert load(store, IP_TRAFFIC, settings).quarantined == []


def killed_at_statement(number: int, settings: Settings, old: list[Path], made: Path) -> bool:
    """Load in a fork that ends itself with SIGKILL before its n-th statement; whether it did."""
    child = os.fork()
    if child == 0:
        statements = itertools.count(1)

        def count(statement: str) -> None:
            if next(statements) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            with open_store(settings.hot_database) as connection:
                connection.set_trace_callback(count)
                load_and_again(connection, settings, old, made)
                connection.set_trace_callback(None)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_names_come_back_as_they_were() -> None:
    random = Random(1)
    names = [
        "ip_traffic-v1-box-sockdiag-0badcafe-20261120T131930000000Z-000041",
        "a-b-20261120T131930000000Z-1234567890",
        "a-20261120T131930000000Z-41",
        "a\nb-20261120T131930000000Z-000041",
        "-20261120T131930000000Z-٠٠٠٠٤١",  # digits, but not those of names
        "20261120T131930000000Z-000041",
        "",
    ]
    assert ["".join(divided(name)) for name in names] == names
    assert [bool(divided(name)[1]) for name in names] == [True, True, False, True] + [False] * 3
    crc32s = {f"T{n:012d}Z-{n:06d}": f"{random.getrandbits(32):08x}" for n in range(3000)}
    assert unpacked(*packed(crc32s)) == crc32s
    assert unpacked(*packed({"": "00000001"})) == {"": "00000001"}
