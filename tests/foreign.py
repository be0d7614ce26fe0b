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
from datetime import datetime
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
FORMS = {form.name: form for form in (COUNTED, COMPOSITE, ZULU, SHORT)}


class Foreign:
    """The application's database, declared by a line in ``tables.toml``."""

    def __init__(self, form: Form, data_dir: Path, line: str = "") -> None:
        self.form = form
        self.data_dir = data_dir
        self.database = data_dir / "app.db"
        self._line = line

    def create(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lines = (
            f'[[tables]]\nname = "{TABLE}"\ndatabase = "app.db"\ntime = "at"\n'
            f"hot_days = {HOT_DAYS}\nwhere = \"status = '{DONE}'\"\n{self._line}\n"
        )
        (self.data_dir / "tables.toml").write_text(lines, "utf-8")
        with self.opened() as connection:
            connection.execute(f"PRAGMA journal_mode={self.form.journal}")
            connection.executescript(self.form.create)

    def settings(self, grace_hours: float = 0) -> Settings:
        return load_settings(data_dir=self.data_dir, archive_grace_hours=grace_hours)

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

    def is_visible(self, connection: sqlite3.Connection, key: int) -> bool:
        """Whether the hot table has the row, and answers it."""
        declared = find(self.settings(), TABLE)
        shown = visible(connection, tiered(connection, declared, self.settings()))
        query = f"SELECT 1 FROM {TABLE} WHERE {self.form.key_is} AND {shown}"
        return connection.execute(query, self.form.write_key(key)).fetchone() is not None

    def answered(self) -> Counter[Event]:
        """Every row that the bridge answers, and how often."""
        rows = UnifiedQueryBridge(self.settings()).rows(f"SELECT * FROM {TABLE}")
        return Counter(map(_event, rows))

    def in_tree(self) -> Counter[Event]:
        """Every row that any tool finds below the archive's tree, and how often."""
        tree = self.settings().archive / TABLE
        if not any(tree.glob("*/*/*/*.parquet")):
            return Counter()
        files = f"{tree}/*/*/*/*.parquet"
        with duckdb.connect() as session:
            session.execute("SET TimeZone = 'UTC'")
            found = session.sql(
                f"SELECT * FROM read_parquet('{files}', union_by_name = true, "
                "hive_partitioning = false)"
            )
            names = found.columns
            return Counter(_event(dict(zip(names, row, strict=True))) for row in found.fetchall())


def _event(row: dict[str, Any]) -> Event:
    return Event(
        int(row["code"].rpartition("-")[2]),
        _moment(row["at"]),
        row["owner"],
        row["status"],
        row["amount"],
        row.get("note"),
    )


def _moment(at: datetime) -> int:
    return clock.parse_moment(at.isoformat())


def doubled(rows: Counter[Event]) -> list[int]:
    """Keys that come more than once."""
    keys = Counter(event.key for event in rows.elements())
    return sorted(key for key, times in keys.items() if times > 1)
