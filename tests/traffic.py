"""Landing files of made-up traffic, with totals that a test can know in advance."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway_assets import clock
from gateway_assets.archive.totals import Totals, stored
from gateway_assets.files.landing import Landed, Origin, Row, Stamp, land
from gateway_assets.rollups.drain import drain
from gateway_assets.settings import Settings, load_settings
from gateway_assets.sources.ip_traffic import SOURCE
from gateway_assets.table import Table
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import find, tiered
from gateway_assets.tiers.tiered import Tiered

ORIGIN = Origin("box", "test", "0123456789abcdef")
TODAY = clock.day_of(clock.now())
STEP = 30 * clock.SECOND


def row(day: int, number: int, *, sent: int = 1000, process: str | None = "nginx") -> Row:
    """One valid row: the ``number``-th interval of a day."""
    time = day * clock.DAY + number * STEP
    pid = None if process is None else 42
    remote = f"192.0.2.{number % 200}"
    return (
        time,
        time + STEP,
        "box",
        "test",
        "ip",
        "eth0",
        remote,
        process,
        pid,
        sent,
        number,
        None,
        None,
    )


def land_rows(root: Path, day: int, sequence: int, count: int, *, sent: int = 1000) -> Landed:
    """One landing file of ``count`` rows; every second one without a process."""
    rows = [
        row(
            day,
            (sequence * count + number) % 2880,
            sent=sent,
            process="nginx" if number % 2 else None,
        )
        for number in range(count)
    ]
    stamp = Stamp(ORIGIN, day * clock.DAY + sequence * STEP, sequence)
    return land(root, SOURCE, stamp, rows)


def seen(connection: sqlite3.Connection, table: Table) -> Tiered:
    """One of this project's tables as the archive sees it."""
    settings = load_settings()
    return tiered(connection, find(settings, table), settings)


def total(connection: sqlite3.Connection, table: Table, day: int | None = None) -> Totals:
    """What a table answers for, hot and cold."""
    return stored(connection, seen(connection, table), load_settings().archive, day)


def land_days(root: Path, days: range, *, files: int = 3, rows: int = 40) -> None:
    for day in days:
        for sequence in range(files):
            land_rows(root, day, sequence, rows)


def roll_up(connection: sqlite3.Connection, settings: Settings) -> None:
    """Bring every roll-up up to date."""
    for table in TABLES:
        if table.below:
            drain(connection, table, settings).raise_failures()
