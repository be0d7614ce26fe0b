"""A data directory with something in every place that a backup must know."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import open_log
from gateway_assets.hot.load import load
from gateway_assets.hot.store import open_store
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings
from gateway_assets.tables import IP_TRAFFIC
from tests.traffic import TODAY, land_days, land_rows, roll_up

DAYS = range(TODAY - 9, TODAY + 1)
LOADED, WAITING = 1200, 40
TRAFFIC = "SELECT count(*) AS n, sum(tx_bytes) AS sent, sum(rx_bytes) AS got FROM ip_traffic"


def fill(settings: Settings) -> None:
    """Rows hot and archived, points, and of both some that wait to be loaded."""
    land_days(settings.landing, DAYS)
    with open_store(settings.hot_database) as connection:
        load(connection, IP_TRAFFIC, settings)
        roll_up(connection, settings)
    UniversalArchiver(settings).archive_table(IP_TRAFFIC)
    land_rows(settings.landing, TODAY - 1, 50, WAITING)
    write_points(settings, range(10))
    load_points(settings)
    write_points(settings, range(10, 15))


def write_points(settings: Settings, numbers: range) -> None:
    """One frame a point; each call begins a segment."""
    now = time.time_ns()
    with closing(open_log(settings.frames / "a")) as log:
        log.append_many(
            [(Kind.DATA, b"cpu,host=a n=%d %d" % (one, now + one), now) for one in numbers]
        )


def load_points(settings: Settings) -> None:
    with open_points(settings.points_database) as connection:
        Loader(connection, settings).load()


def declare_user_table(settings: Settings, database: Path, rows: int) -> None:
    """A table of an application whose database is elsewhere."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE jobs (id INTEGER PRIMARY KEY, at INTEGER, what TEXT)")
        connection.executemany(
            "INSERT INTO jobs (at, what) VALUES (?, 'x')",
            [(1_700_000_000 + n,) for n in range(rows)],
        )
    line = f'[[tables]]\nname = "jobs"\ndatabase = "{database}"\ntime = "at"\n'
    (settings.data_dir / "tables.toml").write_text(line)


def ask(settings: Settings, query: str = TRAFFIC) -> list[dict[str, Any]]:
    return UnifiedQueryBridge(settings).rows(query)


def everything(settings: Settings) -> list[Any]:
    """All rows that a data directory has once all that waits is loaded."""
    with open_store(settings.hot_database) as connection:
        load(connection, IP_TRAFFIC, settings)
    load_points(settings)
    values = ask(settings, "SELECT value FROM points ORDER BY value")
    return [ask(settings), [row["value"] for row in values]]


def left(folder: Path) -> set[str]:
    """What is in a directory of backups, but the lock."""
    return {path.name for path in folder.iterdir()} - {".lock"} if folder.exists() else set()
