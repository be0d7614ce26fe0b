"""Archiving tables of any SQLite file, against quick unsafe scripts: time, bytes, memory, waiting.

    forward  the four tables of `gateway demo forward-db`: seconds and bytes against the scripts
    narrow   a metrics table of 50,000 rows a day: rows/s, bytes a row, peak memory
    wide     task_queue alone: rows/s
    writer   how long another process waits that inserts 200 rows a second meanwhile
    history  what one more day costs when 1 to 3,650 days are archived

Everything the archiver does is in its time: reading back and comparing, fsync, the pauses it
makes for other writers (also shown apart), monthly copies, VACUUM. The scripts (``unsafe.py``)
do none of that but VACUUM. Every run is a fresh child process on a fresh copy of the database;
starting Python and importing are not in the times. Peak memory is VmHWM of that child, because
the kernel's maxrss of a child begins with what its parent had.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import SupportsIndex

import pyarrow.parquet as pq
from made_tables import (
    EVENTS_LINE,
    METRICS_LINE,
    events_db,
    forward_db,
    fresh,
    hot_bytes,
    metrics_db,
    sizes,
)
from side_by_side import (
    Figures,
    aims,
    in_turns,
    peak_memory,
    print_heading,
    print_table,
    ratio,
)

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.cli.forward import registry_lines
from gateway_assets.settings import load_settings

HERE = Path(__file__).parent
TABLES = ("task_queue", "rule_logs", "audit_logs", "media_signatures")
MB = 1e6

HISTORY, DAYS_TIMED = (1, 100, 1_000, 3_650), 5

IDLE_SECONDS, LOOK_SECONDS = 15, 0.02


# What runs in children.


def archive(folder: Path, *tables: str) -> Figures:
    archiver = UniversalArchiver(load_settings(data_dir=folder))
    paused, sleep = [0.0], time.sleep

    def counted(seconds: float | SupportsIndex) -> None:
        paused.append(float(seconds))
        sleep(seconds)

    time.sleep = counted
    started, before = time.perf_counter(), time.process_time()
    results = archiver.archive_all(tables)
    took = time.perf_counter() - started
    assert not any(result.failed for result in results), results
    assert all(result.rows == result.pruned_rows for result in results)
    return {
        "seconds": took,
        "cpu": time.process_time() - before,
        "pauses": sum(paused),
        "rows": sum(result.rows for result in results),
        **{result.table: result.rows for result in results},
        "rss": peak_memory(),
    }


def one_more_day(folder: Path) -> Figures:
    """Milliseconds of archiving one day, by how many days are archived already."""
    archiver = UniversalArchiver(load_settings(data_dir=folder))
    oldest = HISTORY[-1] + DAYS_TIMED
    found = {}
    for days in HISTORY:
        archiver.archive_table("events", oldest - days)
        runs = [archiver.archive_table("events", oldest - days - n - 1) for n in range(DAYS_TIMED)]
        assert all(len(run.days) == 1 and not run.failed for run in runs)
        found[str(days)] = statistics.median(run.seconds for run in runs) * 1000
    return found


CHILDREN: dict[str, Callable[..., Figures]] = {"archive": archive, "days": one_more_day}


def child(script: str, *arguments: str, **settings: object) -> subprocess.Popen[str]:
    given = {f"GATEWAY_ARCHIVE_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, str(HERE / script), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "GATEWAY_ARCHIVE_GRACE_HOURS": "0", **given},
    )


def finished(process: subprocess.Popen[str]) -> Figures:
    output, _ = process.communicate()
    assert process.returncode == 0, process.args
    figures: Figures = json.loads(output)
    return figures


def one_run(
    full: Path, registry: str, script: str, way: str, *rest: str, **given: object
) -> Figures:
    with fresh(full, registry) as folder:
        figures = finished(child(script, way, str(folder), *rest, **given))
        return {**figures, **sizes(folder, folder / full.name)}


# What is compared.


def compare_forward(rounds: int) -> None:
    full, lines = forward_db(), registry_lines(forward_db().name)
    ours = partial(one_run, full, lines, "tiering.py", "archive", *TABLES)
    theirs = partial(one_run, full, lines, "unsafe.py")
    ways = {
        "archive": partial(ours, backup=False),
        "archive, with backup": partial(ours, backup=True),
        "DuckDB COPY": partial(theirs, "duckdb"),
        "pandas by day": partial(theirs, "pandas"),
        "gzip -6": partial(gzip, full),
    }
    found = in_turns(ways, rounds)
    archive, unsafe = found["archive"], found["DuckDB COPY"]
    assert archive["rows"] == unsafe["rows"] == found["pandas by day"]["rows"]
    before = hot_bytes(full, TABLES, archive)
    in_months = {table: archive[f"{table} in months"] for table in TABLES}
    before_months = hot_bytes(full, TABLES, in_months)
    print_table(
        [
            "forward",
            "s",
            "CPU s",
            "pauses",
            "rows/s",
            "/ COPY",
            "hot MB",
            "cold MB",
            "smaller",
            "RSS MB",
        ],
        [
            [
                name,
                f"{run['seconds']:.1f}",
                f"{run['cpu']:.1f}" if "cpu" in run else "",
                f"{run['pauses']:.1f}" if "pauses" in run else "",
                f"{run['rows'] / run['seconds']:,.0f}" if "rows" in run else "",
                ratio(run["seconds"], unsafe["seconds"]),
                f"{run['hot'] / MB:.1f}",
                f"{run['cold'] / MB:.1f}",
                f"{100 - 100 * run['cold'] / run.get('whole', before):.1f} %",
                f"{run['rss'] / MB:.0f}" if "rss" in run else "",
            ]
            for name, run in found.items()
        ],
    )
    aims(
        ("seconds", archive["seconds"], "<=", 15),
        ("seconds / DuckDB COPY", archive["seconds"] / unsafe["seconds"], "<=", 8),
        ("hot MB", archive["hot"] / MB, "<=", 10),
        ("daily files, % smaller", 100 - 100 * archive["cold"] / before, ">=", 88),
        ("monthly copies, % smaller", 100 - 100 * archive["months"] / before_months, ">=", 90),
    )
    print(f"hot bytes of the {archive['rows']:,.0f} archived rows: {before / MB:.1f} MB; of the")
    print(f"{sum(in_months.values()):,.0f} rows in monthly copies: {before_months / MB:.1f} MB\n")


def gzip(full: Path) -> Figures:
    started = time.perf_counter()
    packed = subprocess.run(["gzip", "-6", "-c", full], stdout=subprocess.PIPE, check=True).stdout
    took, whole = time.perf_counter() - started, full.stat().st_size
    return {"seconds": took, "hot": whole, "cold": len(packed), "whole": whole}


def compare_narrow(rounds: int, rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        full = Path(name) / "metrics.db"
        metrics_db(full, rows)
        way = partial(one_run, full, METRICS_LINE, "tiering.py", "archive", "metrics", backup=False)
        found = in_turns({"archive": way}, rounds)["archive"]
        before = hot_bytes(full, ["metrics"], found)
    rate, each = found["rows"] / found["seconds"], found["cold"] / found["rows"]
    print(f"narrow: {spent(found)}, hot {before / found['rows']:.1f} B/row, cold {each:.2f} B/row")
    aims(
        ("rows/s, verified", rate, ">=", 150_000),
        ("cold bytes a row", each, "<=", 5.5),
        ("peak MB", found["rss"] / MB, "<=", 300),
    )


def compare_wide(rounds: int) -> None:
    full, lines = forward_db(), registry_lines(forward_db().name)
    way = partial(one_run, full, lines, "tiering.py", "archive", "task_queue", backup=False)
    found = in_turns({"archive": way}, rounds)["archive"]
    print(f"wide, task_queue alone: {spent(found)}")
    aims(("rows/s", found["rows"] / found["seconds"], ">=", 20_000))


def compare_writer(rounds: int) -> None:
    full, lines = forward_db(), registry_lines(forward_db().name)
    run = partial(beside, full, lines)
    ways = {
        "idle": partial(run, []),
        "archive": partial(run, ["tiering.py", "archive", *TABLES]),
        "DELETE, VACUUM": partial(run, ["unsafe.py", "delete"]),
    }
    found = in_turns(ways, rounds)
    names = ["p50", "p95", "p99", "max", "wal", "seconds"]
    print_table(
        ["writer, 200 rows/s", "p50 ms", "p95", "p99", "max", "WAL MB", "s"],
        [[name, *(f"{run[key]:.1f}" for key in names)] for name, run in found.items()],
    )
    archive = found["archive"]
    print("every row that was there or inserted is hot or archived, once")
    aims(
        ("p99 ms", archive["p99"], "<=", 50),
        ("max ms", archive["max"], "<=", 150),
        ("WAL MB", archive["wal"], "<=", 32),
    )


def beside(full: Path, registry: str, work: list[str]) -> Figures:
    """What a writer meets while other work is done."""
    with fresh(full, registry) as folder:
        database = folder / full.name
        writer = child("writer.py", str(database))
        wal, stop = [0], threading.Event()
        watcher = threading.Thread(target=watch, args=(Path(f"{database}-wal"), wal, stop))
        watcher.start()
        started = time.perf_counter()
        time.sleep(1)
        if work:
            script, way, *rest = work
            finished(child(script, way, str(folder), *rest, backup=False))
        else:
            time.sleep(IDLE_SECONDS)
        took = time.perf_counter() - started
        met = finished(writer)
        stop.set()
        watcher.join()
        if "delete" not in work:
            check_all_there(full, folder, int(met["inserted"]))
        return {**met, "seconds": took, "wal": max(wal) / MB}


def watch(path: Path, sizes_seen: list[int], stop: threading.Event) -> None:
    while not stop.wait(LOOK_SECONDS):
        if path.exists():
            sizes_seen.append(path.stat().st_size)


def check_all_there(full: Path, folder: Path, inserted: int) -> None:
    """Every id of every table stands in the database or in one file of the archive, once."""
    for table in TABLES:
        query = f"SELECT id FROM {table}"
        with closing(sqlite3.connect(full)) as connection:
            wanted = [number for (number,) in connection.execute(query)]
        with closing(sqlite3.connect(folder / full.name)) as connection:
            there = [number for (number,) in connection.execute(query)]
        if table == "task_queue":
            wanted += range(max(wanted) + 1, max(wanted) + 1 + inserted)
        for file in (folder / "archive/parquet" / table).rglob("*.parquet"):
            there += pq.ParquetFile(file).read(["id"])["id"].to_pylist()
        assert sorted(there) == sorted(wanted), table


def compare_history(rounds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        full = Path(name) / "events.db"
        events_db(full, HISTORY[-1] + DAYS_TIMED)
        way = partial(one_run, full, EVENTS_LINE, "tiering.py", "days", backup=False)
        found = in_turns({"archive": way}, rounds)["archive"]
    print_table(
        ["history, days archived already", "ms a day", "/ first"],
        [
            [f"{days:,}", f"{found[str(days)]:.0f}", ratio(found[str(days)], found["1"])]
            for days in HISTORY
        ],
    )
    aims(("last / first", found[str(HISTORY[-1])] / found[str(HISTORY[0])], "<=", 1.5))


def spent(run: Figures) -> str:
    seconds = f"{run['seconds']:.1f} s ({run['cpu']:.1f} s CPU, {run['pauses']:.1f} s pauses)"
    return f"{run['rows']:,.0f} rows in {seconds}"


def main() -> None:
    if sys.argv[1:] and sys.argv[1] in CHILDREN:
        name, folder, *rest = sys.argv[1:]
        print(json.dumps(CHILDREN[name](Path(folder), *rest)))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ["forward", "narrow", "wide", "writer", "history"]
    parser.add_argument("what", nargs="*", default=names, metavar="what", help=", ".join(names))
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of narrow")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    print_heading(__doc__, "duckdb", "pyarrow", "pandas")
    parts: dict[str, Callable[[int], None]] = {
        "forward": compare_forward,
        "narrow": partial(compare_narrow, rows=asked.rows),
        "wide": compare_wide,
        "writer": compare_writer,
        "history": compare_history,
    }
    for what in asked.what:
        parts[what](asked.rounds)


if __name__ == "__main__":
    main()
