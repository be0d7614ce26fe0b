"""Several databases at once: cached, and opened again when their files change.

A place's country, province and city come from one database: that which knows most of them, the
first of several that know as much. So a city is never put into another database's country. The
provider comes from whichever says most: an ISP's name, else the holder of the network, else its
number as ``AS64500``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from gateway_assets.geoip.database import Damaged, Database, Signature, Status, signature
from gateway_assets.geoip.place import NOWHERE, UNKNOWN, Place, public_address
from gateway_assets.geoip.schemas import FALLBACK, Location, location, provider

CHECK_SECONDS = 3.0
CACHED_ADDRESSES = 4096  # about a megabyte
SUFFIX = "*.mmdb"
_NO_LOCATION = Location(UNKNOWN, None, None)

Say = Callable[[str], None]


def _silent(text: str) -> None:
    del text


class _File:
    """A path, what was last found there, and the last whole database."""

    __slots__ = ("database", "problem", "signature")

    def __init__(self) -> None:
        self.signature: Signature | None = None
        self.database: Database | None = None
        self.problem = ""


class GeoIP:
    """Places of addresses by the databases at some paths; a directory stands for its *.mmdb files,
    and so does a name without an ending that is not there yet.

    Files are looked at again every ``check_seconds``, when something is asked. A new file that
    cannot be used leaves the old one in use; ``say`` is told once. Threads may share one.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        language: str = FALLBACK,
        *,
        say: Say = _silent,
        check_seconds: float = CHECK_SECONDS,
        cached: int = CACHED_ADDRESSES,
    ) -> None:
        self._paths = tuple(paths)
        self._language = language
        self._say = say
        self._check_seconds = check_seconds
        self._files: dict[Path, _File] = {}
        self._databases: tuple[Database, ...] = ()
        self._cached = lru_cache(maxsize=cached)(self._looked_up)
        self._refresh()

    @property
    def is_open(self) -> bool:
        """Whether there is a database to ask."""
        return bool(self._databases)

    @property
    def problems(self) -> list[str]:
        """What is wrong with files, each in one line."""
        return [file.problem for file in self._files.values() if file.problem]

    @property
    def failed_lookups(self) -> int:
        """How often a database turned out to be damaged where an address was looked up."""
        return sum(database.failed_lookups for database in self._databases)

    def place(self, address: str) -> Place:
        """Where an address is; ``ZZ`` when it is not public, unknown, or there is no database."""
        if time.monotonic() >= self._next_check:
            self._refresh()
        return self._cached(address)

    def status(self) -> list[Status]:
        """What is known of every database, and of every file that is none."""
        self._refresh()
        return [
            file.database.status(file.problem)
            if file.database
            else Status(str(path), problem=file.problem)
            for path, file in self._files.items()
        ]

    def _looked_up(self, text: str) -> Place:
        address = public_address(text)
        if address is None:
            return NOWHERE
        records = [database.record(address) for database in self._databases]
        located = [found for record in records if (found := location(record, self._language))]
        provided = [known for record in records if (known := provider(record))]
        where = max(located, key=lambda one: one.detail, default=_NO_LOCATION)
        isp = max(provided, key=lambda one: one.detail).name if provided else None
        return Place(where.country, where.province, where.city, isp)

    def _refresh(self) -> None:
        self._next_check = time.monotonic() + self._check_seconds
        files = {path: self._files.get(path) or _File() for path in self._wanted()}
        for path, file in files.items():
            self._look_at(path, file)
        self._files = files
        databases = tuple(file.database for file in files.values() if file.database)
        if databases != self._databases:
            self._databases = databases
            self._cached.cache_clear()

    def _wanted(self) -> Iterator[Path]:
        for path in self._paths:
            if path.is_dir():
                yield from (one for one in sorted(path.glob(SUFFIX)) if one.name[0] != ".")
            elif path.suffix or path.exists():
                yield path

    def _look_at(self, path: Path, file: _File) -> None:
        found = signature(path)
        if found == file.signature and (found or file.problem):
            return
        try:
            opened, problem = Database(path), ""
            opened.failed_lookups = file.database.failed_lookups if file.database else 0
            file.database = opened
        except (Damaged, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            kept = "; what it was before stays in use" if file.database else ""
            problem = f"{path} cannot be used: {why}{kept}"
        if problem and problem != file.problem:
            self._say(problem)
        file.signature, file.problem = found, problem
