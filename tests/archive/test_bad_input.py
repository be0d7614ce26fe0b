"""What other people's databases, disks and hands do: a clear error, and no row lost."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gateway_assets import clock
from gateway_assets.archive import export, prune
from gateway_assets.archive.copy_out import copy_out
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.months import folder
from gateway_assets.errors import (
    ArchiveDamaged,
    ArchiveError,
    Busy,
    ConfigError,
    GatewayError,
    StoreError,
)
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tiers.catalog import catalog, find
from tests.tiers.places import (
    APP,
    OLD,
    TODAY,
    answered,
    archive,
    at,
    cells,
    declare,
    files,
    make,
    number,
    patient,
    run,
    text_at,
)

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER, v TEXT)"


@pytest.fixture
def two_days() -> Settings:
    """Twenty rows on each of two old days, one of today."""
    rows = [(None, at(OLD + n % 2, n), f"value {n * n}") for n in range(40)]
    make(TABLE, "t", [*rows, (None, at(TODAY), "now")])
    return declare()


@pytest.mark.parametrize(
    ("ddl", "line", "why"),
    [
        ("CREATE TABLE t (id INTEGER, v TEXT)", {}, "no column looks like the time"),
        ("CREATE TABLE t (ts TEXT); INSERT INTO t VALUES ('soon')", {}, "'soon'"),
        ("CREATE TABLE t (ts BLOB); INSERT INTO t VALUES (x'00')", {}, "no times that"),
        ("CREATE TABLE t (ts INTEGER)", {"time": "nope"}, "no column 'nope'"),
        ("CREATE TABLE t (ts INTEGER)", {"time_format": "epoch_s", "order_by": ["x"]}, "'x'"),
        ("CREATE TABLE t (ts INTEGER)", {"time_format": "epoch_s", "dedup": [["x"]]}, "'x'"),
    ],
)
def test_tables_that_cannot_be_tiered_as_declared(ddl: str, line: dict[str, Any], why: str) -> None:
    make(ddl)
    settings = declare(**line)
    with pytest.raises(ConfigError, match=why) as refused:
        archive(settings)
    assert refused.value.message.startswith("table t: ")
    assert refused.value.hint


def test_a_long_table_without_an_index_on_its_time() -> None:
    make(TABLE)
    with closing(sqlite3.connect(APP)) as connection, connection:
        connection.executemany("INSERT INTO t (ts) VALUES (?)", [(at(OLD),)] * 10_001)
    settings = declare()
    before = APP.read_bytes()
    with pytest.raises(ArchiveError, match="no index on ts") as refused:
        archive(settings)
    assert "create_index = true" in refused.value.hint
    assert APP.read_bytes() == before
    Path("gateway.toml").unlink()
    assert archive(declare(create_index=True)).rows == 10_001
    assert number(load_settings(), "SELECT count(*) FROM t") == 10_001


BAD_WHERE = [
    "id IN (SELECT 1)",
    "EXISTS (SELECT 1)",
    "random() > 0",
    "changes() > 0",
    "count(*) > 1",
    "nope = 1",
    "v REGEXP 'x'",
    "v = ?",
    "v = :name",
    "v < CURRENT_TIMESTAMP",
    "v < datetime('now')",
    "v < datetime('now', '-7 days')",
    "v < datetime()",
    "ts < unixepoch('now')",
    "ts < CAST(strftime('%s', 'now') AS INTEGER)",
    "v = 'done' AND ts < julianday('NOW')",
    "datetime(ts, 'unixepoch', 'localtime') < '2026'",
    "v = 'done'; DROP TABLE t",
    "1); DROP TABLE t; --",
    "1) --",
    "1) OR (1",
    "v = 'done' -- comment",
    "v = 'done' /*",
    "   ",
]


@pytest.mark.parametrize("where", BAD_WHERE)
def test_a_where_that_is_no_condition_on_the_row(two_days: Settings, where: str) -> None:
    Path("gateway.toml").unlink()
    before = cells()
    settings = declare(where=where)
    with pytest.raises(ConfigError, match="where = ") as refused:
        archive(settings)
    assert refused.value.hint
    assert cells() == before


def test_a_row_is_never_hidden_by_the_passing_of_time(two_days: Settings) -> None:
    """A condition that is false now and true later would hide rows that are in no file."""
    Path("gateway.toml").unlink()
    run("UPDATE t SET v = strftime('%Y-%m-%d %H:%M:%f', 'now', '+1.5 seconds') WHERE id = 1")
    run("UPDATE t SET v = '2020' WHERE id > 1")
    settings = declare(where="v < strftime('%Y-%m-%d %H:%M:%f', 'now')")
    with suppress(ConfigError):  # which would be right, too
        UniversalArchiver(patient(settings)).archive_table("t")
        run("SELECT count(*) FROM t")
        subprocess.run(["sleep", "1.6"], check=True)
        assert number(settings, "SELECT count(*) FROM t") == 41


@pytest.mark.parametrize(
    "where", ["v LIKE 'value%'", "id > 0 AND v IS NOT NULL", "ts > 5 OR v = ''"]
)
def test_conditions_on_the_row_are_taken(two_days: Settings, where: str) -> None:
    Path("gateway.toml").unlink()
    assert archive(declare(where=where)).rows == 40


def test_a_database_that_is_missing(settings: Settings) -> None:
    settings = declare()
    with pytest.raises(StoreError, match="no such database") as refused:
        archive(settings)
    assert "table t" in refused.value.hint
    assert not APP.exists(), "it is not created"
    (result,) = UniversalArchiver(settings).archive_all(["t"])
    assert "no such database" in result.failed["all days"]


@pytest.mark.parametrize("content", [b"no database " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database(content: bytes) -> None:
    APP.write_bytes(content)
    settings = declare()
    with pytest.raises(StoreError, match=r"app\.db") as refused:
        archive(settings)
    assert "backup" in refused.value.hint
    assert APP.read_bytes() == content


def test_a_damaged_database_is_not_archived(two_days: Settings) -> None:
    """Its backup would be as damaged as it is."""
    content = bytearray(APP.read_bytes())
    content[4096 + 8 : 4096 + 60] = b"\xff" * 52
    APP.write_bytes(content)
    with pytest.raises(GatewayError) as refused:
        archive(two_days)
    assert refused.value.hint
    assert files(two_days) == []


HOLD = """
import sqlite3, sys
connection = sqlite3.connect("app.db", isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_database_that_another_process_holds(
    two_days: Settings, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    run(f"PRAGMA journal_mode={mode}")
    before = answered(two_days)
    monkeypatch.setattr("gateway_assets.tiers.catalog.BUSY_SECONDS", 0.1)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(Busy, match="locked") as refused:
            archive(two_days)
        assert refused.value.transient
        if mode == "wal":
            assert answered(two_days) == before, "readers do not wait"
    finally:
        holder.communicate("", timeout=10)
    assert archive(two_days).rows == 40
    assert answered(two_days) == before


def before_first(
    monkeypatch: pytest.MonkeyPatch, module: Any, name: str, act: Callable[[], object]
) -> None:
    """Do something just before a step of the archive is done for the first time."""
    step = getattr(module, name)
    done: list[None] = []

    def acting(*args: Any, **named: Any) -> Any:
        if not done:
            done.append(None)
            act()
        return step(*args, **named)

    monkeypatch.setattr(module, name, acting)


def test_a_database_that_is_replaced_by_another_while_it_is_read(
    two_days: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make(TABLE, "t", [(1, at(OLD), "other")], path=Path("other.db"))
    content = other.read_bytes()
    before_first(monkeypatch, export, "_check_written", lambda: other.replace(APP))
    with pytest.raises(StoreError, match="replaced") as refused:
        archive(two_days)
    assert refused.value.hint
    assert APP.read_bytes() == content
    assert files(two_days) == []
    assert [row[2] for row in answered(two_days)] == ["other"]


@pytest.mark.parametrize(("module", "name"), [(export, "_publish"), (prune, "_prune_chunk")])
def test_a_database_that_is_replaced_by_its_copy(
    two_days: Settings, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    before = answered(two_days)

    def replace() -> None:
        shutil.copy(APP, "copy.db")
        Path("copy.db").replace(APP)

    before_first(monkeypatch, module, name, replace)
    with pytest.raises(StoreError, match="replaced"):
        archive(two_days)
    assert answered(two_days) == before
    archive(two_days)
    assert answered(two_days) == before
    assert len(run("SELECT * FROM t")) == 1


def test_a_database_that_is_removed_while_it_is_read(
    two_days: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before_first(monkeypatch, export, "_publish", APP.unlink)
    with pytest.raises(StoreError, match="removed"):
        archive(two_days)
    assert not APP.exists()
    assert files(two_days) == []


def alter(path: Path) -> None:
    """Flip one bit such that whoever looks at no checksum reads other values and no error."""
    whole = path.read_bytes()
    right = pq.ParquetFile(io.BytesIO(whole)).read()
    for place in range(len(whole) - 1):
        changed = whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
        with suppress(OSError, pa.ArrowException, UnicodeDecodeError):
            found = pq.ParquetFile(io.BytesIO(changed)).read()
            if found.schema.equals(right.schema) and found.num_rows == right.num_rows:
                found.validate(full=True)
                if not found.equals(right):
                    path.write_bytes(changed)
                    return
    pytest.fail("every change of a bit is noticed")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


DAMAGES: dict[str, Callable[[Path], None]] = {"deleted": Path.unlink, "cut": cut, "altered": alter}
damages = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


@damages
def test_a_damaged_file_is_told_by_whatever_reads_it(
    two_days: Settings, damage: Callable[[Path], None]
) -> None:
    archive(two_days)
    (first, _) = files(two_days)
    damage(first)
    archiver = UniversalArchiver(two_days)
    assert [bool(wrong) for _, wrong in archiver.verify("t")] == [True, False]
    before = cells()
    with pytest.raises(ArchiveDamaged, match=first.name) as refused:
        archiver.restore("t", [OLD])
    assert refused.value.hint
    assert cells() == before
    assert archiver.restore("t", [OLD + 1]) == 20, "the other day is whole"


@damages
def test_the_bridge_never_answers_from_a_damaged_file(
    two_days: Settings, damage: Callable[[Path], None]
) -> None:
    """Complete or an error: that is its promise."""
    archive(two_days)
    run("DELETE FROM gateway_archive_months")  # a monthly copy would answer instead
    (first, _) = files(two_days)
    damage(first)
    with pytest.raises(ArchiveDamaged, match=first.name) as refused:
        answered(two_days)
    assert "verify" in refused.value.hint


@damages
def test_nothing_is_pruned_whose_file_is_damaged(
    two_days: Settings, damage: Callable[[Path], None]
) -> None:
    archive(patient(two_days))
    (first, _) = files(two_days)
    damage(first)
    result = UniversalArchiver(two_days).archive_table("t")
    assert list(result.failed) == [clock.day_text(OLD)]
    assert result.pruned_rows == 20
    assert len(run("SELECT * FROM t")) == 21


@damages
def test_damage_is_not_compacted_into_a_new_file(
    two_days: Settings, damage: Callable[[Path], None]
) -> None:
    """A new file gets a new checksum: what was damaged would pass for right for ever."""
    archive(two_days)
    damage(files(two_days)[0])
    run("INSERT INTO t (ts, v) VALUES (?, 'late')", at(OLD, 77))
    archiver = UniversalArchiver(two_days)
    result = archiver.archive_table("t")
    assert result.rows == 1, "the late row itself is archived"
    assert any(wrong for _, wrong in archiver.verify("t"))
    assert list(result.failed) == [clock.day_text(OLD), "monthly copies"]


@damages
def test_damage_is_not_erased_into_a_new_file(
    two_days: Settings, damage: Callable[[Path], None]
) -> None:
    archive(two_days)
    (first, _) = files(two_days)
    damage(first)
    with pytest.raises(ArchiveDamaged) as refused:
        UniversalArchiver(two_days).erase("t", {"v": "value 4"})
    assert refused.value.hint
    assert any(wrong for _, wrong in UniversalArchiver(two_days).verify("t"))


@damages
def test_damage_is_not_exported(two_days: Settings, damage: Callable[[Path], None]) -> None:
    archive(two_days)
    damage(files(two_days)[0])
    with pytest.raises(ArchiveDamaged):
        copy_out(find(two_days, "t"), two_days, Path("out.db"))
    assert not Path("out.db").exists()


@damages
def test_no_month_is_built_of_a_damaged_day(damage: Callable[[Path], None]) -> None:
    first = clock.parse_day(clock.day_text(OLD)[:8] + "01")
    make(TABLE, "t", [(None, at(first + n % 3, n), f"value {n}") for n in range(30)])
    make("", "t", [(None, at(TODAY), "now")])
    settings = declare()
    archive(settings)
    (copy,) = folder(settings.archive).rglob("*.parquet")
    copy.unlink()
    run("DELETE FROM gateway_archive_months")
    damage(files(settings)[0])
    with suppress(ArchiveError):
        UniversalArchiver(settings).compact("t").raise_failures()
    assert run("SELECT * FROM gateway_archive_months") == []
    assert not list(folder(settings.archive).rglob("*.parquet"))


@damages
def test_a_damaged_monthly_copy_is_told_or_not_used(damage: Callable[[Path], None]) -> None:
    first = clock.parse_day(clock.day_text(OLD)[:8] + "01")
    make(TABLE, "t", [(None, at(first + n % 3, n), f"value {n}") for n in range(30)])
    make("", "t", [(None, at(TODAY), "now")])
    settings = declare()
    archive(settings)
    shown = answered(settings)
    (copy,) = folder(settings.archive).rglob("*.parquet")
    damage(copy)
    try:
        found = answered(settings)
    except ArchiveDamaged as error:
        assert copy.name in str(error)
    else:
        assert found == shown


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes, to be filled up or made read-only."""
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> None:
    with (place / "filler").open("ab", buffering=0) as file, suppress(OSError):
        for size in (65_536, 4_096, 1):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


def on(place: Path, journal: str = "delete") -> Settings:
    """Database and archive in one small place; two old days, one of them in two files."""
    rows = [(None, at(OLD + n % 2, n), os.urandom(200).hex()) for n in range(100)]
    path = make(f"PRAGMA journal_mode={journal}; {TABLE}", "t", rows, path=place / "app.db")
    run("INSERT INTO t (ts, v) VALUES (?, 'now')", at(TODAY), path=path)
    settings = declare(path=path)
    return settings.model_copy(update={"data_dir": place / "data"})


STEPS = [
    "gateway_assets.archive.prepare.backup",
    "gateway_assets.archive.prepare.guard",
    "gateway_assets.archive.prepare.begin_run",
    "gateway_assets.archive.manifest.reserve",
    "gateway_assets.archive.export._write",
    "gateway_assets.archive.export._check_written",
    "gateway_assets.archive.export._publish",
    "gateway_assets.archive.engine.prune",
    "gateway_assets.archive.prune._prune_chunk",
    "gateway_assets.archive.engine.compact_day",
    "gateway_assets.archive.swap._write",
    "gateway_assets.archive.swap.land",
    "gateway_assets.archive.engine.build_months",
    "gateway_assets.archive.monthly._build",
]


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_fills_up_at_a_step(
    small: Path, monkeypatch: pytest.MonkeyPatch, step: str, journal: str
) -> None:
    """A clear error, every row once; and, with free space again, the next run finishes."""
    settings = on(small, journal)
    monkeypatch.setattr("gateway_assets.archive.backup.RESERVE", 0)
    archiver = UniversalArchiver(settings)
    late = "swap" in step or "compact" in step
    if late:
        archiver.archive_table("t")
        run("INSERT INTO t (ts, v) VALUES (?, 'late')", at(OLD, 99), path=small / "app.db")
    shown = answered(settings)
    module, _, name = step.rpartition(".")
    before_first(monkeypatch, sys.modules[module], name, lambda: fill(small))
    told = ""
    try:
        archiver.archive_table("t").raise_failures()
    except GatewayError as error:
        assert error.hint
        told = error.message
    assert (small / "filler").exists(), "the step was not done at all"
    assert not told or any(word in told for word in ("full", "space")), told
    (small / "filler").unlink()
    assert answered(settings) == shown
    again = UniversalArchiver(settings).archive_table("t")
    assert not again.failed
    assert answered(settings) == shown
    assert len(run("SELECT * FROM t", path=small / "app.db")) == 1
    assert not any(wrong for _, wrong in UniversalArchiver(settings).verify("t"))
    assert not [path for path in small.rglob(".*") if not path.name.startswith(".lock-")]


@pytest.mark.parametrize("step", ["restore", "erase", "export", "backup"])
def test_a_disk_that_is_full_before(
    small: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    settings = on(small)
    monkeypatch.setattr("gateway_assets.archive.backup.RESERVE", 0)
    archive(settings)
    shown = answered(settings)
    archiver = UniversalArchiver(settings)
    out = small / "out.db"
    acts: dict[str, Callable[[], object]] = {
        "restore": lambda: archiver.restore("t", [OLD]),
        "erase": lambda: archiver.erase("t", {"v": "nobody"}) and archiver.erase("t", {"id": "1"}),
        "export": lambda: copy_out(find(settings, "t"), settings, out),
        "backup": lambda: archiver.backup("t"),
    }
    fill(small)
    with pytest.raises(GatewayError, match=r"full|space") as refused:
        acts[step]()
    assert "free space" in refused.value.hint
    (small / "filler").unlink()
    assert answered(settings) == shown
    assert not out.exists()
    acts[step]()
    assert answered(settings) == (
        [row for row in shown if row[0] != 1] if step == "erase" else shown
    )


def test_a_nearly_full_disk_is_not_begun_with(small: Path) -> None:
    settings = on(small)
    with pytest.raises(ArchiveError, match="MiB free") as refused:
        archive(settings)
    assert "free" in refused.value.hint
    assert (
        run("SELECT name FROM sqlite_schema WHERE name LIKE 'gateway%'", path=small / "app.db")
        == []
    )


def test_a_read_only_database_is_told_and_still_answered(small: Path) -> None:
    settings = on(small).model_copy(update={"data_dir": Path("data").absolute()})
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(StoreError, match="readonly") as refused:
        archive(settings)
    assert refused.value.hint
    assert len(answered(settings)) == 101


LINES: list[tuple[str, str]] = [
    ('name = "x"\ndatabase = "a.db"\nhot_dayz = 3', "hot_dayz"),
    ('name = "x"', "database"),
    ('database = "a.db"', "name"),
    ('name = "no blank"\ndatabase = "a.db"', "name"),
    ('name = "x"\ndatabase = "a.db"\nhot_days = -1', "hot_days"),
    ('name = "x"\ndatabase = "a.db"\nhot_days = "many"', "hot_days"),
    ('name = "x"\ndatabase = "a.db"\nhot_days = 30\nkeep_days = 30', "keep_days"),
    ('name = "x"\ndatabase = "a.db"\nkeep_days = 5', "keep_days"),
    ('name = "x"\ndatabase = "a.db"\ntime_format = "%Y"', "time_format"),
    ('name = "x"\ndatabase = "a.db"\ntriggers = "ignore"', "triggers"),
    ('name = "x"\ndatabase = "postgresql://user@host/db"', "database"),
    ('name = "x"\ndatabase = "postgres://user@host/db"', "database"),
    ('name = "x"\ndatabase = "a.db"\n[[tables]]\nname = "x"\ndatabase = "b.db"', "'x'"),
    ('name = "x"\ndatabase = "a.db"\n[[tables]]\nname = "X"\ndatabase = "b.db"', "'X'"),
    ('name = "ip_traffic"\ndatabase = "a.db"', "'ip_traffic'"),
    ('name = "IP_Traffic"\ndatabase = "a.db"', "'IP_Traffic'"),
    ('name = "x"\ndatabase = "a.db"\nwhere = 5', "where"),
]


@pytest.mark.parametrize("file", ["gateway.toml", "data/tables.toml"])
@pytest.mark.parametrize(("line", "field"), LINES)
def test_a_line_that_is_wrong(settings: Settings, line: str, field: str, file: str) -> None:
    """The error names the file and the field, and the hint says what to do."""
    Path(file).parent.mkdir(exist_ok=True)
    Path(file).write_text(f"[[tables]]\n{line}\n")
    with pytest.raises(ConfigError) as refused:
        catalog(load_settings())
    assert Path(file).name in refused.value.message
    assert field in f"{refused.value.message} {refused.value.hint}"
    assert refused.value.hint


@pytest.mark.parametrize("content", ["tables = 5", "tables = [1]", "[tables]\nx = 1", "[[tables"])
def test_lines_that_are_none(settings: Settings, content: str) -> None:
    Path("gateway.toml").write_text(content)
    with pytest.raises(ConfigError, match=r"gateway\.toml"):
        catalog(settings)


def test_one_wrong_number_in_the_environment(
    two_days: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("gateway.toml").unlink()
    settings = declare(hot_days_from="APP_HOT_DAYS")
    monkeypatch.setenv("APP_HOT_DAYS", "soon")
    with pytest.raises(ConfigError, match="APP_HOT_DAYS"):
        archive(settings)
    monkeypatch.setenv("APP_HOT_DAYS", "5000")
    assert archive(settings).rows == 0


def test_two_archivers_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(None, at(OLD + n % 20, n), f"value {n}") for n in range(2_000)]
    make(f"{TABLE}; CREATE INDEX by_time ON t (ts)", "t", [*rows, (None, at(TODAY), "now")])
    settings = declare()
    shown = answered(settings)
    monkeypatch.setenv("GATEWAY_ARCHIVE_GRACE_HOURS", "0")
    command = [str(Path(sys.executable).with_name("gateway")), "archive", "run", "t", "--json"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    results = []
    for process in both:
        out, error = process.communicate(timeout=60)
        assert process.returncode == 0, error
        results += json.loads(out)
    assert sorted(result["rows"] for result in results) == [0, 2_000]
    assert sum(result["pruned_rows"] for result in results) == 2_000
    assert len(files(settings)) == 20
    assert answered(settings) == shown


def test_rows_of_the_future_stay() -> None:
    times = [
        text_at(OLD),
        text_at(OLD),
        text_at(TODAY + 1),
        text_at(TODAY + 10_000),
        text_at(TODAY),
    ]
    make("CREATE TABLE t (id INTEGER PRIMARY KEY, ts TEXT)", "t", list(enumerate(times)))
    settings = declare(hot_days=0)
    result = archive(settings)
    assert result.rows == 2
    assert result.kept[clock.day_text(TODAY + 10_000)] == "in the future"
    assert [row[0] for row in run("SELECT * FROM t ORDER BY id")] == [2, 3, 4]
    assert len(answered(settings)) == 5
