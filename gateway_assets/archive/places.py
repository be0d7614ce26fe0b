"""The places of addresses are looked up again, in hot rows and in archived files.

Hot rows change in short paced transactions. A published file with a row that changes is taken
back, as any change of its rows would do; the next run publishes the day again. Archived files are
written again with the table's columns of now, and swapped. What changes rows also marks their day
for the roll-ups, which are keyed by country, in the same transaction. What is right already is left
as it is, so running it again is safe, and after a crash it is what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from gateway_assets import clock
from gateway_assets.archive.columns import ARROW, arrow_array
from gateway_assets.archive.filters import answering_rows
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.restore import take_back
from gateway_assets.archive.rows import arrow_schema
from gateway_assets.archive.source import Source
from gateway_assets.archive.swap import replace_files
from gateway_assets.archive.sweep import sweep
from gateway_assets.archive.visible import visible
from gateway_assets.errors import ArchiveError, ConfigError, UsageError
from gateway_assets.geoip.geoip import GeoIP
from gateway_assets.geoip.place import Place
from gateway_assets.hot.dirty import mark_again
from gateway_assets.hot.sql import Fragment, quoted, sql
from gateway_assets.hot.store import writing
from gateway_assets.table import PLACE, Table
from gateway_assets.tiers.fields import Field

LOOKED_AT = 5_000  # hot rows at a time
Change = tuple[str | int | None, ...]  # the new place, the id, the address
NAMES = [column.name for column in PLACE]


@dataclass(slots=True)
class Replaced:
    """What changed, or would. Days are ``YYYY-MM-DD``."""

    table: str
    days: int = 0  # looked at
    hot_rows: int = 0
    archived_rows: int = 0
    files: int = 0
    taken_back: list[str] = field(default_factory=list)  # to be published again by the next run
    failed: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def raise_failures(self) -> None:
        """Raise ArchiveError for the days that failed, after all others were dealt with."""
        for day, why in self.failed.items():
            hint = f"gateway archive verify {self.table}"
            raise ArchiveError(f"{self.table} {day}: {why}", hint=hint)


def check_databases(geoip: GeoIP) -> None:
    """Raise ConfigError when places looked up now would know less than they could."""
    hint = "see: gateway geoip status"
    for problem in geoip.problems:
        raise ConfigError(problem, hint=hint)
    if not geoip.is_open:
        raise ConfigError("there is no GeoIP database", hint="install one: docs/geoip.md")
    if geoip.failed_lookups:
        raise ConfigError("a GeoIP database is damaged; nothing more was changed", hint=hint)


def count_day(source: Source, day: int, geoip: GeoIP, result: Replaced) -> None:
    """How many rows of a day would change."""
    result.days += 1
    result.hot_rows += sum(map(len, _hot_changes(source, day, geoip)))
    for file in live_files(source.connection, source.table, day):
        changes = _changes_in(source, file, geoip)
        result.archived_rows += changes
        result.files += bool(changes)


def replace_day(source: Source, day: int, geoip: GeoIP, result: Replaced) -> None:
    """Give all rows of a day the places that the databases know now. Holding the archive's lock."""
    result.days += 1
    for file in live_files(source.connection, source.table, day):
        if file.state == "published" and _changes_in(source, file, geoip):
            with writing(source.connection):
                take_back(source.connection, file.number)
            result.taken_back.append(clock.day_text(day))
    sweep(source)
    for changes in _hot_changes(source, day, geoip):
        result.hot_rows += _replace_hot(source, day, changes)
    for file in live_files(source.connection, source.table, day):
        rows = _changes_in(source, file, geoip) if file.state == "archived" else 0
        if rows:
            _replace_file(source, file, geoip)
            result.archived_rows += rows
            result.files += 1


def _replace_hot(source: Source, day: int, changes: list[Change]) -> int:
    update = sql(
        'UPDATE {t} SET {changes} WHERE "id" = ? AND {of} = ?',
        t=source.table.table,
        changes=Fragment(", ".join(f"{quoted(name)} = ?" for name in NAMES)),
        of=_of(source),
    )
    changed = 0
    while changes:
        limit = source.pace.rows
        chunk, changes = changes[:limit], changes[limit:]
        with source.writing(limit if len(chunk) == limit else 0):
            changed += source.connection.executemany(update, chunk).rowcount
            mark_again(source.connection, _own(source), day)
    return changed


def _hot_changes(source: Source, day: int, geoip: GeoIP) -> Iterator[list[Change]]:
    """The visible hot rows whose place is another now, some thousand rows after the other."""
    table = source.table
    start, end = clock.day_range(day)
    query = sql(
        'SELECT {time}, "id", {of}, {names} FROM {t} WHERE {time} < ? AND ({time}, "id") > (?, ?) '
        'AND {visible} ORDER BY {time}, "id" LIMIT ?',
        time=table.time,
        of=_of(source),
        names=NAMES,
        t=table.table,
        visible=visible(source.connection, table),
    )
    after = (start, -1)
    while rows := source.connection.execute(query, (end, *after, LOOKED_AT)).fetchall():
        places = [geoip.place(row[2]) for row in rows]
        check_databases(geoip)
        yield [
            (*place, row[1], row[2])
            for row, place in zip(rows, places, strict=True)
            if row[3:] != place
        ]
        after = rows[-1][:2]


def _changes_in(source: Source, file: ArchiveFile, geoip: GeoIP) -> int:
    """How many rows that a file answers for have another place now."""
    fields = source.fields_of(file)
    changes = 0
    for batch in answering_rows(source, file, fields):
        places = _places(source, batch, fields, geoip)
        had = zip(*(_column(batch, fields, now).to_pylist() for now in _now(source)), strict=True)
        changes += sum(one != place for one, place in zip(had, places, strict=True))
    return changes


def _replace_file(source: Source, file: ArchiveFile, geoip: GeoIP) -> None:
    fields = source.fields_of(file)
    now = {field.id: field for field in source.table.fields}
    for one in fields:
        if one.id not in now or (one.name, one.kind) != (now[one.id].name, now[one.id].kind):
            raise ArchiveError(
                f"{file.path} has a column {one.name} that {source.table.name} has not",
                hint="use the release that wrote it",
            )
    replace_files(
        source,
        [file],
        _replaced(source, file, fields, geoip),
        fields,
        also=lambda: mark_again(source.connection, _own(source), file.day),
        into=source.table.fields,
    )


def _replaced(
    source: Source, file: ArchiveFile, fields: Sequence[Field], geoip: GeoIP
) -> Iterator[pa.RecordBatch]:
    """The rows of a file with the columns of now: places are new, all else is as it was."""
    rows = 0
    for batch in answering_rows(source, file, fields):
        found = zip(*_places(source, batch, fields, geoip), strict=True)
        labels = dict(zip(NAMES, found, strict=True))
        columns = [
            arrow_array(labels[one.name], ARROW[one.kind])
            if one.name in labels
            else _column(batch, fields, one)
            for one in source.table.fields
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=arrow_schema(source.table.fields))
        rows += batch.num_rows
    if file.answers_until is None and rows != file.rows:
        raise ArchiveError(f"{file.path} gave {rows} rows, not {file.rows}", hint="run again")


def _places(
    source: Source, batch: pa.RecordBatch, fields: Sequence[Field], geoip: GeoIP
) -> list[Place]:
    of = next(one for one in source.table.fields if one.name == _of(source))
    places = [geoip.place(address) for address in _column(batch, fields, of).to_pylist()]
    check_databases(geoip)
    return places


def _of(source: Source) -> str:
    """The column with the address."""
    places = _own(source).places
    if places is None:
        raise UsageError(f"{source.table.name} keeps no places of addresses")
    return places.of


def _own(source: Source) -> Table:
    if source.table.own is None:
        raise UsageError(f"{source.table.name} keeps no places of addresses")
    return source.table.own


def _now(source: Source) -> list[Field]:
    return [one for one in source.table.fields if one.name in NAMES]


def _column(batch: pa.RecordBatch, fields: Sequence[Field], wanted: Field) -> pa.Array:
    """A column by its id; NULLs where the file is older than the column."""
    for one in fields:
        if one.id == wanted.id:
            return batch.column(one.name)
    return arrow_array([None] * batch.num_rows, ARROW[wanted.kind])
