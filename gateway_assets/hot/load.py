"""Landing files become rows: once and only once, whoever loads them and however often.

A file is read and checked, and addresses are placed, outside the transaction. Then, under the
write lock, the ledger says whether its rows are in already; if not, rows, ledger row and dirty
buckets commit together.
"""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway_assets import clock
from gateway_assets.errors import DamagedFile, StoreError
from gateway_assets.files.landing import (
    Landed,
    LandingFile,
    Row,
    landing_files,
    read_landing,
    stem,
)
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.hot.dirty import mark
from gateway_assets.hot.ledger import Known, enter, shorten
from gateway_assets.hot.quarantine import quarantine
from gateway_assets.hot.sql import Fragment, sql
from gateway_assets.hot.store import writing
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.source import Source
from gateway_assets.table import PLACE, TIME, Table

BATCH_ROWS, BATCH_FILES = 20_000, 500
_ASKED = 10_000  # names of files in one query


@dataclass(slots=True)
class LoadResult:
    """What one run of the loader did."""

    table: str
    files: list[str] = field(default_factory=list)
    rows: int = 0
    bytes: int = 0
    incomplete: int = 0
    already_loaded: int = 0
    removed: int = 0
    quarantined: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    geoip_problems: list[str] = field(default_factory=list)
    failed_lookups: int = 0  # of addresses, in damaged databases
    sums: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def load(
    connection: sqlite3.Connection,
    table: Table,
    settings: Settings,
    progress: Progress = silent,
) -> LoadResult:
    """Load every landing file of the table's source that the ledger does not know.

    Damaged files go to quarantine and stop nothing else. Raises StoreError when the database
    cannot be written; then nothing of the current batch is in, and running again resumes.
    """
    source = _source(table)
    started = time.monotonic()
    result = LoadResult(table.name, sums=dict.fromkeys(table.summed, 0))
    paths = list(landing_files(settings.landing, source))
    waiting = _waiting(connection, paths)
    geoip = _geoip(table, settings) if waiting else None
    done = 0
    for unplaced in _batches(waiting, source, settings, result):
        batch = [_placed(file, table, geoip) for file in unplaced]
        with writing(connection):
            known = Known(connection)
            outcomes = [(file, _insert(connection, table, file, known)) for file in batch]
        for file, reason in outcomes:
            _account(file.landed, reason, settings, result)
        done += len(batch)
        progress(done, len(waiting))
    if geoip:
        result.geoip_problems, result.failed_lookups = geoip.problems, geoip.failed_lookups
    keep = int(settings.landing_keep_hours * clock.HOUR)
    result.removed = _remove_loaded(connection, paths, keep)
    shorten(connection, table, keep)
    result.seconds = time.monotonic() - started
    return result


def pending(connection: sqlite3.Connection, source: Source, landing: Path) -> list[Path]:
    """The landing files that the ledger does not know, or knows with another size."""
    return _waiting(connection, list(landing_files(landing, source)))


def _waiting(connection: sqlite3.Connection, paths: Sequence[Path]) -> list[Path]:
    known = _known(connection, paths, before=clock.now())
    return [path for path, is_known in zip(paths, known, strict=True) if not is_known]


def _known(connection: sqlite3.Connection, paths: Sequence[Path], before: int) -> list[bool]:
    """Whether each of these very files was loaded by that moment; if so, also one that has gone.

    They are asked for together: a day of files that stay is thousands of them, at every load.
    """
    query = """
        SELECT name, size FROM loaded_files
        WHERE name IN (SELECT value FROM json_each(?)) AND loaded_at <= ?
    """
    known: list[bool] = []
    for first in range(0, len(paths), _ASKED):
        part = paths[first : first + _ASKED]
        names = list(map(stem, part))
        sizes = dict(connection.execute(query, (json.dumps(names), before)))
        known += (
            name in sizes and _has(path, sizes[name])
            for path, name in zip(part, names, strict=True)
        )
    return known


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return True


def _source(table: Table) -> Source:
    if table.source is None:
        raise StoreError(f"table {table.name} is not loaded from landing files")
    return table.source


def _batches(
    waiting: Iterable[Path], source: Source, settings: Settings, result: LoadResult
) -> Iterator[list[LandingFile]]:
    batch: list[LandingFile] = []
    rows = 0
    for path in waiting:
        try:
            batch.append(read_landing(path, source))
            rows += len(batch[-1].rows)
        except FileNotFoundError:
            continue
        except DamagedFile as damage:
            _set_aside(path, damage.message, source.name, settings, result)
        except OSError as error:
            result.unreadable.append(f"{stem(path)}: {error.strerror}")
        if rows >= BATCH_ROWS or len(batch) >= BATCH_FILES:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _geoip(table: Table, settings: Settings) -> GeoIP | None:
    """The databases as they are now: a run places all its rows by the same."""
    if table.places is None:
        return None
    return GeoIP(settings.geoip_paths, settings.geo_language, check_seconds=math.inf)


def _placed(file: LandingFile, table: Table, geoip: GeoIP | None) -> LandingFile:
    """A file with its rows in the order of the table's columns, places among them."""
    if table.places is None:
        return file
    behind = table.places.behind
    if geoip is None or not geoip.is_open:
        unknown = (None,) * len(PLACE)
        rows = [(*row[:behind], *unknown, *row[behind:]) for row in file.rows]
    else:
        of = [column.name for column in _source(table).columns].index(table.places.of)
        place = geoip.place
        rows = [(*row[:behind], *place(row[of]), *row[behind:]) for row in file.rows]
    return file._replace(rows=rows)


def _insert(
    connection: sqlite3.Connection, table: Table, file: LandingFile, known: Known
) -> str | None:
    """Put one file in. None: it is in now. A text: why it is not ('' means it was before)."""
    landed = file.landed
    crc32 = known.crc32(landed.name)
    if crc32:
        same = crc32 == landed.crc32
        return "" if same else f"another file of this name was loaded (CRC-32 {crc32})"
    first = _next_id(connection, table)
    rows = ((number, *row) for number, row in enumerate(file.rows, start=first))
    connection.executemany(insert_statement(table), rows)
    enter(connection, table, landed, first)
    mark(connection, table, _ids_by_day(table, first, file.rows))
    return None


def insert_statement(table: Table) -> str:
    """Inserts one row, its id first."""
    marks = Fragment(", ".join("?" * len(table.stored)))
    columns = [column.name for column in table.stored]
    return sql(
        "INSERT INTO {table} ({columns}) VALUES ({marks})",
        table=table.name,
        columns=columns,
        marks=marks,
    )


def _next_id(connection: sqlite3.Connection, table: Table) -> int:
    """One more than any id this table ever gave away, also to rows that have left it."""
    query = "SELECT seq FROM sqlite_sequence WHERE name = ?"
    row = connection.execute(query, (table.name,)).fetchone()
    return (row[0] if row else 0) + 1


def _ids_by_day(table: Table, first: int, rows: list[Row]) -> dict[int, tuple[int, int]]:
    place = [column.name for column in table.columns].index(TIME)
    ranges: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(rows, start=first):
        day = clock.day_of(row[place])
        ranges[day] = (ranges.get(day, (number,))[0], number)
    return ranges


def _account(landed: Landed, reason: str | None, settings: Settings, result: LoadResult) -> None:
    if reason:
        _set_aside(landed.path, reason, result.table, settings, result)
    elif reason is not None:
        # The same rows under the same name in other bytes: compressed, say. They are in.
        landed.path.unlink(missing_ok=True)
        result.already_loaded += 1
    else:
        result.files.append(landed.name)
        result.rows += landed.rows
        result.bytes += landed.size
        result.incomplete += not landed.complete
        for name, value in landed.sums.items():
            result.sums[name] += value


def _set_aside(
    path: Path, reason: str, source: str, settings: Settings, result: LoadResult
) -> None:
    moved = quarantine(path, settings.quarantine / source, reason)
    if moved:
        result.quarantined.append(f"{stem(path)}: {reason}")


def _remove_loaded(connection: sqlite3.Connection, paths: Sequence[Path], keep: int) -> int:
    """Remove those that the ledger has had for longer than ``keep`` microseconds."""
    known = _known(connection, paths, clock.now() - keep)
    for path in itertools.compress(paths, known):
        path.unlink(missing_ok=True)
    return sum(known)
