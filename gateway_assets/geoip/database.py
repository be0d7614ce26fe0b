"""One opened database file, https://maxmind.github.io/MaxMind-DB/.

The file is mapped into memory by a copy that has no name: a file that is overwritten in place
would take a mapped reader's pages away and with them the process (SIGBUS, mmap(2)). Where its
directory cannot be written the file itself is mapped; who looks after such a place, a package
manager, replaces files by rename.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple

from gateway_assets import clock
from gateway_assets.geoip.licence import licence_of
from gateway_assets.geoip.place import Address
from gateway_assets.model import TIME_END

if TYPE_CHECKING:
    from maxminddb import Reader

COPY_BYTES = 1 << 20
# What damaged files make the reader raise; InvalidDatabaseError is a RuntimeError.
DAMAGE = (RuntimeError, ValueError, OSError)

Signature = tuple[int, int, int, int]


class Status(NamedTuple):
    """What is known of one database. ``built`` is ISO 8601, ``age_days`` counts from then."""

    path: str
    type: str = ""
    ip_version: int | None = None
    languages: tuple[str, ...] = ()
    built: str = ""
    age_days: int | None = None
    licence: str = ""
    notice: str = ""
    failed_lookups: int = 0
    problem: str = ""


class Damaged(Exception):
    """A file is no whole database, or was written while it was read."""


def signature(path: Path) -> Signature | None:
    """What differs when a file was replaced or written; None when there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Database:
    """A file as it was when it was opened. Raises Damaged and OSError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.failed_lookups = 0
        before = signature(path)
        self._reader = _opened(path)
        self._metadata = self._reader.metadata()
        if signature(path) != before:
            raise Damaged("it changed while it was read")

    def record(self, address: Address) -> Any:
        """What the database holds for an address; None when it holds nothing or is damaged."""
        try:
            if address.version > self._metadata.ip_version:
                return None  # that of a database of IPv4 only is 4, of one of both 6
            return self._reader.get(address)
        except DAMAGE:
            self.failed_lookups += 1
            return None

    def status(self, problem: str) -> Status:
        known = self._metadata
        built = known.build_epoch * clock.SECOND
        is_time = 0 <= built < TIME_END
        descriptions: Mapping[str, str] = known.description
        licence = licence_of(
            self.path.name, known.database_type, " ".join(map(str, descriptions.values()))
        )
        return Status(
            str(self.path),
            str(known.database_type),
            known.ip_version,
            tuple(known.languages),
            clock.iso(built)[:19] + "Z" if is_time else "",
            max((clock.now() - built) // clock.DAY, 0) if is_time else None,
            licence.name,
            licence.notice,
            self.failed_lookups,
            problem,
        )


def _opened(path: Path) -> Reader:
    # All of these would cost a daemon without databases megabytes.
    import shutil  # noqa: PLC0415
    import tempfile  # noqa: PLC0415

    import maxminddb  # noqa: PLC0415

    if not S_ISREG(path.stat().st_mode):
        raise Damaged("it is no file")
    try:
        try:
            with tempfile.TemporaryFile(dir=path.parent) as copy, path.open("rb") as file:
                shutil.copyfileobj(file, copy, COPY_BYTES)
                copy.flush()
                return maxminddb.open_database(f"/proc/self/fd/{copy.fileno()}")
        except OSError:
            return maxminddb.open_database(os.fspath(path))
    except (RuntimeError, ValueError) as error:
        raise Damaged("it is no whole database in the MaxMind DB format") from error
