"""The raw floor: points before it are removed, and only their roll-ups know of them.

It is raised before anything is removed, and only over hours that are rolled up. The archive removes
what lies below it (``tiers.built_in``), a refresh computes nothing there, and a question that would
need points from there is refused. So retention never takes a roll-up with it.
"""

from __future__ import annotations

import sqlite3
import time

from gateway_assets.hot.store import writing
from gateway_assets.points.levels import DAY, HOUR
from gateway_assets.settings import Settings

NAME = "points"
NO_FLOOR = -(2**63)


def raw_floor(connection: sqlite3.Connection) -> int:
    """The first moment (ns) of which points may be there."""
    query = "SELECT time FROM floors WHERE name = ?"
    (floor,) = connection.execute(query, (NAME,)).fetchone() or (NO_FLOOR,)
    return int(floor)


def raise_floor(connection: sqlite3.Connection, settings: Settings) -> int:
    """Raise it to the first day that stays by ``points_keep_days``, or to the first hour that is
    not rolled up. Returns the floor.
    """
    wanted = time.time_ns() // DAY * DAY - settings.points_keep_days * DAY
    with writing(connection):
        (marked,) = connection.execute(
            "SELECT min(hour) FROM dirty_hours WHERE hour * ? >= ?", (HOUR, raw_floor(connection))
        ).fetchone()
        if marked is not None:
            wanted = min(wanted, marked * HOUR // DAY * DAY)
        if wanted > raw_floor(connection) and _has_points_before(connection, wanted):
            connection.execute(
                "INSERT INTO floors (name, time) VALUES (?, ?) "
                "ON CONFLICT DO UPDATE SET time = excluded.time",
                (NAME, wanted),
            )
        return raw_floor(connection)


def _has_points_before(connection: sqlite3.Connection, moment: int) -> bool:
    """Whether a roll-up begins before it: else there is nothing that a floor could be about."""
    query = "SELECT EXISTS (SELECT 1 FROM points_1d WHERE time < ?)"
    (found,) = connection.execute(query, (moment,)).fetchone()
    return bool(found)
