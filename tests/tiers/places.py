"""Other applications' databases, declared by a line each, and what is answered of them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from gateway_assets import clock
from gateway_assets.archive.engine import ArchiveResult, UniversalArchiver
from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.hot.sql import quoted
from gateway_assets.settings import Settings, load_settings

Rows = list[tuple[Any, ...]]
TODAY = clock.day_of(clock.now())
OLD = TODAY - 60  # a day that may leave by the default hot_days
APP = Path("app.db")  # in the test's own folder, see conftest


def at(day: int, second: int = 0) -> int:
    """Seconds since the epoch."""
    return day * 86_400 + second


def text_at(day: int, second: int = 0) -> str:
    """The same as ``YYYY-MM-DD HH:MM:SS``."""
    return clock.iso(at(day, second) * clock.SECOND)[:19].replace("T", " ")


def make(ddl: str, table: str = "", rows: Iterable[Sequence[Any]] = (), path: Path = APP) -> Path:
    """Run statements in a database, then insert rows into a table."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(ddl)
        for row in rows:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {quoted(table)} VALUES ({marks})", row)
    return path


def run(statement: str, *params: Any, path: Path = APP) -> Rows:
    """What an application does: one statement by a connection of its own."""
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, params).fetchall()


def declare(name: str = "t", path: Path = APP, **line: Any) -> Settings:
    """Add a line to gateway.toml; the settings with no grace, so that archived rows leave."""
    with Path("gateway.toml").open("a") as file:
        print("[[tables]]", file=file)
        for key, value in {"name": name, "database": str(path.absolute()), **line}.items():
            shown = json.dumps(value, ensure_ascii=False)  # of these types, also what TOML takes
            print(f"{key} = {shown}", file=file)
    return load_settings(archive_grace_hours=0, archive_pause_ms=0)


def archive(settings: Settings, name: str = "t", **given: Any) -> ArchiveResult:
    """Archive a table; days that fail fail the test."""
    result = UniversalArchiver(settings).archive_table(name, **given)
    assert not result.failed
    return result


def patient(settings: Settings) -> Settings:
    """The same, but archived rows stay hidden in hot for a day."""
    return settings.model_copy(update={"archive_grace_hours": 24.0})


def answered(settings: Settings, name: str = "t", columns: str = "*") -> Rows:
    """Every row that the bridge answers."""
    rows = UnifiedQueryBridge(settings).rows(f'SELECT {columns} FROM "{name}"')
    return ordered(tuple(row.values()) for row in rows)


def number(settings: Settings, query: str) -> Any:
    """The one value of a query to the bridge."""
    ((value,),) = (row.values() for row in UnifiedQueryBridge(settings).rows(query))
    return value


def ordered(rows: Iterable[tuple[Any, ...]]) -> Rows:
    return sorted(rows, key=repr)


def cells(table: str = "t", path: Path = APP) -> Rows:
    """Every value of a table beside its SQLite type; text as its bytes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        query = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1"
        names = [quoted(name.decode()) for (name,) in connection.execute(query, (table,))]
        pairs = ", ".join(f"{name}, typeof({name})" for name in names)
        return ordered(connection.execute(f"SELECT {pairs} FROM {quoted(table)}"))


def files(settings: Settings, name: str = "t") -> list[Path]:
    return sorted((settings.archive / name).rglob("*.parquet"))
