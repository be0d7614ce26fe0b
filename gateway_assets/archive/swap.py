"""Archived files are replaced by others: erased, shortened, or made one. They never change.

    1  the new file is written beside the tree and read back
    2  one commit: the manifest names the new file instead of the old ones; the bridge follows
    3  the day's whole directory is exchanged in one step, so that a glob over the tree sees either
       the old rows or the new, never both

A crash after 2 leaves step 3 to the next run (``land``).

A new file has a new name, and no name comes again: DuckDB opens a file by its name once for the
footer and again for the pages. Were another file of that name there by then, it would read the
pages of the one by the footer of the other: errors of many kinds, and wrong rows without any.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa

from gateway_assets.archive import manifest
from gateway_assets.archive.checksum import file_sha256
from gateway_assets.archive.facts import FactsTaker, hashed
from gateway_assets.archive.manifest import ArchiveFile
from gateway_assets.archive.parquet import read_batches, write_parquet
from gateway_assets.archive.source import Source
from gateway_assets.archive.verify import check_whole
from gateway_assets.errors import ArchiveError
from gateway_assets.files.appear import NO_LINKS, explained, make_directory, sync_directory
from gateway_assets.hot.store import writing
from gateway_assets.tiers.fields import Field

STAGED = ".staged"
_RENAME_EXCHANGE, _AT_FDCWD = 2, -100


def replace_files(
    source: Source,
    old: Sequence[ArchiveFile],
    batches: Iterable[pa.RecordBatch],
    fields: Sequence[Field],
    also: Callable[[], None] | None = None,
    into: Sequence[Field] | None = None,
) -> ArchiveFile | None:
    """Put the rows of ``batches`` in the place of some files of one day; the new file, if any.

    ``also`` is called within the transaction that swaps. All files must have
    been written with ``fields``, and none may have hidden copies in hot. The new file has the same
    columns, or, with ``into``, those of the table now.
    """
    first = old[0]
    table = source.table
    check_whole(old, fields, source.root)
    path = manifest.part_path(table, first.day)
    staged = _staged_path(path)
    connection = source.connection
    with explained(source.root / staged):
        with writing(connection):
            number = manifest.reserve(connection, table, first.day, staged)
            manifest.update(connection, number, hidden_until=first.day_from)  # hides nothing
        make_directory((source.root / staged).parent)
        facts = _write(source, source.root / staged, batches, into or fields, first.day)
        size = (source.root / staged).stat().st_size
        sha256 = file_sha256(source.root / staged)
    with source.writing():
        for file in old:
            now = manifest.file_numbered(connection, file.number)
            if now is None or now.state != "archived":
                raise ArchiveError(f"{file.path} changed while it was rewritten", hint="run again")
            if facts.rows:
                manifest.forget(connection, file.number)
            else:
                manifest.update(connection, file.number, state="retired")
        if facts.rows:
            version = manifest.save_schema(connection, table) if into else first.schema_version
            manifest.fill(
                connection, number, "archived", facts, size=size, sha256=sha256, version=version
            )
            manifest.update(connection, number, path=path, staged=staged)
        if also is not None:
            also()
    new = manifest.file_numbered(connection, number) if facts.rows else None
    if new is not None:
        land(source, new)
    return new


def land(source: Source, file: ArchiveFile) -> None:
    """Step 3, also when a killed run did part of it."""
    staged, target = source.root / file.staged, source.root / file.path
    with explained(target):
        _end_exchange(staged.parent, target.parent)
        if staged.exists():
            make_directory(target.parent)
            _bring_others(source, file)
            _exchange(staged.parent, target.parent)
            sync_directory(target.parent.parent)
        if staged.parent.exists():
            shutil.rmtree(staged.parent)  # what was erased must not stay here unnoticed
    with writing(source.connection):
        manifest.update(source.connection, file.number, staged="")


def _bring_others(source: Source, file: ArchiveFile) -> None:
    """Let the new directory hold the day's other live files, too, each by a second name."""
    staged, target = source.root / file.staged, source.root / file.path
    for left in staged.parent.iterdir():
        if left != staged:
            left.unlink()  # of a run that was killed; it may be live no more
    where = "table_name = ? AND day = ? AND number <> ? AND state IN ('published', 'archived')"
    params = [file.table_name, file.day, file.number]
    for other in manifest.select(source.connection, where, params):
        place = target.with_name(Path(other.path).name)
        if place.exists():
            _link(place, staged.with_name(place.name))
    sync_directory(staged.parent)


def _link(place: Path, second: Path) -> None:
    try:
        os.link(place, second)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copyfile(place, second)
        with second.open("rb") as file:
            os.fsync(file.fileno())


def _staged_path(path: str) -> str:
    folder, _, name = path.rpartition("/")
    # Beside the tree: DuckDB's * matches directories that begin with a dot, too.
    return f"../staged/{folder.replace('/', '.')}.{secrets.token_hex(4)}{STAGED}/{name}"


def _write(
    source: Source,
    staged: Path,
    batches: Iterable[pa.RecordBatch],
    fields: Sequence[Field],
    day: int,
) -> manifest.Facts:
    time = next(field for field in fields if field.id == source.table.time_field.id)
    taker = FactsTaker(fields, source.table.summed)
    with staged.open("wb") as file:
        write_parquet(file, taker.passing(batches), fields)
        file.flush()
        os.fsync(file.fileno())
    sync_directory(staged.parent)
    if hashed(read_batches(staged, fields), fields) != (taker.rows, taker.content_hash()):
        raise ArchiveError(f"{staged} does not read back as it was written", hint="check the disk")
    return taker.taken(day, time)


def _exchange(staged: Path, target: Path) -> None:
    if not _exchanged_at_once(staged, target):
        # For a moment a glob sees nothing of the day.
        target.rename(_aside(staged))
        staged.rename(target)
        _aside(staged).rename(staged)


def _end_exchange(staged: Path, target: Path) -> None:
    """What a killed run has put aside: the day as it was, back to its place or away."""
    aside = _aside(staged)
    if not aside.exists():
        return
    if staged.exists():  # so the day's place was left empty, and live files are only aside
        make_directory(target.parent)
        aside.rename(target)
    else:
        shutil.rmtree(aside)


def _aside(staged: Path) -> Path:
    return staged.with_name(staged.name + ".old")


def _exchanged_at_once(one: Path, other: Path) -> bool:
    """Exchange two directories in one step, renameat2(2); Python has no name for it.

    False where the file system cannot.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.renameat2(
        _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE
    )
    code = ctypes.get_errno()
    if done != 0 and code not in {errno.EINVAL, errno.ENOSYS}:
        raise OSError(code, os.strerror(code), str(other))
    return bool(done == 0)
