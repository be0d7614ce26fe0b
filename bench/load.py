"""The loader against ``json.loads`` and ``executemany``: landing files become hot rows.

The naive loader looks at nothing: no CRC-32, no row count, no sums, no types, and no ledger, so
a second run doubles every row. It inserts into the same table with the same index and commits
once at the end. The loader checks each of these, remembers every file and marks the roll-ups.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path

from made_rows import TODAY, land_days
from side_by_side import Figures, in_turns, print_heading, print_table, ratio, seconds

from gateway_assets.files.landing import landing_files
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.tables import IP_TRAFFIC

DAYS = range(TODAY - 10, TODAY)
NAMES = [column.name for column in IP_TRAFFIC.columns]
INSERT = f"INSERT INTO ip_traffic ({', '.join(NAMES)}) VALUES ({', '.join('?' * len(NAMES))})"


def naive(connection: sqlite3.Connection, settings: Settings) -> None:
    connection.execute("BEGIN")
    for path in landing_files(settings.landing, SOURCE):
        with path.open(encoding="utf-8") as file:
            records = [json.loads(line) for line in file]
        rows = [tuple(record[name] for name in NAMES) for record in records[1:-1]]
        connection.executemany(INSERT, rows)
    connection.execute("COMMIT")


def checked(connection: sqlite3.Connection, settings: Settings) -> None:
    load(connection, IP_TRAFFIC, settings)


def into_empty(
    work: Callable[[sqlite3.Connection, Settings], None], settings: Settings, rows: int
) -> Figures:
    for path in settings.data_dir.glob("hot.db*"):
        path.unlink()
    with open_store(settings.hot_database) as connection:
        took = seconds(lambda: work(connection, settings))
        assert connection.execute("SELECT count(*) FROM ip_traffic").fetchone() == (rows,)
    return {"seconds": took}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--per-file", type=int, default=200, help="rows of one landing file")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    print_heading(__doc__)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        settings = load_settings(data_dir=Path(name))
        landed = land_days(settings.landing, DAYS, asked.rows, asked.per_file)
        rows = sum(file.rows for file in landed)
        ways = {
            "gateway load": lambda: into_empty(checked, settings, rows),
            "naive loader": lambda: into_empty(naive, settings, rows),
        }
        found = in_turns(ways, asked.rounds)
    base = found["naive loader"]["seconds"]
    print_table(
        ["", "seconds", "rows/s", "files/s", "time / naive"],
        [
            [
                name,
                f"{figures['seconds']:.2f}",
                f"{rows / figures['seconds']:,.0f}",
                f"{len(landed) / figures['seconds']:,.0f}",
                ratio(figures["seconds"], base),
            ]
            for name, figures in found.items()
        ],
    )
    size = sum(file.size for file in landed) / 1e6
    print(f"\n{rows:,} rows in {len(landed):,} files, {size:.1f} MB, median of {asked.rounds}")


if __name__ == "__main__":
    main()
