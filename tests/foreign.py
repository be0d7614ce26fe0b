"""A table of another application, tiered in place, and what must hold of its rows.

A row of any form of the table is the same six values to a test: key, moment, owner, status,
amount, note. How key and moment are written is up to the form.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from gateway_assets import clock
from gateway_assets.archive.visible import visible
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.settings import Settings, load_settings
from gateway_assets.tiers.catalog import find, tiered

TABLE = "events"
HOT_DAYS = 2
DONE, OPEN = "done", "open"


class Event(NamedTuple):
    """One row as tests see it; ``moment`` in microseconds since the epoch."""

    key: int
    moment: int
    owner: str
    status: str
    amount: int
    note: str | None = None


@dataclass(frozen=True)
class Form:
    """One way in which an application may have made the table."""

    name: str
    create: str
    keys: tuple[str, ...]
    write_key: Callable[[int], tuple[Any, ...]]
    write_time: Callable[[int], Any]
    moments: tuple[int, ...]  # of a day, few, so that rows share them
    journal: str = "WAL"

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.keys, "at", "owner", "status", "amount")

    @property
    def key_is(self) -> str:
        return " AND ".join(f"{name} = ?" for name in self.keys)

    def values(self, event: Event) -> tuple[Any, ...]:
        return (
            *self.write_key(event.key),
            self.write_time(event.moment),
            event.owner,
            event.status,
            event.amount,
        )


def _spaced(moment: int) -> str:
    return clock.iso(moment)[:-1].replace("T", " ")


def _zulu(moment: int) -> str:
    """As JavaScript-like programs write it: no fraction when it is zero."""
    return clock.iso(moment).replace(".000000Z", "Z")


def _short(moment: int) -> str:
    """As ``datetime.isoformat`` writes it."""
    return _zulu(moment)[:-1]


def _offset(moment: int) -> str:
    """In local times here and there, so that some are written with another date."""
    hours = (0, 5, -7)[moment // clock.SECOND % 3]
    zone = timezone(timedelta(hours=hours))
    return datetime.fromtimestamp(moment // clock.SECOND, zone).isoformat()


_SLOTS = tuple(hour * 3600 * clock.SECOND for hour in (0, 7, 8, 23))
_CLOSE = (0, 1, 500_000, clock.SECOND, 8 * 3600 * clock.SECOND)

COUNTED = Form(
    "counted",
    "CREATE TABLE events (id INTEGER PRIMARY KEY AUTOINCREMENT, code TEXT NOT NULL UNIQUE, "
    "at TEXT NOT NULL, owner TEXT, status TEXT, amount INTEGER)",
    ("code",),
    lambda key: (f"code-{key:04}",),
    _spaced,
    _SLOTS,
)
COMPOSITE = Form(
    "composite",
    "CREATE TABLE events (part TEXT, code TEXT, at INTEGER NOT NULL, owner TEXT, status TEXT, "
    "amount INTEGER, PRIMARY KEY (part, code)) WITHOUT ROWID",
    ("part", "code"),
    lambda key: (f"part-{key % 3}", f"code-{key:04}"),
    lambda moment: moment // 1000,
    _SLOTS,
    journal="DELETE",
)
ZULU = Form(
    "zulu",
    "CREATE TABLE events (code TEXT PRIMARY KEY, at TEXT NOT NULL, owner TEXT, status TEXT, "
    "amount INTEGER); CREATE INDEX events_at ON events (at)",
    ("code",),
    lambda key: (f"code-{key:04}",),
    _zulu,
    _CLOSE,
)
SHORT = Form(
    "short",
    "CREATE TABLE events (code TEXT PRIMARY KEY, at TEXT NOT NULL, owner TEXT, status TEXT, "
    "amount INTEGER); CREATE INDEX events_at ON events (at)",
    ("code",),
    lambda key: (f"code-{key:04}",),
    _short,
    _CLOSE,
)
REAL = Form(
    "real",
    "CREATE TABLE events (code TEXT PRIMARY KEY, at REAL NOT NULL, owner TEXT, status TEXT, "
    "amount INTEGER); CREATE INDEX events_at ON events (at)",
    ("code",),
    lambda key: (f"code-{key:04}",),
    lambda moment: moment / clock.SECOND,
    _CLOSE,
)
OFFSET = Form(
    "offset",
    "CREATE TABLE events (code TEXT PRIMARY KEY, at TEXT NOT NULL, owner TEXT, status TEXT, "
    "amount INTEGER); CREATE INDEX events_at ON events (at)",
    ("code",),
    lambda key: (f"code-{key:04}",),
    _offset,
    tuple(second * clock.SECOND for second in (0, 1, 2, 80_000, 80_002)),
)
FORMS = {form.name: form for form in (COUNTED, COMPOSITE, ZULU, SHORT, REAL, OFFSET)}


class Foreign:
    """The application's database, declared by a line in ``tables.toml``."""

    def __init__(self, form: Form, data_dir: Path, line: str = "") -> None:
        self.form = form
        self.data_dir = data_dir
        self.database = data_dir / "app.db"
        self._line = line

    def create(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.declare()
        with self.opened() as connection:
            connection.execute(f"PRAGMA journal_mode={self.form.journal}")
            connection.executescript(self.form.create)

    def declare(self, more: str = "") -> None:
        """Write the line of the table, with ``more`` settings in it."""
        lines = (
            f'[[tables]]\nname = "{TABLE}"\ndatabase = "app.db"\ntime = "at"\n'
            f"hot_days = {HOT_DAYS}\nwhere = \"status = '{DONE}'\"\n{self._line}\n{more}\n"
        )
        (self.data_dir / "tables.toml").write_text(lines, "utf-8")

    def settings(self, grace_hours: float = 0) -> Settings:
        return load_settings(
            data_dir=self.data_dir,
            archive_grace_hours=grace_hours,
            archive_pause_ms=0,
            archive_backup=False,
        )

    @contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """As the application opens it."""
        connection = sqlite3.connect(self.database, timeout=60, isolation_level=None)
        try:
            yield connection
        finally:
            connection.close()

    def insert(
        self, connection: sqlite3.Connection, events: list[Event], verb: str = "INSERT"
    ) -> int:
        names, marks = ", ".join(self.form.names), ", ".join("?" * len(self.form.names))
        statement = f"{verb} INTO {TABLE} ({names}) VALUES ({marks})"
        return connection.executemany(statement, map(self.form.values, events)).rowcount

    def in_hot(self, connection: sqlite3.Connection) -> dict[int, bool]:
        """The keys of all rows in the hot table, and whether they are visible."""
        settings = self.settings()
        shown = visible(connection, tiered(connection, find(settings, TABLE), settings))
        query = f"SELECT code, {shown} FROM {TABLE}"
        return {_key(code): bool(seen) for code, seen in connection.execute(query)}

    def answered(self) -> Counter[Event]:
        """Every row that the bridge answers, and how often."""
        rows = UnifiedQueryBridge(self.settings()).rows(f"SELECT * FROM {TABLE}")
        return Counter(map(_event, rows))

    def in_tree(self) -> Counter[Event]:
        """Every row that a glob over the archive's tree finds, and how often."""
        tree = self.settings().archive / TABLE
        if not any(tree.glob("*/*/*/*.parquet")):
            return Counter()
        query = (
            f"SELECT * FROM read_parquet('{tree}/*/*/*/*.parquet', union_by_name = true, "
            "hive_partitioning = false)"
        )
        with duckdb.connect() as session:
            session.execute("SET TimeZone = 'UTC'")
            found = session.sql(query)
            names = found.columns
            rows = found.fetchall()
        return Counter(_event(dict(zip(names, row, strict=True))) for row in rows)


def explained(foreign: Foreign, keys: list[int]) -> str:
    """The manifest, and which files hold some keys, for the message of a failure."""
    codes = [foreign.form.write_key(key)[-1] for key in keys]
    tree = foreign.settings().archive
    with duckdb.connect() as session, foreign.opened() as connection:
        found = session.execute(
            f"SELECT code, at::VARCHAR, status, filename FROM read_parquet('{tree}/{TABLE}/*/*/*/"
            "*.parquet', union_by_name = true, hive_partitioning = false, filename = true) "
            "WHERE list_contains(?, code) ORDER BY ALL",
            [codes],
        ).fetchall()
        files = connection.execute(
            "SELECT number, day, state, path, staged, hidden_from, answers_until "
            "FROM gateway_archive_files"
        ).fetchall()
    return "\n".join(map(str, [*found, *files]))


def _key(code: str) -> int:
    return int(code.rpartition("-")[2])


def _event(row: dict[str, Any]) -> Event:
    return Event(
        _key(row["code"]),
        _moment(row["at"]),
        row["owner"],
        row["status"],
        row["amount"],
        row.get("note"),
    )


def _moment(at: datetime | str | float) -> int:
    if isinstance(at, float):
        return round(at * clock.SECOND)
    return clock.parse_moment(at if isinstance(at, str) else at.isoformat())


def doubled(rows: Counter[Event]) -> list[int]:
    """Keys that come more than once."""
    keys = Counter(event.key for event in rows.elements())
    return sorted(key for key, times in keys.items() if times > 1)
