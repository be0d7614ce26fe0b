"""Made-up SQLite databases of other applications, histories of them, and how large they are."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from side_by_side import Figures, progress

from gateway_assets import clock
from gateway_assets.archive import engine
from gateway_assets.cli import forward
from gateway_assets.settings import load_settings

CACHE = Path(tempfile.gettempdir()) / "gateway-bench-cache"
METRICS = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY AUTOINCREMENT, device_id INTEGER NOT NULL,
    metric TEXT NOT NULL, ts INTEGER NOT NULL, value REAL);
CREATE INDEX metrics_ts ON metrics (ts);
"""
METRICS_LINE = """
[[tables]]
name = "metrics"
database = "metrics.db"
time = "ts"
hot_days = 0
order_by = ["device_id", "metric", "ts"]
"""
ROWS_A_DAY, DEVICES, NAMES = 50_000, 50, 20

EVENTS = """
CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, what TEXT);
CREATE INDEX events_time ON events (time);
"""
EVENTS_LINE = '[[tables]]\nname = "events"\ndatabase = "events.db"\ntime = "time"\nhot_days = 0\n'

TASKS = """
CREATE TABLE tasks (id INTEGER PRIMARY KEY, created_at TEXT NOT NULL, task_type TEXT, status TEXT,
    unique_key TEXT, priority INTEGER, score REAL, task_data TEXT);
CREATE INDEX tasks_at ON tasks (created_at);
"""
TASKS_IN_DUCKDB = """
CREATE TABLE tasks (id BIGINT, created_at TIMESTAMPTZ, task_type VARCHAR, status VARCHAR,
    unique_key VARCHAR, priority BIGINT, score DOUBLE, task_data VARCHAR)
"""
TASKS_LINE = """
[[tables]]
name = "tasks"
database = "app.db"
time = "created_at"
hot_days = 7
dedup_days = 0
"""
TASKS_A_DAY, HOT_DAYS, BATCH = 1_170, 7, 100_000


def forward_db() -> Path:
    """The demo's database, made once a day and whenever its recipe changes."""
    recipe = hashlib.sha256(Path(forward.__file__).read_bytes()).hexdigest()[:8]
    path = CACHE / f"forward-{clock.day_text(clock.day_of(clock.now()))}-{recipe}.db"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        for old in CACHE.glob("forward-*"):
            old.unlink()
        forward.write_forward_db(path)
    return path


def metrics_db(path: Path, rows: int) -> None:
    """Every device polled in rounds: its metrics share a time and walk at random."""
    random, days = Random(1), rows // ROWS_A_DAY
    rounds = ROWS_A_DAY // (DEVICES * NAMES)
    names = [f"metric_{number:02}" for number in range(NAMES)]
    values = [[random.uniform(0, 200) for _ in names] for _ in range(DEVICES)]

    def made() -> Iterator[tuple[int, str, int, float]]:
        first = clock.day_of(clock.now()) - days
        for number in range(days * rounds):
            moment = (first * 86_400 + number * 86_400 // rounds) * 1000
            for device, now in enumerate(values):
                ts = moment + random.randrange(2_000)
                for place, name in enumerate(names):
                    now[place] += random.gauss(0, 0.2)
                    yield device, name, ts, round(now[place], 2)

    statement = "INSERT INTO metrics (device_id, metric, ts, value) VALUES (?, ?, ?, ?)"
    fill(path, METRICS, statement, made())


def events_db(path: Path, number: int) -> None:
    """Twenty rows a day, of this many days before today."""
    last = clock.day_of(clock.now())
    days = range(last - number, last)
    rows = ((day * 86_400 + n * 3_000, f"event {n}") for day in days for n in range(20))
    fill(path, EVENTS, "INSERT INTO events (time, what) VALUES (?, ?)", rows)


def tasks_history(years: int) -> Path:
    """A data directory with 365 archived days of tasks a year and hot ones after them.

    ``everything.db`` and ``everything.duckdb`` beside it hold all rows. It takes minutes, so it
    is made only once, and again when the recipe or the archiver changes.
    """
    sources = [Path(__file__), *sorted(Path(engine.__file__).parent.glob("*.py"))]
    recipe = hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]
    folder, building = CACHE / f"history-{years}-{recipe}", CACHE / f"building-{years}"
    if not folder.exists():
        for old in (*CACHE.glob(f"history-{years}-*"), building):
            shutil.rmtree(old, ignore_errors=True)
        building.mkdir(parents=True)
        _make_history(building, years)
        building.rename(folder)  # what a killed run left is never taken for a whole one
    return folder


def _make_history(folder: Path, years: int) -> None:
    today = clock.day_of(clock.now())
    days = range(today - 365 * years - HOT_DAYS, today + 1)
    total, everything = len(days) * TASKS_A_DAY, folder / "everything.db"

    def told(what: str, rows: Iterator[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
        for number, row in enumerate(rows):
            if not number % BATCH:
                progress(f"{years} years, once: {what}, {number / total:.0%}")
            yield row

    statement = "INSERT INTO tasks VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    fill(everything, TASKS, statement, told("rows", _tasks(days)))
    shutil.copyfile(everything, folder / "app.db")
    (folder / "tables.toml").write_text(TASKS_LINE, "utf-8")
    settings = load_settings(data_dir=folder, archive_grace_hours=0, archive_backup=False)
    result = engine.UniversalArchiver(settings).archive_table(
        "tasks",
        progress=lambda done, of: progress(f"{years} years, once: archive, {done / of:.0%}"),
    )
    assert len(result.days) == 365 * years, result
    assert not result.failed, result
    with closing(sqlite3.connect(everything)) as connection:
        rows = connection.execute("SELECT * FROM tasks ORDER BY id")
        _fill_duckdb(folder / "everything.duckdb", told("DuckDB", rows))
    progress()


def _tasks(days: range) -> Iterator[tuple[object, ...]]:
    """Rare "expired" sorts between the others: no file's least and greatest rule it out."""
    random, step = Random(1), 86_400 * clock.SECOND // TASKS_A_DAY
    places = itertools.product(days, range(TASKS_A_DAY))
    for number, (day, n) in enumerate(places, 1):
        moment = clock.iso(day * clock.DAY + n * step)[:-1].replace("T", " ")
        what = "forward_message" if n % 3 else "download"
        status = "completed" if n % 50 else "failed"
        if not number % 100_000:
            status = "expired"
        text = f'{{"chat": -100{n % 40}, "message": {number}, "text": "{"hello " * (n % 9)}"}}'
        score = round(random.random() * 100, 2)
        yield number, moment, what, status, f"msg:{number:09}", n % 7, score, text


def _fill_duckdb(path: Path, rows: Iterator[tuple[object, ...]]) -> None:
    with closing(duckdb.connect(path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(TASKS_IN_DUCKDB)
        names = [name for name, *_ in connection.execute("DESCRIBE tasks").fetchall()]
        while batch := list(itertools.islice(rows, BATCH)):
            columns = map(pa.array, zip(*batch, strict=True))
            connection.register("batch", pa.table(dict(zip(names, columns, strict=True))))
            connection.execute("INSERT INTO tasks FROM batch")


def fill(path: Path, schema: str, statement: str, rows: Iterator[tuple[object, ...]]) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(schema)
        connection.executemany(statement, rows)
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def fresh(full: Path, registry: str) -> Iterator[Path]:
    """A data directory with a copy of the database, synced, so that nobody else's writes wait."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        folder = Path(name)
        copy = folder / full.name
        shutil.copyfile(full, copy)
        with copy.open("rb") as file:
            os.fsync(file.fileno())
        (folder / "tables.toml").write_text(registry, "utf-8")
        yield folder


def sizes(folder: Path, database: Path) -> Figures:
    """Bytes of the database after a checkpoint and of the Parquet files; rows in monthly copies."""

    def parquet(below: str) -> list[Path]:
        return list((folder / "archive" / below).rglob("*.parquet"))

    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    copied: Figures = {}
    for path in parquet("months"):
        key = f"{path.parent.name} in months"
        copied[key] = copied.get(key, 0) + pq.read_metadata(path).num_rows
    return {
        "hot": database.stat().st_size,
        "cold": sum(path.stat().st_size for path in parquet("parquet")),
        "months": sum(path.stat().st_size for path in parquet("months")),
        **copied,
    }


def hot_bytes(database: Path, tables: Sequence[str], archived: Figures) -> float:
    """Bytes of the pages of tables and their indexes, of the share of rows that was archived."""
    total = 0.0
    with closing(sqlite3.connect(database)) as connection:
        for table in tables:
            query = """SELECT sum(pgsize) FROM dbstat
                WHERE name IN (SELECT name FROM sqlite_schema WHERE tbl_name = ?)"""
            (pages,) = connection.execute(query, (table,)).fetchone()
            (rows,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            total += pages * archived[table] / rows
    return total
