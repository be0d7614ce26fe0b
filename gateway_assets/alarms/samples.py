"""Samples of a series as the state machine takes them."""

from __future__ import annotations

import sqlite3

from gateway_assets.alarms.state import Sample

MOST = 5_000  # read at once


def after(connection: sqlite3.Connection, series: int, time: int, until: int) -> list[Sample]:
    """The next samples later than ``time`` (ns) and not than ``until``, up to ``MOST``, in order.

    The whole numbers of an integer, and booleans, are int, which rules compare exactly.
    """
    kind = connection.execute("SELECT type FROM series WHERE id = ?", (series,)).fetchone()
    value = "value" if kind is None or kind[0] == "float" else "CAST(value AS INTEGER)"
    rows = connection.execute(
        f"SELECT time, {value}, quality, text FROM points"
        " WHERE series = ? AND time > ? AND time <= ? ORDER BY time LIMIT ?",
        (series, time, until, MOST),
    )
    # Digits stand beside a number that a double cannot hold.
    return [
        (at, value if text is None or value is None else int(text), quality)
        for at, value, quality, text in rows
    ]


def at(connection: sqlite3.Connection, series: int, time: int) -> Sample | None:
    """The sample of that very moment."""
    query = "SELECT time, value, quality FROM points WHERE series = ? AND time = ?"
    row = connection.execute(query, (series, time)).fetchone()
    return row and (row[0], row[1], row[2])
