"""Archived files that become fewer: several of a day one, shortened ones whole, old ones none."""

from __future__ import annotations

from gateway_assets.archive import manifest
from gateway_assets.archive.duck import sorted_rows
from gateway_assets.archive.filters import answering_rows, regrouped
from gateway_assets.archive.known import forget_day
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.source import Source
from gateway_assets.archive.swap import replace_files
from gateway_assets.archive.totals import of_file
from gateway_assets.hot.store import writing


def compact_day(source: Source, day: int) -> bool:
    """Make the files of a day one; False when that must wait.

    Files of different columns stay apart, and so does a day that still has hidden rows.
    """
    files = live_files(source.connection, source.table, day)
    if len(files) < 2 or any(file.state != "archived" for file in files):
        return False
    if any(file.answers_until is not None for file in files):
        return False
    if len({(file.schema_version, file.row_order) for file in files}) > 1:
        return False
    fields = source.fields_of(files[0])
    paths = [file.below(source.root) for file in files]
    names = {field.name for field in fields}
    order = [name for name in source.table.order if name in names]
    rows = regrouped(sorted_rows(paths, fields, order), source.batch_size)
    replace_files(source, files, rows, fields)
    return True


def shorten(source: Source, file: ArchiveFile) -> None:
    """Write a file again with the rows only that it still answers for."""
    fields = source.fields_of(file)
    replace_files(source, [file], answering_rows(source, file, fields), fields)


def expire_day(source: Source, day: int) -> int:
    """Remove a day for good, and its keys that were still known; how many rows went."""
    connection, table = source.connection, source.table
    files = live_files(connection, table, day)
    if any(file.state != "archived" for file in files):
        return 0
    gone = [of_file(connection, table, file, source.root) for file in files]
    with writing(connection):
        for file, totals in zip(files, gone, strict=True):
            manifest.update(connection, file.number, state="retired")
            manifest.count_removed(connection, table, day, "expired", totals.rows, totals.sums)
        forget_day(source, day)
    return sum(totals.rows for totals in gone)
