"""What is usually written first to archive a table: quick scripts that verify and sync nothing.

``duckdb``  plain sqlite3, ``fetchall``, Arrow, one ``COPY … PARTITION_BY day``, one DELETE, VACUUM
``pandas``  ``read_sql`` of a day, ``to_parquet``, DELETE of the day, commit; the file never shrinks
``delete``  the DELETE and VACUUM alone

A crash between copy and DELETE doubles or loses rows, a row changed in between is lost. DuckDB
sees Arrow only, never the SQLite file. Run as a child: figures go to stdout as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from gateway_assets import clock
from gateway_assets.settings import load_settings
from gateway_assets.tiers.registry import TableLine, table_lines


def condition(line: TableLine) -> str:
    """SQL for the rows that the archiver would take; times of this data begin with a UTC date."""
    first_hot = clock.day_text(clock.day_of(clock.now()) - line.days_hot)
    return f"{line.time} < '{first_hot}'" + (f" AND ({line.where})" if line.where else "")


def by_duckdb(connection: sqlite3.Connection, lines: list[TableLine], folder: Path) -> int:
    rows = 0
    folder.mkdir(parents=True)
    for line in lines:
        cursor = connection.execute(f"SELECT * FROM {line.name} WHERE {condition(line)}")
        names = [column[0] for column in cursor.description]
        columns = zip(*cursor.fetchall(), strict=True)
        table = pa.table(dict(zip(names, map(pa.array, columns), strict=True)))
        with closing(duckdb.connect()) as session:
            session.register("rows_of_table", table)
            session.execute(
                f"COPY (SELECT *, substr({line.time}, 1, 10) AS day FROM rows_of_table) "
                f"TO '{folder / line.name}' (FORMAT parquet, PARTITION_BY (day), COMPRESSION zstd)"
            )
        rows += table.num_rows
    by_delete(connection, lines, folder)
    return rows


def by_delete(connection: sqlite3.Connection, lines: list[TableLine], _: Path) -> int:
    rows = 0
    for line in lines:
        rows += connection.execute(f"DELETE FROM {line.name} WHERE {condition(line)}").rowcount
    connection.commit()
    connection.execute("VACUUM")
    return rows


def by_pandas(connection: sqlite3.Connection, lines: list[TableLine], folder: Path) -> int:
    return sum(_pandas_days(connection, line, folder / line.name) for line in lines)


def _pandas_days(connection: sqlite3.Connection, line: TableLine, folder: Path) -> int:
    # Without this every day reads the whole table, and the script takes several times as long.
    connection.execute(f"CREATE INDEX bench_{line.name} ON {line.name} ({line.time})")
    rows = 0
    for day in _days(connection, line):
        of_day = f"{line.time} >= ? AND {line.time} < ? AND {condition(line)}"
        bounds = clock.day_text(day), clock.day_text(day + 1)
        frame = pd.read_sql(f"SELECT * FROM {line.name} WHERE {of_day}", connection, params=bounds)
        if frame.empty:
            continue
        target = folder / f"day={bounds[0]}"
        target.mkdir(parents=True)
        frame.to_parquet(target / "rows.parquet", compression="zstd")
        connection.execute(f"DELETE FROM {line.name} WHERE {of_day}", bounds)
        connection.commit()
        rows += len(frame)
    return rows


def _days(connection: sqlite3.Connection, line: TableLine) -> Iterator[int]:
    query = f"SELECT min(substr({line.time}, 1, 10)) FROM {line.name} WHERE {condition(line)}"
    (first,) = connection.execute(query).fetchone()
    yield from range(clock.parse_day(first), clock.day_of(clock.now()) - line.days_hot)


WAYS: dict[str, Callable[[sqlite3.Connection, list[TableLine], Path], int]] = {
    "duckdb": by_duckdb,
    "pandas": by_pandas,
    "delete": by_delete,
}


def main() -> None:
    way, folder = sys.argv[1], Path(sys.argv[2])
    lines = list(table_lines(load_settings(data_dir=folder)))
    with closing(sqlite3.connect(lines[0].database, timeout=60)) as connection:
        started, before = time.perf_counter(), time.process_time()
        rows = WAYS[way](connection, lines, folder / "archive" / "parquet")
        took, cpu = time.perf_counter() - started, time.process_time() - before
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    print(json.dumps({"seconds": took, "cpu": cpu, "rows": rows}))


if __name__ == "__main__":
    main()
