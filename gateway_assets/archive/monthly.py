"""Making the copies of closed months, and dropping those that are out of date."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets import clock
from gateway_assets.archive.checksum import file_sha256
from gateway_assets.archive.facts import FactsTaker, hashed
from gateway_assets.archive.filters import regrouped
from gateway_assets.archive.manifest import ArchiveFile, live_files
from gateway_assets.archive.months import Month, folder, month_of, months
from gateway_assets.archive.parquet import read_batches, write_parquet
from gateway_assets.archive.source import Source
from gateway_assets.archive.verify import check_whole
from gateway_assets.errors import ArchiveError
from gateway_assets.files.appear import explained, make_directory, sync_directory
from gateway_assets.hot.store import writing

ROW_GROUP = 20_000  # small enough for a lookup, and as small in bytes as larger ones
MOST_ROWS_A_DAY = 200_000  # above that a day's own file is long enough


def build_months(source: Source) -> list[Month]:
    """Make the copies that are missing, of months that are over and wholly archived."""
    drop_months(source)
    have = {month.month for month in months(source.connection, source.table)}
    built = []
    for month, files in _live_by_month(source).items():
        if month not in have and _is_closed(source, month) and _is_worth_it(files):
            built.append(_build(source, month, files))
    return built


def drop_months(source: Source) -> None:
    """Remove copies that do not cover exactly the files of their month, and files of no copy.

    The file goes first: a copy that is known and missing is not used, while a file that is left
    unknown could keep rows that were erased.
    """
    live = {
        month: {file.number for file in files if file.answers_until is None}
        for month, files in _live_by_month(source).items()
    }
    for month in months(source.connection, source.table):
        if frozenset(live.get(month.month, ())) != month.covers:
            (folder(source.root) / month.path).unlink(missing_ok=True)
            with writing(source.connection):
                source.connection.execute(
                    "DELETE FROM gateway_archive_months WHERE number = ?", (month.number,)
                )
    root = folder(source.root)
    known = {month.path for month in months(source.connection, source.table)}
    for path in (root / source.table.name).glob("*.parquet"):
        if str(path.relative_to(root)) not in known:
            path.unlink()  # of a run that was killed


def _live_by_month(source: Source) -> dict[str, list[ArchiveFile]]:
    grouped: dict[str, list[ArchiveFile]] = {}
    for file in live_files(source.connection, source.table):
        grouped.setdefault(month_of(file.day), []).append(file)
    return grouped


def _is_closed(source: Source, month: str) -> bool:
    """Whether all days of a month are older than those that stay hot."""
    first_hot = clock.day_of(clock.now()) - source.table.hot_days
    return month < month_of(first_hot)


def _is_worth_it(files: list[ArchiveFile]) -> bool:
    return (
        len(files) > 1
        and all(file.state == "archived" and file.answers_until is None for file in files)
        and len({file.schema_version for file in files}) == 1
        and max(file.rows for file in files) <= MOST_ROWS_A_DAY
    )


@contextmanager
def _removed_on_error(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _build(source: Source, month: str, files: list[ArchiveFile]) -> Month:
    fields = source.fields_of(files[0])
    check_whole([f for f in files if f.number not in source.fresh], fields, source.root)
    root = folder(source.root)
    name = f"{source.table.name}/{month}-{secrets.token_hex(4)}.parquet"
    path = root / name
    taker = FactsTaker(fields)
    with explained(path):
        make_directory(path.parent)
        paths = [file.below(source.root) for file in files]
        with _removed_on_error(path), path.open("wb") as file:
            batches = (batch for one in paths for batch in read_batches(one, fields))
            write_parquet(file, taker.passing(regrouped(batches, ROW_GROUP)), fields)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    if taker.rows != sum(file.rows for file in files):
        raise ArchiveError(f"{path} has not all rows of {month}", hint="gateway archive verify")
    if hashed(read_batches(path, fields), fields) != (taker.rows, taker.content_hash()):
        raise ArchiveError(f"{path} does not read back as it was written", hint="check the disk")
    covers = sorted(file.number for file in files)
    with writing(source.connection):
        source.connection.execute(
            "INSERT INTO gateway_archive_months (table_name, month, path, covers, rows, size, "
            "first_time, last_time, sha256, schema_version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                source.table.name,
                month,
                name,
                json.dumps(covers),
                taker.rows,
                path.stat().st_size,
                min(file.first_time for file in files),
                max(file.last_time for file in files),
                file_sha256(path),
                files[0].schema_version,
            ),
        )
    return months(source.connection, source.table)[-1]
