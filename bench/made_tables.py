"""Made-up SQLite databases of other applications for ``tiering.py``, and how large they are."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
from side_by_side import Figures

from gateway_assets import clock
from gateway_assets.cli import forward

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


def forward_db() -> Path:
    """The demo's database, made once a day and whenever its recipe changes."""
    recipe = hashlib.sha256(Path(forward.__file__).read_bytes()).hexdigest()[:8]
    path = CACHE / f"forward-{clock.day_text(clock.day_of(clock.now()))}-{recipe}.db"
    if not path.exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir()
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
