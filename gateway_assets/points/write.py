"""Writing rows of points: an upsert by series and time, the last write wins, in every tier.

A row of a day that is archived is compared with the archive: what is there already with the same
value came twice and is left out; another value brings the day back to be corrected, and the archive
takes it again in its next run. Rows below the raw floor are added to the roll-ups (``late``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.bridge.where import column
from gateway_assets.points.cold import archived_days
from gateway_assets.points.floor import raw_floor
from gateway_assets.points.late import add_late
from gateway_assets.points.levels import DAY, LEVELS
from gateway_assets.points.rows import COLUMNS, Row

_UPSERT = f"""
INSERT INTO points ({", ".join(COLUMNS)}) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET value = excluded.value, text = excluded.text, quality = excluded.quality
"""


class MustComeBack(Exception):
    """Archived days, by table, that must be hot before these rows can be written."""

    def __init__(self, days: dict[str, set[int]]) -> None:
        super().__init__(days)
        self.days = days


def write(
    connection: sqlite3.Connection, bridge: UnifiedQueryBridge, rows: Sequence[Row]
) -> list[Row]:
    """Within the caller's transaction; rows are sorted by series and time. Returns those whose
    hours have to be rolled up. Raises MustComeBack when nothing was written.
    """
    floor = raw_floor(connection)
    below = [row for row in rows if row[1] < floor]
    above = [row for row in rows if row[1] >= floor] if below else rows
    cold = archived_days(connection, "points")
    late = [row for row in above if row[1] // DAY in cold] if cold else []
    if below:
        _check_levels(connection, below)
    known = _known(connection, bridge, late) if late else set()
    written = [row for row in above if row[:2] not in known] if known else list(above)
    add_late(connection, below)
    connection.executemany(_UPSERT, written)
    return written


def _check_levels(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    days = {row[1] // DAY for row in rows}
    needed = {level.table: days & archived_days(connection, level.table) for level in LEVELS}
    if any(needed.values()):
        raise MustComeBack(needed)


def _known(
    connection: sqlite3.Connection, bridge: UnifiedQueryBridge, rows: Sequence[Row]
) -> set[tuple[int, int]]:
    """The series and times of which the last row is archived as it is."""
    last = {row[:2]: row for row in rows}
    archived = {row[:2]: row for row in _stored(bridge, last)}
    others = [key for key, row in last.items() if archived.get(key, row) != row]
    query = "SELECT 1 FROM points WHERE series = ? AND time = ?"
    days = {key[1] // DAY for key in others if not connection.execute(query, key).fetchone()}
    if days:
        raise MustComeBack({"points": days})
    return {key for key, row in last.items() if archived.get(key) == row}


def _stored(bridge: UnifiedQueryBridge, keys: Iterable[tuple[int, int]]) -> Iterable[Row]:
    """What both tiers have of these keys, and of others near them."""
    by_day: dict[int, list[tuple[int, int]]] = {}
    for key in keys:
        by_day.setdefault(key[1] // DAY, []).append(key)
    for some in by_day.values():
        times = [time for _, time in some]
        found = bridge.query(
            "points",
            column("series").is_in(sorted({series for series, _ in some}))
            & (column("time") >= min(times))
            & (column("time") <= max(times)),
            columns=COLUMNS,
        ).arrow()
        yield from zip(*(found[name].to_pylist() for name in COLUMNS), strict=True)
