"""Tables of this project's other databases: lines like those of ``gateway.toml``, made here.

A table of the hot database is a ``Table`` (see ``tables``). What lies in a database of its own is
declared by a line, so that it is tiered like any other application's table. Such are the tables of
points: ``points.schema`` makes them, and the views that describe their rows. Such are, too, the
logs of the registry: its own tables, or a copy of those in PostgreSQL (``history.mirror``).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway_assets.settings import Settings
from gateway_assets.tiers.registry import TableLine

Maker = Callable[[Settings], TableLine]
_DAY = 86_400 * 10**9


def _points(settings: Settings) -> TableLine:
    """Of raw points only those leave for ever that lie below the floor: all else is not rolled up,
    or wanted.
    """
    floor = _floor(settings.points_database)
    keep = None if floor is None else max(time.time_ns() // _DAY - floor // _DAY, 1)
    return _series_line(settings, "points", settings.points_hot_days, keep, "A value of a series.")


def _rollup(name: str, hot_days: int, keep: str, what: str) -> Maker:
    def made(settings: Settings) -> TableLine:
        about = f"Points per series and {what}, as states that merge."
        return _series_line(settings, name, hot_days, getattr(settings, keep), about)

    return made


def _series_line(
    settings: Settings, name: str, hot_days: int, keep_days: int | None, about: str
) -> TableLine:
    return TableLine.model_validate(
        {
            "name": name,
            "database": settings.points_database,
            "view": f"{name}_described",
            "time": "time",
            "time_format": "epoch_ns",
            "hot_days": _shorter(hot_days, keep_days),
            "keep_days": keep_days,
            "order_by": ("series", "time"),
            "dedup": (),
            # Nobody waits for a lock here but the loader: what is written lies in the frame log.
            "chunk_rows": 50_000,
            "about": about,
        }
    )


def _journal(name: str, keep: str, about: str) -> Maker:
    def made(settings: Settings) -> TableLine:
        keep_days = getattr(settings, keep)
        return TableLine.model_validate(
            {
                "name": name,
                "database": settings.points_database,
                "time": "time",
                "time_format": "epoch_ns",
                "hot_days": _shorter(settings.points_hot_days, keep_days),
                "keep_days": keep_days,
                "dedup": (),
                "about": about,
            }
        )

    return made


def _alerts(settings: Settings) -> TableLine:
    """Only what nobody has to look at any more may leave."""
    return _log_line(
        settings,
        "alert_history",
        "fired_at",
        settings.alerts_hot_days,
        "A time that an alert rule was in alarm.",
        where="status = 'RESOLVED' AND NOT cleared_unack",
    )


def _steps(settings: Settings) -> TableLine:
    """Also those of an alarm that lasts: the next step needs the instance's state alone."""
    return _log_line(
        settings,
        "alert_transitions",
        "event_ns",
        min(settings.alerts_hot_days, 30),
        "A step of an alert.",
        time_format="epoch_ns",
    )


def _audit(settings: Settings) -> TableLine:
    return _log_line(
        settings,
        "audit_logs",
        "created_at",
        settings.audit_hot_days,
        "What somebody did, or was refused.",
        triggers="fire",  # its own refuses what is younger than a day, and such is never archived
        dedup=(("id",),),
    )


def _log_line(
    settings: Settings, name: str, time: str, hot_days: int, about: str, **more: Any
) -> TableLine:
    return TableLine.model_validate(
        {
            "name": name,
            "database": settings.registry_database,
            "time": time,
            "time_format": "YYYY-MM-DDTHH:MM:SS.SSSSSSZ",  # of registry.types.Moment
            "hot_days": hot_days,
            "about": about,
            **more,
        }
    )


def _shorter(hot_days: int, keep_days: int | None) -> int:
    return hot_days if keep_days is None else min(hot_days, keep_days - 1)


def _floor(database: Path) -> int | None:
    """The moment (ns) before which raw points may go: see ``points.floor``."""
    if not database.is_file():
        return None
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        try:
            row = connection.execute("SELECT time FROM floors WHERE name = 'points'").fetchone()
        except sqlite3.OperationalError:
            return None
    return int(row[0]) if row else None


MAKERS: tuple[Maker, ...] = (
    _points,
    _rollup("points_1m", 14, "minutes_keep_days", "minute"),
    _rollup("points_5m", 60, "minutes_keep_days", "five minutes"),
    _rollup("points_1h", 400, "hours_keep_days", "hour"),
    _rollup("points_1d", 1_820, "days_keep_days", "UTC day"),
    _journal("point_logs", "logs_keep_days", "A line that a device logged."),
    _journal("point_events", "events_keep_days", "Something that happened to a device."),
    _journal("point_rejects", "logs_keep_days", "A line that could not be stored."),
    _alerts,
    _steps,
    _audit,
)
# Names that tables of applications may well have.
_LOGS = {"alert_history", "alert_transitions", "audit_logs"}


def built_in_lines(settings: Settings, makers: Sequence[Maker] = MAKERS) -> tuple[TableLine, ...]:
    """Every such line, also of a database that is not there yet: its name is taken."""
    return tuple(make(settings) for make in makers)


def beside(lines: Sequence[TableLine], taken: set[str]) -> tuple[TableLine, ...]:
    """The same lines; a log of the registry whose name an application's table has is called
    ``registry_…``, unless rows of it were archived under its own.
    """
    return tuple(
        line.model_copy(update={"name": f"registry_{line.name}", "table": line.in_database})
        if line.name in _LOGS & taken and not _asked(line, _ARCHIVED, line.name)
        else line
        for line in lines
    )


def existing(lines: Sequence[TableLine]) -> tuple[TableLine, ...]:
    """Those whose database is there; of the registry's, those that a migration has made."""
    return tuple(line for line in lines if line.database.is_file() and _is_made(line))


def _is_made(line: TableLine) -> bool:
    return line.in_database not in _LOGS or _asked(line, _MADE, line.in_database)


_MADE = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
_ARCHIVED = "SELECT 1 FROM gateway_archive_files WHERE table_name = ? LIMIT 1"


def _asked(line: TableLine, query: str, name: str) -> bool:
    if not line.database.is_file():
        return False
    with closing(sqlite3.connect(f"file:{line.database}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute(query, (name,)).fetchone() is not None
        except sqlite3.OperationalError:
            return False  # nothing was ever archived here
        except sqlite3.Error:
            return True  # whoever opens it says what is wrong
