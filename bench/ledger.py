"""Room that the ledger of loaded files takes, with a row for each file and as it is kept.

    .venv/bin/python bench/ledger.py [DAYS]

A collector lands six files every 30 seconds for so many days (30); each has sums of half of its
columns. The files are not written, only entered into the ledger, which is shortened after each day.
"""

from __future__ import annotations

import json
import random
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from gateway_assets import clock
from gateway_assets.files.landing import Landed, Origin, Stamp, landing_name
from gateway_assets.hot import ledger
from gateway_assets.hot.store import open_store, writing
from gateway_assets.source import Source
from gateway_assets.tables import TABLES

FILES, TICK = 6, 30 * clock.SECOND
SOURCES = [(table, table.source) for table in TABLES if table.source][:FILES]


def main(days: int) -> None:
    today = clock.day_of(clock.now())
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(Path(folder) / "kept.db") as kept,
        open_store(Path(folder) / "rows.db") as rows,
    ):
        seconds = 0.0
        for day in range(today - days + 1, today + 1):
            for store in (kept, rows):
                _enter_day(store, day)
            seconds += _shorten(kept, (today - day) * clock.DAY)
        print(json.dumps({"days": days, "files": days * clock.DAY // TICK * FILES}))
        print(json.dumps({"with rows": _sizes(rows), "kept": _sizes(kept)}))
        print(json.dumps({"shortening, seconds a day": round(seconds / days, 3)}))


def _enter_day(store: sqlite3.Connection, day: int) -> None:
    origin = Origin("box", "collect", f"{day // 7:08x}")  # begun again once a week
    with writing(store):
        for number, moment in enumerate(range(*clock.day_range(day), TICK)):
            for table, source in SOURCES:
                landed = _landed(source, Stamp(origin, moment, day % 7 * 2880 + number))
                ledger.enter(store, table, landed, 1)
        store.execute(
            "UPDATE loaded_files SET loaded_at = ? WHERE loaded_at > ?",
            (day * clock.DAY, clock.now() - clock.HOUR),
        )


def _landed(source: Source, stamp: Stamp) -> Landed:
    name = landing_name(source, stamp)
    made = random.Random(name)
    sums = {column: made.randrange(10**6) * made.randrange(2) for column in source.summed}
    crc32 = f"{made.getrandbits(32):08x}"
    return Landed(name, Path(name), 10, sums, crc32, True, 2000, {})


def _shorten(store: sqlite3.Connection, ago: int) -> float:
    """As on the evening of a day that is so long ago; loaded files stay for 24 hours."""
    started = time.monotonic()
    for table, _ in SOURCES:
        ledger.shorten(store, table, ago + clock.DAY)
    return time.monotonic() - started


def _sizes(store: sqlite3.Connection) -> dict[str, int]:
    query = "SELECT name, sum(pgsize) FROM dbstat WHERE name GLOB '*loaded*' GROUP BY name"
    return dict(store.execute(query).fetchall())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["30"]))
