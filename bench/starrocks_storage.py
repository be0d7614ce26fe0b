"""Parts of ``starrocks.py`` about rows: the room they take, and a day of many clusters."""

from __future__ import annotations

import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

from made_looks import TICK, looks
from side_by_side import aims, print_table, progress, seconds

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.collect.snapshot import rows_of
from gateway_assets.collect.tick import SOURCES
from gateway_assets.files.landing import Origin, Row, Stamp, land
from gateway_assets.hot.load import insert_statement, load
from gateway_assets.hot.store import open_store, writing
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings, load_settings
from gateway_assets.simulated.cluster import SimulatedCluster
from gateway_assets.starrocks.histogram import packed
from gateway_assets.tables import DAILY_SNAPSHOTS, TABLES

DAYS, TICKS_A_DAY = 7, clock.DAY // TICK
FIRST = 20_400  # day
MB = 1e6
LOADED = [table for table in TABLES if table.name in SOURCES]
QUERIES = ("latency_histogram", "slow_queries")  # as much as users ask queries
_ORIGIN = Origin("bench", "collect", "0" * 16)


def storage() -> None:
    """One simulated day, seven times over: simulating another takes minutes."""
    rows = made_day()
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        settings = load_settings(
            data_dir=Path(folder),
            archive_grace_hours=0,
            archive_backup=False,
            hot_days=dict.fromkeys(SOURCES, 0),
        )
        _load_days(settings, rows)
        hot = _hot_bytes(settings.hot_database)
        for table in LOADED:
            UniversalArchiver(settings).archive_table(table.name)
        cold = {name: _parquet_bytes(settings, name) for name in SOURCES}
    print_table(
        [f"{DAYS} days of 3 FE + 10 BE", "rows", "hot MB", "of them index", "Parquet MB"],
        [
            [
                name,
                f"{DAYS * len(rows[name]):,}",
                f"{sum(hot[name]) / MB:.2f}",
                f"{hot[name][1] / MB:.2f}",
                f"{cold[name] / MB:.2f}",
            ]
            for name in SOURCES
        ],
    )
    states = [name for name in SOURCES if name not in QUERIES]
    aims(
        ("hot, all six tables, MB", sum(map(sum, hot.values())) / MB, "<=", 6),
        (
            "hot, but histogram and queries, MB",
            sum(sum(hot[name]) for name in states) / MB,
            "<=",
            6,
        ),
        ("Parquet, all six tables, MB", sum(cold.values()) / MB, "<=", 0.6),
        ("Parquet, but these, MB", sum(cold[name] for name in states) / MB, "<=", 0.6),
    )


def made_day() -> dict[str, list[Row]]:
    """Rows of a day by source: 10 to 40 queries a second."""
    cluster = SimulatedCluster(3, 10, start=FIRST * clock.DAY - TICK)
    memory: dict[str, object] = {}
    found: dict[str, list[Row]] = {name: [] for name in SOURCES}
    for number, observed in enumerate(looks(cluster, "production", TICKS_A_DAY)):
        progress(f"a simulated day, {number / TICKS_A_DAY:.0%}")
        rows, memory = rows_of(observed, memory)
        for name, each in rows.items():
            found[name] += each
    progress()
    return found


def _load_days(settings: Settings, rows: dict[str, list[Row]]) -> None:
    with open_store(settings.hot_database) as connection:
        for day in range(DAYS):
            moved = {
                name: [(row[0] + day * clock.DAY, *row[1:]) for row in each]
                for name, each in rows.items()
            }
            stamp = Stamp(_ORIGIN, (FIRST + day) * clock.DAY, 0)
            for name, each in moved.items():
                land(settings.landing, SOURCES[name], stamp, each)
            for table in LOADED:
                load(connection, table, settings)
        drain(connection, DAILY_SNAPSHOTS, settings)


def _hot_bytes(database: Path) -> dict[str, tuple[float, float]]:
    """Of each table and of its indexes, by whole pages."""
    query = """
        SELECT sum(pgsize) FROM dbstat WHERE name IN
        (SELECT name FROM sqlite_schema WHERE tbl_name = ? AND type = ?)
    """
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return {
            name: (
                connection.execute(query, (name, "table")).fetchone()[0],
                connection.execute(query, (name, "index")).fetchone()[0],
            )
            for name in SOURCES
        }


def _parquet_bytes(settings: Settings, table: str) -> int:
    files = (settings.data_dir / "archive/parquet" / table).rglob("*.parquet")
    return sum(path.stat().st_size for path in files)


def daily(clusters: int = 100, rounds: int = 3) -> None:
    """A day computed anew; rows come straight into the tables, 200 buckets in each window."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        settings = load_settings(data_dir=Path(folder))
        with open_store(settings.hot_database) as connection:
            for name, rows in _day_of_many(clusters).items():
                progress(f"rows of {clusters} clusters: {name}")
                table = next(table for table in LOADED if table.name == name)
                width = len(table.columns)
                with writing(connection):
                    # Columns that came later are not made here, and may be NULL.
                    whole = ((None, *row, *[None] * (width - len(row))) for row in rows)
                    connection.executemany(insert_statement(table), whole)
            took, cpu = [], time.process_time()
            for _ in range(rounds):
                progress("computing the day")
                with writing(connection):
                    connection.execute(
                        "INSERT OR REPLACE INTO dirty_buckets VALUES (?, ?, 0, 0)",
                        (DAILY_SNAPSHOTS.name, FIRST),
                    )
                took.append(seconds(lambda: drain(connection, DAILY_SNAPSHOTS, settings)))
            cpu = (time.process_time() - cpu) / rounds
            made = connection.execute("SELECT count(*) FROM daily_snapshots").fetchone()
            assert made == (clusters,), made
            counts = [
                [name, f"{connection.execute(f'SELECT count(*) FROM {name}').fetchone()[0]:,}"]
                for name in ("metrics_snapshots", "collection_ticks", "latency_histogram")
            ]
    progress()
    print_table([f"a day of {clusters} clusters", "rows"], counts)
    aims(
        ("day computed, s", statistics.median(took), "<=", 5),
        ("the same, CPU s: what it takes alone", cpu, "<=", 5),
    )


def _day_of_many(clusters: int) -> dict[str, Iterator[Row]]:
    """By tick, then by cluster, as they come."""
    random = Random(1)
    ticks = [FIRST * clock.DAY + number * TICK for number in range(TICKS_A_DAY)]
    names = [f"cluster-{number:02}" for number in range(clusters)]
    columns = SOURCES["metrics_snapshots"].columns[2:]
    state = [random.randrange(10_000) for _ in columns]
    counts = {bucket: 1 + bucket % 30 for bucket in range(100, 300)}
    looked = ("ok", 120, "10.0.0.1:9030", "10.0.0.1:9030", 13, 13, 86_669, 0, 0, None)
    return {
        "metrics_snapshots": (
            (at, name, *state[:-1], random.randrange(10_000)) for at in ticks for name in names
        ),
        "collection_ticks": ((at, name, *looked) for at in ticks for name in names),
        "latency_histogram": (
            (at, name, sum(counts.values()), packed(counts)) for at in ticks[::10] for name in names
        ),
    }
