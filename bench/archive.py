"""The archiver against a plain pandas script: ten closed days of SQLite rows become Parquet.

The script does what is usually written first: ``read_sql`` a day, ``to_parquet`` partitioned,
DELETE the day. It verifies nothing, syncs no file, and a crash between its two steps doubles or
loses a day. The archiver compares every value twice, syncs, publishes and hides in one
transaction, and deletes in paced steps of 500 rows so that other writers never wait long; those
pauses are part of its time and also shown apart. Both start from a copy of the same database.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import pandas as pd
from made_rows import TODAY, fill_hot
from side_by_side import Figures, in_turns, print_heading, print_table, ratio, seconds

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.archive.prune import CHUNK_ROWS, PAUSE_SECONDS
from gateway_assets.bridge.overview import overview
from gateway_assets.hot.store import open_store
from gateway_assets.settings import load_settings
from gateway_assets.tables import IP_TRAFFIC

DAYS = range(TODAY - 20, TODAY - 10)


def archiver(full: Path, folder: Path) -> Figures:
    settings = load_settings(data_dir=folder, archive_grace_hours=0)
    shutil.copy(full, settings.hot_database)
    exported = 0.0

    def progress(*_: int) -> None:  # called after every exported day, not while pruning
        nonlocal exported
        exported = time.perf_counter()

    with open_store(settings.hot_database) as connection:
        started = time.perf_counter()
        result = UniversalArchiver(connection, settings).run(IP_TRAFFIC, progress=progress)
        ended = time.perf_counter()
    assert result.rows == result.pruned_rows
    return {
        "seconds": ended - started,
        "export": exported - started,
        "pauses": result.pruned_rows // CHUNK_ROWS * PAUSE_SECONDS,
        "rows": result.rows,
        "bytes": sum(path.stat().st_size for path in settings.archive.rglob("*.parquet")),
    }


def script(full: Path, folder: Path) -> Figures:
    database, archive = folder / "hot.db", folder / "parquet"
    shutil.copy(full, database)
    elapsed = seconds(lambda: unsafe_pandas(database, archive))
    return {
        "seconds": elapsed,
        "rows": len(pd.read_parquet(archive, columns=["id"])),
        "bytes": sum(path.stat().st_size for path in archive.rglob("*.parquet")),
    }


def unsafe_pandas(database: Path, archive: Path) -> None:
    connection = sqlite3.connect(database)
    for day in DAYS:
        bounds = clock.day_range(day)
        query = "SELECT * FROM ip_traffic WHERE time >= ? AND time < ?"
        frame = pd.read_sql(query, connection, params=bounds)
        for name in ("time", "end_time"):
            frame[name] = pd.to_datetime(frame[name], unit="us", utc=True)
        frame["day"] = clock.day_text(day)
        frame.to_parquet(archive, compression="zstd", partition_cols=["day"])
        connection.execute("DELETE FROM ip_traffic WHERE time >= ? AND time < ?", bounds)
        connection.commit()
    connection.close()


def fresh(root: Path) -> Path:
    folder = root / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print_heading(__doc__, "pyarrow", "pandas")
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        root = Path(name)
        settings = load_settings(data_dir=root / "full")
        with open_store(settings.hot_database) as connection:
            fill_hot(connection, settings, DAYS, asked.rows)
            hot = overview(connection)[0]
        ways = {
            "UniversalArchiver": lambda: archiver(settings.hot_database, fresh(root)),
            "pandas script": lambda: script(settings.hot_database, fresh(root)),
        }
        found = in_turns(ways, asked.rounds)
    ours, theirs = found["UniversalArchiver"], found["pandas script"]
    assert ours["rows"] == theirs["rows"] == hot.hot_rows
    rows = ours["rows"]
    active = ours["seconds"] - ours["pauses"]
    timed = {
        "archiver, all of it": ours["seconds"],
        "archiver without pauses": active,
        "archiver, export verified": ours["export"],
        "pandas script": theirs["seconds"],
    }
    print_table(
        ["", "seconds", "rows/s", "time / script"],
        [
            [name, f"{took:.2f}", f"{rows / took:,.0f}", ratio(took, theirs["seconds"])]
            for name, took in timed.items()
        ],
    )
    print(f"\n{rows:,.0f} rows, {len(DAYS)} days, median of {asked.rounds}; bytes a row:")
    hot_size = (hot.hot_bytes or settings.hot_database.stat().st_size) / rows
    sizes = {
        "hot (table and index)": hot_size,
        "cold, archiver": ours["bytes"] / rows,
        "cold, script": theirs["bytes"] / rows,
    }
    print_table(
        ["", "bytes/row", "hot / this"],
        [[name, f"{size:.1f}", ratio(hot_size, size)] for name, size in sizes.items()],
    )


if __name__ == "__main__":
    main()
