"""A backup becomes a data directory again: beside its place, whole, and then by rename.

Nothing is ever written into a directory that is in use. What stands where the new one is to be is
moved aside, if that is wished, and stays.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from gateway_assets import clock
from gateway_assets.backups import record
from gateway_assets.backups.failures import failing
from gateway_assets.backups.parquet import LIST
from gateway_assets.backups.place import PRIVATE_FOLDER, copied, linked, sha256_of, sync_tree
from gateway_assets.backups.plan import DATA
from gateway_assets.backups.record import ArchiveEntry, Backup, Part
from gateway_assets.errors import BackupError
from gateway_assets.files.appear import PARTIAL, make_directory, sync_directory
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings


class Brought(NamedTuple):
    """``missing`` says which archived files could not be brought, and why."""

    path: Path
    aside: Path | None  # what stood there before
    archive_files: int
    missing: list[str]


def bring(
    backup: Backup,
    to: Path,
    settings: Settings,
    *,
    archive_from: Path | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Brought:
    """Restore everything but a registry in PostgreSQL to the directory ``to``.

    Archived files that are not in the backup come from the data directory ``archive_from``, by
    default the one that was backed up. Databases are restored also where such files are missing.
    Raises BackupError when a part is damaged, or ``to`` has something in it and not ``force``.
    """
    to = to.absolute()
    _check_place(to, settings, force=force)
    partial = to.with_name(f".{to.name}.{os.urandom(4).hex()}{PARTIAL}")
    with failing(f"{to} was not restored", to):
        make_directory(to.parent)
        partial.mkdir(PRIVATE_FOLDER)
        try:
            lay_out(backup, partial, progress)
            missing = _bring_archive(backup, partial, archive_from)
            sync_tree(partial)
            aside = _moved_aside(to)
            partial.rename(to)
            sync_directory(to.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Brought(to, aside, backup.archive_files - len(missing), missing)


def lay_out(backup: Backup, target: Path, progress: Progress = silent) -> None:
    """Copy every part to where it belongs in a data directory, and compare its hash.

    Raises BackupError.
    """
    total, done = sum(part.size for part in backup.parts), 0
    for part in backup.parts:
        place = place_of(part)
        if place:
            wrong = wrong_with(backup, part)
            if wrong:
                raise BackupError(wrong, hint="restore another backup: gateway backup --list")
            copied(backup.path / part.path, target / place)
        done += part.size
        progress(done, total)


def place_of(part: Part) -> str:
    """Where a part belongs in a data directory; empty for what does not."""
    if part.kind in {record.POSTGRES, record.LIST}:
        return ""
    return part.path.removeprefix(f"{DATA}/")


def wrong_with(backup: Backup, part: Part) -> str:
    """What is wrong with a part; empty when it is what was written."""
    return _wrong(backup.path / part.path, part.size, part.sha256)


def wrong_with_file(path: Path, entry: ArchiveEntry) -> str:
    """What is wrong with an archived file; empty when it is what was archived."""
    return _wrong(path, entry.size, entry.sha256)


def _wrong(path: Path, size: int, sha256: str) -> str:
    try:
        found = path.stat().st_size
        if found != size:
            return f"{path} has {found} bytes, not {size}"
        return "" if sha256_of(path) == sha256 else f"{path} has other bytes: its SHA-256 differs"
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"


def archive_root(backup: Backup, archive_from: Path | None) -> Path:
    """The data directory in which the archived files of a backup are."""
    if backup.archive != LIST:
        return backup.path / DATA
    return archive_from or Path(backup.data_dir)


def _bring_archive(backup: Backup, target: Path, archive_from: Path | None) -> list[str]:
    root = archive_root(backup, archive_from)
    missing = []
    for entry in backup.entries():
        wrong = wrong_with_file(root / entry.path, entry)
        if wrong:
            missing.append(wrong)
        else:
            linked(root / entry.path, target / entry.path)
    return missing


def _check_place(to: Path, settings: Settings, *, force: bool) -> None:
    if to.exists() and not to.is_dir():
        raise BackupError(f"{to} is a file", hint="name a directory that does not exist yet")
    if not to.exists() or not any(to.iterdir()):
        return
    if to.resolve() == settings.data_dir.resolve():
        raise BackupError(
            f"{to} is in use: a backup is never restored over live data",
            hint="restore to another directory, stop the services, then set GATEWAY_DATA_DIR",
        )
    if settings.data_dir.resolve().is_relative_to(to.resolve()):
        raise BackupError(f"{to} holds the data directory in use", hint="name another directory")
    if not force:
        raise BackupError(
            f"{to} is not empty",
            hint="name a new directory; with --force what is there is moved aside",
        )


def _moved_aside(to: Path) -> Path | None:
    if not to.exists():
        return None
    if not any(to.iterdir()):
        to.rmdir()
        return None
    return to.rename(to.with_name(f"{to.name}.before-{clock.compact(clock.now())}"))
