"""UnifiedQueryBridge over hot and cold against DuckDB over the Parquet files and plain SQLite.

Thirty closed days, of which the last seven are hot. DuckDB reads the glob of the same Parquet
files: the cold part only, so it answers for fewer rows, and it would count a day twice while
its hot copies wait to be pruned. SQLite holds all rows in one indexed table and never archives.
Both keep their connection open; the bridge reads the manifest and locks a new DuckDB every time.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import duckdb
from made_rows import TODAY, fill_hot
from side_by_side import Figures, in_turns, print_heading, print_table, ratio, seconds

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.hot.store import open_store
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tables import IP_TRAFFIC

DAYS = range(TODAY - 30, TODAY)
COLD_DAY = DAYS[10]
BOUNDS = clock.day_range(COLD_DAY)
MOMENTS = [f"TIMESTAMPTZ '{clock.iso(bound)}'" for bound in BOUNDS]

QUERIES = {  # the same question in both dialects; SQLite keeps times as integers
    "count(*)": ("SELECT count(*) FROM {rows}", "SELECT count(*) FROM {rows}"),
    "one cold day's sum": (
        f"SELECT sum(tx_bytes) FROM {{rows}} WHERE time >= {MOMENTS[0]} AND time < {MOMENTS[1]}",
        f"SELECT sum(tx_bytes) FROM {{rows}} WHERE time >= {BOUNDS[0]} AND time < {BOUNDS[1]}",
    ),
    "group by day": tuple(
        f"SELECT {day} AS utc_day, count(*), sum(tx_bytes) FROM {{rows}} GROUP BY 1 ORDER BY 1"
        for day in ("epoch_us(time) // 86400000000", "time / 86400000000")
    ),
}

Ask = Callable[[str], list[tuple[object, ...]]]


def prepare(root: Path, rows: int) -> tuple[Settings, Path]:
    """Cold and hot days under the settings, and all rows in a database of their own."""
    settings = load_settings(data_dir=root / "data", archive_grace_hours=0)
    everything = root / "everything.db"
    with open_store(settings.hot_database) as connection:
        fill_hot(connection, settings, DAYS, rows)
        connection.execute("VACUUM INTO ?", [str(everything)])
        UniversalArchiver(settings).archive_table(IP_TRAFFIC)
    return settings, everything


def ask_bridge(bridge: UnifiedQueryBridge, query: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in bridge.rows(query)]


def ask_duckdb(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[object, ...]]:
    return connection.sql(query).fetchall()


def ask_sqlite(connection: sqlite3.Connection, query: str) -> list[tuple[object, ...]]:
    return connection.execute(query).fetchall()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=15)
    asked = parser.parse_args()
    print_heading(__doc__, "duckdb", "pyarrow")
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as name:
        settings, everything = prepare(Path(name), asked.rows)
        glob = f"'{settings.archive}/ip_traffic/*/*/*/*.parquet'"
        session = duckdb.connect()
        session.execute("SET TimeZone = 'UTC'")
        lite = sqlite3.connect(everything)
        bridge = partial(ask_bridge, UnifiedQueryBridge(settings))
        sides: dict[str, tuple[Ask, int, str]] = {
            "bridge, hot + cold": (bridge, 0, "ip_traffic"),
            "DuckDB glob, cold only": (partial(ask_duckdb, session), 0, glob),
            "SQLite, one table": (partial(ask_sqlite, lite), 1, "ip_traffic"),
        }
        for title, texts in QUERIES.items():
            ways, answers = {}, {}
            for side, (ask, dialect, rows) in sides.items():
                query = texts[dialect].format(rows=rows)
                answers[side] = ask(query)
                ways[side] = partial(_timed, ask, query)
            assert answers["bridge, hot + cold"] == answers["SQLite, one table"]
            _print(title, in_turns(ways, asked.rounds))
        (cold,) = session.sql(f"SELECT count(*) FROM {glob}").fetchall()[0]
        lite.close()
        session.close()
    total = asked.rows // len(DAYS) * len(DAYS)
    print(f"{total:,} rows, {cold:,} of them cold, median of {asked.rounds}")


def _timed(ask: Ask, query: str) -> Figures:
    return {"ms": seconds(lambda: ask(query)) * 1000}


def _print(title: str, found: dict[str, Figures]) -> None:
    ours = found["bridge, hot + cold"]["ms"]
    print_table(
        [title, "ms", "bridge / this"],
        [
            [side, f"{figures['ms']:.2f}", ratio(ours, figures["ms"])]
            for side, figures in found.items()
        ],
    )
    print()


if __name__ == "__main__":
    main()
