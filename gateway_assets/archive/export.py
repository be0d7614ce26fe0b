"""A day becomes a file: reserved, written beside its place, read back, then published.

    1  a manifest row reserves the day: any change of its rows from here on calls the file off
    2  the day's visible rows are read in one snapshot, written, fsynced
    3  the file is read back; its values must be those that were read
    4  one transaction: reservation still good, manifest row (publish and hide), final name, COMMIT

The write lock is held for steps 1 and 4 only, milliseconds each, however large the day is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from gateway_assets.archive import manifest
from gateway_assets.archive.checksum import file_sha256
from gateway_assets.archive.facts import FactsTaker, hashed
from gateway_assets.archive.guard import check_guarded
from gateway_assets.archive.manifest import Facts
from gateway_assets.archive.parquet import read_batches, write_parquet
from gateway_assets.archive.reading import UndecodableText, batches, day_query, tolerate
from gateway_assets.archive.source import Source
from gateway_assets.errors import ArchiveError
from gateway_assets.files.appear import explained, make_directory, partial_path, sync_directory
from gateway_assets.hot.dirty import dirty_days
from gateway_assets.hot.store import reading, writing
from gateway_assets.tiers.described import columns_now
from gateway_assets.tiers.fields import Misfit

CHANGED_TRIES = 3


class Exported(NamedTuple):
    number: int  # of the file in the manifest
    rows: int
    size: int
    path: str


class CalledOff(Exception):
    """The day's rows changed while they were written."""


def export_day(source: Source, day: int) -> Exported | None:
    """Archive the visible rows of a day that may leave.

    None when there is nothing to archive, or when the rows changed each time they were written:
    then they all are where they were. Raises LandingError when the disk refuses.
    """
    for _ in range(CHANGED_TRIES):
        path = manifest.part_path(source.table, day)
        try:
            return _export(source, day, path)
        except CalledOff:
            continue
    return None


def _export(source: Source, day: int, path: str) -> Exported | None:
    target = source.root / path
    partial = partial_path(target)
    with explained(target):
        with source.writing(lightly=True):
            number = manifest.reserve(source.connection, source.table, day, path)
        try:
            facts = _write(source, day, partial)
            if not facts.rows:
                return None
            _check_written(source, partial, facts)
            size = _publish(source, day, number, facts, (partial, target))
        finally:
            partial.unlink(missing_ok=True)
            _drop_reservation(source, number)
    source.fresh.add(number)
    return Exported(number, facts.rows, size, path)


def _write(source: Source, day: int, partial: Path) -> Facts:
    """Write the day, widening columns as long as values demand it."""
    make_directory(partial.parent)
    while True:
        taker = FactsTaker(source.table.fields, source.table.summed)
        try:
            with reading(source.connection), partial.open("wb") as file:
                write_parquet(file, taker.passing(visible_rows(source, day)), source.table.fields)
                if source.table.view:
                    _check_shown(source, day, taker)
                file.flush()
                os.fsync(file.fileno())
            return taker.taken(day, source.table.time_field)
        except Misfit as misfit:
            source.table = source.table.wider(misfit)
        except UndecodableText:
            tolerate(source.connection)


def _check_shown(source: Source, day: int, taker: FactsTaker) -> None:
    """A view is written by people: one that misses a row, doubles or alters it would have rows
    deleted of which the archive has no copy. Call it in the snapshot that the rows were read in.
    """
    table = replace(source.table, view="", fields=source.table.table_fields)
    rows = hashed(visible_rows(replace(source, table=table), day), table.fields)
    if rows != (taker.rows, taker.content_hash(table.fields)):
        raise ArchiveError(
            f"view {source.table.view} does not show each of the day's rows exactly once, as it is",
            hint="nothing of the day was moved; see: gateway archive status",
        )


def visible_rows(source: Source, day: int) -> Iterator[pa.RecordBatch]:
    cursor = source.connection.execute(*day_query(source.connection, source.table, day))
    return batches(cursor, source.table.fields, source.batch_size, source.memory)


def _check_written(source: Source, partial: Path, facts: Facts) -> None:
    fields = source.table.fields
    if hashed(read_batches(partial, fields), fields) != (facts.rows, facts.content_hash):
        raise ArchiveError(f"{partial} does not read back as it was written", hint="check the disk")


def _publish(source: Source, day: int, number: int, facts: Facts, names: tuple[Path, Path]) -> int:
    partial, target = names
    size, sha256 = partial.stat().st_size, file_sha256(partial)
    connection, table = source.connection, source.table
    source.check_in_place()
    with _named_on_commit(partial, target), source.writing():
        reserved = manifest.file_numbered(connection, number)
        if reserved is None or reserved.state != "writing":
            raise CalledOff
        if table.own and day in dirty_days(connection, table.own):
            raise CalledOff  # pruned before they were rolled up, late rows would not count
        check_guarded(connection, table)
        if columns_now(connection, table.table, table.view) != [f.name for f in table.fields]:
            raise CalledOff  # a column came, and perhaps values; the next run knows it
        version = manifest.save_schema(connection, table)
        manifest.fill(
            connection, number, "published", facts, size=size, sha256=sha256, version=version
        )
        _remove_taken_back(source)
        partial.rename(target)
        sync_directory(target.parent)
    return size


def _remove_taken_back(source: Source) -> None:
    """A file whose publication was taken back may hold rows that the new one holds, too."""
    for old in manifest.select(
        source.connection, "table_name = ? AND state = 'retired'", [source.table.name]
    ):
        (source.root / old.path).unlink(missing_ok=True)
        manifest.forget(source.connection, old.number)


@contextmanager
def _named_on_commit(partial: Path, target: Path) -> Iterator[None]:
    """Take the final name back when the transaction around it does not commit."""
    try:
        yield
    except BaseException:
        if target.exists():
            target.rename(partial)
        raise


def _drop_reservation(source: Source, number: int) -> None:
    """Forget a reservation that did not become a file; a published row is left alone."""
    file = manifest.file_numbered(source.connection, number)
    if file is not None and file.state in {"writing", "retired"} and not file.rows:
        with writing(source.connection):
            manifest.forget(source.connection, number)
