"""The archive's files in a backup: those that a copied manifest names, listed, linked or copied.

They never change and no name comes twice, so a name, a size and a hash say which bytes are meant.
``list`` writes no more than that and needs the archive itself to be safe; when a day's files
become one, those listed before go. ``link`` keeps them on the same disk for no bytes, ``copy``
anywhere; what the backup before has copied gets a second name.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from gateway_assets.archive.manifest import select
from gateway_assets.backups.place import copied, folder_for, linked, sha256_of
from gateway_assets.backups.plan import DATA
from gateway_assets.backups.record import ArchiveEntry
from gateway_assets.errors import BackupError
from gateway_assets.settings import Settings

LIST, LINK, COPY = "list", "link", "copy"
MODES = (LIST, LINK, COPY)


class Taken(NamedTuple):
    """``missing`` and ``damaged`` say of which files the bytes are not in the backup."""

    entries: list[ArchiveEntry]
    missing: list[str]
    damaged: list[str]


def entries_of(copy: sqlite3.Connection, settings: Settings) -> list[ArchiveEntry]:
    """The files that answer for rows by a database's manifest, where they are now."""
    return [
        ArchiveEntry(
            os.path.relpath(file.below(settings.archive), settings.data_dir),
            file.size,
            file.sha256,
            file.rows,
        )
        for file in select(copy, "state IN ('published', 'archived')", [])
    ]


def take_files(
    copy: sqlite3.Connection, settings: Settings, mode: str, target: Path, before: Path | None
) -> Taken:
    """Take the files of one copied database into the backup at ``target``.

    ``before`` is a backup that has copies. Raises BackupError where files cannot be linked.
    """
    taken = Taken(entries_of(copy, settings), [], [])
    for entry in taken.entries:
        path = settings.data_dir / entry.path
        try:
            wrong = _wrong(path, entry) or _brought(path, entry, mode, target, before)
        except FileNotFoundError:
            taken.missing.append(f"{path} is missing")
        else:
            taken.damaged.extend(filter(None, [wrong]))
    return taken


def _wrong(path: Path, entry: ArchiveEntry) -> str:
    size = path.stat().st_size
    return "" if size == entry.size else f"{path} has {size} bytes, the manifest says {entry.size}"


def _brought(path: Path, entry: ArchiveEntry, mode: str, target: Path, before: Path | None) -> str:
    """What is wrong with the file; empty when it is in the backup as it is meant to be."""
    place = target / DATA / entry.path
    if mode == LIST or place.exists():
        return ""
    if mode == LINK:
        _link(path, place)
        return ""
    earlier = before / DATA / entry.path if before else None
    if earlier and earlier.is_file() and earlier.stat().st_size == entry.size:
        linked(earlier, place)
        return ""
    copied(path, place)
    if sha256_of(place) == entry.sha256:
        return ""
    place.unlink()
    return f"{path} is not what the manifest says"


def _link(path: Path, place: Path) -> None:
    folder_for(place)
    try:
        os.link(path, place)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BackupError(
            f"{path} cannot be linked to {place.parent}: {error.strerror}",
            hint="on another disk or of another user: gateway backup --archive copy",
        ) from error
