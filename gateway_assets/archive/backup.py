"""A copy of a whole database, made by SQLite itself, checked, and named when it is complete."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway_assets import clock
from gateway_assets.errors import ArchiveError
from gateway_assets.files.appear import explained, make_directory, partial_path, sync_directory

RESERVE = 64 * 2**20  # bytes that stay free whatever is written


def backup(connection: sqlite3.Connection, database: Path, folder: Path) -> Path:
    """Copy a database that others may be writing; where to.

    Raises ArchiveError when the copy does not pass SQLite's own check, LandingError when the disk
    refuses.
    """
    path = folder / f"{database.stem}-{clock.compact(clock.now())}.db"
    partial = partial_path(path)
    with explained(path):
        make_directory(folder)
        try:
            connection.execute("VACUUM INTO ?", (str(partial),))
            with closing(sqlite3.connect(partial)) as copy:
                found = damage(copy)
            if found:
                raise ArchiveError(
                    f"{database}: its backup fails SQLite's check: {found}",
                    hint="the database is damaged: see PRAGMA integrity_check",
                )
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            partial.rename(path)
            sync_directory(folder)
        finally:
            partial.unlink(missing_ok=True)
    return path


def damage(copy: sqlite3.Connection) -> str:
    """What SQLite's own check finds first; empty when nothing is wrong."""
    found = [text for (text,) in copy.execute("PRAGMA quick_check")]
    # A NULL where there should be none harms no structure, and SQLite 3.40 sees some that are not
    # there (WITHOUT ROWID, descending keys).
    wrong = [text for text in found if text != "ok" and not text.startswith("NULL value")]
    return wrong[0] if wrong else ""


def check_space(place: Path, needed: int, what: str) -> None:
    """Raise ArchiveError when writing ``needed`` bytes would leave the disk nearly full."""
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed + RESERVE:
        raise ArchiveError(
            f"{what} may need {needed // 2**20:,} MiB, {place} has {free // 2**20:,} MiB free",
            hint=f"free {(needed + RESERVE - free) // 2**20 + 1:,} MiB, then run again",
        )
