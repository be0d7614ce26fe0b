"""Every declared table by name, own or of another database; opening the database it is in."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_assets.errors import ConfigError, StoreError, UsageError
from gateway_assets.hot.sql import quoted
from gateway_assets.hot.store import BUSY_SECONDS, open_store, translated
from gateway_assets.model import Kind
from gateway_assets.settings import Settings
from gateway_assets.table import TIME, Table
from gateway_assets.tables import TABLES
from gateway_assets.tables import hot_days as hot_days_of
from gateway_assets.tiers.built_in import MAKERS, Maker, beside, built_in_lines, existing
from gateway_assets.tiers.described import described
from gateway_assets.tiers.drift import Drift, drift
from gateway_assets.tiers.fields import Field, from_json
from gateway_assets.tiers.guess import guessed_fields, time_column, time_format
from gateway_assets.tiers.reflect import Key, Shape, reflect
from gateway_assets.tiers.registry import TableLine, table_lines
from gateway_assets.tiers.tiered import Tiered
from gateway_assets.tiers.times import FORMATS

CACHE_KIB = 16_000  # of this connection only
SCHEMAS = "gateway_archive_schemas"


@dataclass(frozen=True, slots=True)
class Declared:
    """A table by name and place, before its database is looked at."""

    name: str
    database: Path
    source: Table | TableLine

    @property
    def own(self) -> Table | None:
        return self.source if isinstance(self.source, Table) else None

    @property
    def about(self) -> str:
        return self.source.about

    @property
    def priority(self) -> int:
        return 0 if isinstance(self.source, Table) else self.source.priority


def catalog(settings: Settings, makers: Sequence[Maker] = MAKERS) -> tuple[Declared, ...]:
    """Own tables, those of the hot database first, then users' lines in order of priority."""
    own = [Declared(table.name, settings.hot_database, table) for table in TABLES]
    lines = table_lines(settings)
    built_in = beside(built_in_lines(settings, makers), {line.name.lower() for line in lines})
    names = {table.name for table in TABLES} | {line.name.lower() for line in built_in}
    places = {_place(line): line.name for line in built_in}
    for line in lines:
        if line.name.lower() in names:
            raise ConfigError(
                f"{line.file}: table {line.name!r} is one of this project's own",
                hint=f'give it another name, and table = "{line.in_database}"',
            )
        place = _place(line)
        if place in places:
            raise ConfigError(
                f"tables {places[place]!r} and {line.name!r} are the same table",
                hint="rows that one lets go would be missing for the other: remove a line",
            )
        places[place] = line.name
    declared = (*existing(built_in), *lines)
    return (*own, *(Declared(line.name, line.database, line) for line in declared))


def _place(line: TableLine) -> tuple[Path, str]:
    return line.database.resolve(), line.in_database.lower()


def declared_log(settings: Settings, table: str) -> Declared:
    """A log of the registry, whatever it is called here. Raises UsageError before it is made."""
    for one in catalog(settings):
        is_line = isinstance(one.source, TableLine) and one.source.in_database == table
        if is_line and one.database == settings.registry_database:
            return one
    raise UsageError(f"there is no {table} yet", hint="run: gateway registry upgrade")


def find(settings: Settings, wanted: Any, database: Path | None = None) -> Declared:
    """A declared table by name, a ``Table``, or a SQLAlchemy model or table.

    A model is that of a declared line with its table's name, or, with ``database``, a table of
    that file. Raises UsageError when there is none.
    """
    if isinstance(wanted, Declared):
        return wanted
    if isinstance(wanted, TableLine):
        return Declared(wanted.name, wanted.database, wanted)
    table = getattr(wanted, "__table__", wanted)
    name = str(getattr(table, "name", wanted))
    for declared in catalog(settings):
        in_database = declared.source.in_database if isinstance(declared.source, TableLine) else ""
        if name == declared.name or (not isinstance(wanted, str) and name == in_database):
            return declared
    if database is not None:
        chosen = getattr(wanted, "__archive__", {})
        line = TableLine(**{"name": name, "database": database.absolute(), **chosen})
        return Declared(name, line.database, line)
    known = ", ".join(declared.name for declared in catalog(settings))
    raise UsageError(f"there is no table {name!r}", hint=f"tables: {known}")


@contextmanager
def open_database(declared: Declared, *, any_thread: bool = False) -> Iterator[sqlite3.Connection]:
    """The database of a table: the hot database, or another application's, left as it is.

    With ``any_thread`` threads may use the connection one after the other.

    Raises StoreError when the file is not there or is not a database, Busy when it is locked.
    """
    if declared.own:
        with open_store(declared.database, any_thread=any_thread) as connection:
            yield connection
        return
    path = declared.database
    if not path.is_file():
        raise StoreError(
            f"{path}: there is no such database", hint=f"see the line of table {declared.name}"
        )
    with translated(path):
        uri = f"file:{_escaped(path)}?mode=rw"
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=not any_thread,
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            yield connection
        finally:
            connection.close()


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def tiered(connection: sqlite3.Connection, declared: Declared, settings: Settings) -> Tiered:
    """Look at a declared table; its stored columns united with those it has now.

    Raises ConfigError, naming the table, for what cannot be tiered.
    """
    try:
        if declared.own:
            return _own(connection, declared, declared.own, settings)
        assert isinstance(declared.source, TableLine)
        return _foreign(connection, declared, declared.source)
    except ConfigError as error:
        raise ConfigError(f"table {declared.name}: {error.message}", hint=error.hint) from None


def stored_schema(
    connection: sqlite3.Connection, name: str, version: int | None = None
) -> tuple[int, dict[str, Any]] | None:
    """A version of the columns that archived files have, the newest without a number."""
    if not has_table(connection, SCHEMAS):
        return None
    row = connection.execute(
        f"SELECT version, columns, dropped, time_format FROM {SCHEMAS} "
        "WHERE table_name = ? AND (? IS NULL OR version = ?) ORDER BY version DESC LIMIT 1",
        (name, version, version),
    ).fetchone()
    if row is None:
        return None
    number, columns, dropped, written = row
    return number, {
        "fields": from_json(columns),
        "dropped": from_json(dropped),
        "time_format": written,
    }


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
    return connection.execute(query, (name,)).fetchone() is not None


_OWN_FORMAT = FORMATS["epoch_us"]


def own_fields(table: Table) -> tuple[Field, ...]:
    """The columns of one of this project's tables, as declared."""
    return tuple(
        Field(
            number,
            column.name,
            column.kind,
            _OWN_FORMAT.name if column.kind is Kind.TIME else "",
            column.nullable,
        )
        for number, column in enumerate(table.stored, start=1)
    )


def _own(
    connection: sqlite3.Connection, declared: Declared, table: Table, settings: Settings
) -> Tiered:
    stored = stored_schema(connection, table.name)
    return Tiered(
        name=table.name,
        database=declared.database,
        table=table.name,
        fields=own_fields(table),
        dropped=(),
        version=stored[0] if stored else 0,
        changes=(),
        shape=reflect(connection, table.name),
        time=TIME,
        written=_OWN_FORMAT,
        hot_days=hot_days_of(table, settings),
        keep_days=table.keep_days,
        order_by=table.order_by,
        about=table.about,
        own=table,
    )


def _foreign(connection: sqlite3.Connection, declared: Declared, line: TableLine) -> Tiered:
    table = line.in_database
    shape = reflect(connection, table)
    seen = described(connection, shape, line.view) if line.view else shape
    rows = line.view or table
    time = time_column(shape, line.time)
    stored = stored_schema(connection, line.name)
    if stored:
        version, content = stored
        written = FORMATS[line.time_format or content["time_format"]]
        now = drift(connection, rows, seen, content["fields"], content["dropped"])
    else:
        version = 0
        written = (
            FORMATS[line.time_format]
            if line.time_format
            else time_format(connection, table, time, is_integer=_is_integer(shape, time))
        )
        now = Drift(guessed_fields(connection, rows, seen, time, written), (), ())
    _check(line, shape)
    return Tiered(
        name=line.name,
        database=declared.database,
        table=table,
        fields=now.fields,
        dropped=now.dropped,
        version=version,
        changes=now.changes,
        shape=shape,
        time=time,
        written=written,
        hot_days=line.days_hot,
        keep_days=line.keep_days,
        where=line.where,
        order_by=line.order_by,
        priority=line.priority,
        create_index=line.create_index,
        dedup=_dedup(line, shape),
        dedup_days=line.dedup_days,
        fire_triggers=line.triggers == "fire",
        about=line.about,
        view=line.view,
        chunk_rows=line.chunk_rows,
    )


def _is_integer(shape: Shape, name: str) -> bool:
    return any(column.name == name and column.affinity == "INTEGER" for column in shape.columns)


def _dedup(line: TableLine, shape: Shape) -> tuple[Key, ...]:
    """The keys that stay known: all that are UNIQUE, but for ids that SQLite counts up."""
    if line.dedup is None:
        return tuple(key for key in shape.unique if key.columns != (shape.integer_key,))
    unique = {key.columns: key for key in shape.unique}
    return tuple(
        unique.get(columns, Key(columns, ("BINARY",) * len(columns))) for columns in line.dedup
    )


def _check(line: TableLine, shape: Shape) -> None:
    """Raise ConfigError for columns that do not exist and conditions that SQLite refuses."""
    names = {column.name for column in shape.columns}
    wanted = [*line.order_by, *(name for key in line.dedup or () for name in key)]
    for name in wanted:
        if name not in names:
            raise ConfigError(f"there is no column {name!r}", hint=f"columns: {sorted(names)}")
    if line.where:
        _check_where(line.where, shape)


_CLOCKS = {"date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"}


def _check_where(where: str, shape: Shape) -> None:
    """SQLite itself judges: what it takes for a partial index looks at nothing but the row."""
    columns = ", ".join(f"{quoted(column.name)} {column.declared}" for column in shape.columns)
    trial = sqlite3.connect(":memory:")
    called: set[str] = set()

    def note(action: int, _: str | None, name: str | None, *_more: str | None) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            called.add(str(name).lower())
        return sqlite3.SQLITE_OK

    try:
        trial.execute(f"CREATE TABLE trial ({columns})")
        first = quoted(shape.columns[0].name)
        trial.execute(f"CREATE INDEX judged ON trial ({first}) WHERE ({where})")
        # Brackets and comments must end within it: it is put into other conditions.
        trial.execute(f"CREATE INDEX whole ON trial ({first}) WHERE CASE WHEN {where} THEN 1 END")
        trial.set_authorizer(note)
        trial.execute(f"SELECT 1 FROM trial WHERE {where}")
        trial.set_authorizer(None)
        if called & _CLOCKS and re.search(r"now|localtime|utc|auto|\(\s*\)", where.lower()):
            raise sqlite3.OperationalError("it changes as time passes")
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise ConfigError(
            f"where = {where!r}: {error}",
            hint="a condition on the row's own columns, such as status IN ('done', 'failed')",
        ) from None
    finally:
        trial.close()
