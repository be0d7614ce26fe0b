"""A backup of everything, in the order that loses nothing between two parts.

    1. landing files and frames are held      what is loaded from now on cannot go
    2. how far tables were pulled             what was pulled until then is in the frame log
    3. databases, each with its archive       a manifest names files; they are taken right after it
    4. the registry in PostgreSQL             behind points.db, as an embedded one is
    5. landing files and frames               all that the copied databases have not loaded
    6. the collector's journal, what people were told, settings, what else people wrote

The other way round a row that is loaded or archived in between would be in neither place. This
way it may be in both, which loading knows: a file of a known name and a point of a known time are
one. Where the archiver replaced a file between a manifest and its files, that database is copied
again.
"""

from __future__ import annotations

import platform
import shutil
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway_assets import __version__, clock
from gateway_assets.archive.backup import check_space
from gateway_assets.backups import plan, postgres, record
from gateway_assets.backups.failures import failing
from gateway_assets.backups.hold import hold
from gateway_assets.backups.keep import expire
from gateway_assets.backups.parquet import COPY, LIST, take_files
from gateway_assets.backups.place import (
    PRIVATE_FOLDER,
    copied,
    linked,
    sha256_of,
    sync_tree,
    written,
)
from gateway_assets.backups.plan import DATA, Wanted
from gateway_assets.backups.record import ArchiveEntry, Backup, Part
from gateway_assets.backups.sqlite import copy_database, opened_copy, rows_by_table
from gateway_assets.errors import BackupError, StoreError
from gateway_assets.files.appear import make_directory, sync_directory
from gateway_assets.files.landing import landing_files
from gateway_assets.files.lock import exclusive
from gateway_assets.frames.reading import segments
from gateway_assets.frames.segment import seal_of
from gateway_assets.hot.load import pending
from gateway_assets.notify.log import lock_of
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES
from gateway_assets.tiers.catalog import has_table

TRIES = 3  # of taking what others change meanwhile
PARTIAL, HELD, CHECK = ".partial", ".held", ".check"
DUMP = "registry.dump"
_LOCK_SECONDS = 10.0


@dataclass(slots=True)
class _Work:
    settings: Settings
    target: Path  # where the backup is made
    held: Path
    before: Path | None  # a backup that has copies of archived files
    backup: Backup
    progress: Progress
    total: int  # bytes of the databases
    done: int = 0
    entries: dict[str, ArchiveEntry] = field(default_factory=dict)

    def note(self, place: str, kind: str, origin: Path | str, **more: Any) -> None:
        path = self.target / place
        size, sha256 = path.stat().st_size, sha256_of(path)
        self.backup.parts.append(Part(place, kind, str(origin), size, sha256, **more))


def take(
    settings: Settings,
    *,
    to: Path | None = None,
    archive: str = LIST,
    with_secrets: bool = False,
    progress: Progress = silent,
) -> Backup:
    """Back everything up to a new directory below ``to``, then remove old backups.

    Raises BackupError, and Busy while another backup or check is running. What failed leaves
    nothing behind.
    """
    folder = (to or settings.backups).absolute()
    with alone(settings, folder):
        with failing("no backup was made", folder):
            backup = _taken(settings, folder, archive, progress, with_secrets=with_secrets)
        with failing(f"{backup.path} is complete, older ones could not be removed", folder):
            expire(folder, settings.backup_keep)
    return backup


@contextmanager
def alone(settings: Settings, folder: Path) -> Iterator[None]:
    """No other backup or check beside this one; what a killed one left has gone."""
    with ExitStack() as locks:
        for place in dict.fromkeys([settings.backups, folder]):
            locks.enter_context(exclusive(place / ".lock", "a backup"))
            for left in place.glob(".*"):
                if left.suffix in {PARTIAL, HELD, CHECK} and left.is_dir():
                    shutil.rmtree(left)
        yield


def _taken(
    settings: Settings, folder: Path, archive: str, progress: Progress, *, with_secrets: bool
) -> Backup:
    started, created = time.monotonic(), clock.now()
    name = clock.compact(created)
    wanted, missing = plan.databases(settings)
    total = sum(map(plan.size_of, wanted))
    make_directory(folder)
    check_space(folder, total, "the backup")
    backup = Backup(
        path=folder / name,
        created=created,
        host=socket.gethostname(),
        versions={
            "gateway_assets": __version__,
            "python": platform.python_version(),
            "sqlite": sqlite3.sqlite_version,
        },
        data_dir=str(settings.data_dir),
        archive=archive,
        left_out=missing,
    )
    work = _Work(
        settings,
        folder / f".{name}{PARTIAL}",
        settings.backups / f".{name}{HELD}",
        _with_copies(folder) if archive == COPY else None,
        backup,
        progress,
        total,
    )
    try:
        work.target.mkdir(PRIVATE_FOLDER)
        work.held.mkdir(PRIVATE_FOLDER)
        _take_all(work, wanted, with_secrets=with_secrets)
        backup.seconds = round(time.monotonic() - started, 3)
        record.write_record(backup, work.target)
        sync_tree(work.target)
        work.target.rename(backup.path)
        sync_directory(folder)
    finally:
        shutil.rmtree(work.target, ignore_errors=True)
        shutil.rmtree(work.held, ignore_errors=True)
    return backup


def _with_copies(folder: Path) -> Path | None:
    """The newest backup that has copies of archived files, not links to the archive's own."""
    for path in reversed(record.backups_in(folder)):
        try:
            if record.read_record(path).archive == COPY:
                return path
        except BackupError:  # it is damaged: what it has is copied again
            continue
    return None


def _take_all(work: _Work, wanted: list[Wanted], *, with_secrets: bool) -> None:
    """The steps, see above."""
    settings = work.settings
    hold(settings, work.held)
    for path in sorted(settings.data_dir.glob(plan.PULLS)):
        _take_file(work, Wanted(path, f"{DATA}/pulls/{path.name}"))
    for database in wanted:
        _take_database(work, database)
    _write_archive(work)
    if settings.registry_url:
        dumped = postgres.dump(settings.registry_url, work.target / DUMP)
        work.note(DUMP, record.POSTGRES, "registry_url", rows=dumped.rows, version=dumped.version)
    _take_journal_and_hold(work)
    _take_frames(work)
    _take_landing(work)
    _take_notifications(work)
    for one in (*plan.state_files(settings), *plan.config_files(settings, secrets=with_secrets)):
        _take_file(work, one)


def _take_file(work: _Work, wanted: Wanted) -> None:
    copied(wanted.path, work.target / wanted.place)
    work.note(wanted.place, plan.kind_of(wanted.place), wanted.path)


def _take_database(work: _Work, wanted: Wanted) -> None:
    """Copy a database, and take the archived files that this very copy names."""
    target = work.target / wanted.place
    size = plan.size_of(wanted)
    for tries_left in reversed(range(TRIES)):
        try:
            copy_database(
                wanted.path,
                target,
                lambda share: work.progress(work.done + int(share * size), work.total),
            )
        except StoreError:
            if wanted.path.exists():
                raise
            target.unlink(missing_ok=True)
            return  # a run of Dagster's that was forgotten since it was listed
        with opened_copy(target) as copy:
            rows = rows_by_table(copy)
            taken = take_files(copy, work.settings, work.backup.archive, work.target, work.before)
        if not taken.missing or not tries_left:
            break
        target.unlink()  # the archiver replaced a file meanwhile: its manifest says by which
    work.done += size
    work.entries |= {entry.path: entry for entry in taken.entries}
    work.backup.left_out += taken.missing + taken.damaged
    work.note(wanted.place, record.SQLITE, wanted.path, rows=rows)


def _write_archive(work: _Work) -> None:
    """The list of archived files; what a first try took and none names any more goes again."""
    content = b"".join(record.line_of(entry) for entry in work.entries.values())
    written(work.target / record.FILES, content)
    work.note(record.FILES, record.LIST, work.settings.archive)
    work.backup.archive_files = len(work.entries)
    work.backup.archive_bytes = sum(entry.size for entry in work.entries.values())
    data = work.target / DATA
    for path in (data / "archive").rglob("*.parquet"):
        if str(path.relative_to(data)) not in work.entries:
            path.unlink()


def _take_journal_and_hold(work: _Work) -> None:
    """The journal has the counters of the last look, whose rows are landed behind it, by the next
    start if need be. So no look may land between the two, or its rows would come twice.
    """
    path = work.settings.data_dir / plan.JOURNAL
    for _ in range(TRIES):
        content = path.read_bytes() if path.exists() else None
        hold(work.settings, work.held)
        if content == (path.read_bytes() if path.exists() else None):
            break
    if content is not None:
        place = f"{DATA}/{plan.JOURNAL}"
        written(work.target / place, content)
        work.note(place, record.STATE, path)


def _take_notifications(work: _Work) -> None:
    """What channels of type log were told, behind the registry, which knows what was sent."""
    log = work.settings.notifications_log
    if not log.exists():
        return
    with exclusive(lock_of(log), "writing notifications", _LOCK_SECONDS):
        for path in sorted(log.parent.glob(f"{log.name}*")):
            _take_file(work, Wanted(path, f"{DATA}/{path.name}"))


def _take_frames(work: _Work) -> None:
    """Segments that the copy of points.db has not loaded whole; the newest carries the sequence."""
    done = _loaded_segments(work.target / DATA / work.settings.points_database.name)
    for log in sorted((work.held / "frames").glob("*")):
        found = segments(log)
        for segment in found:
            if segment.key in done and segment is not found[-1]:
                continue
            origin = work.settings.frames / log.name / segment.name
            place = f"{DATA}/frames/{log.name}/{segment.name}"
            take_one = copied if seal_of(segment) is None else linked
            take_one(segment.path, work.target / place)
            work.note(place, record.FRAMES, origin)


def _loaded_segments(points: Path) -> set[str]:
    if not points.exists():
        return set()
    with opened_copy(points) as copy:
        if not has_table(copy, "segments"):
            return set()
        return {name for (name,) in copy.execute("SELECT name FROM segments WHERE done")}


def _take_landing(work: _Work) -> None:
    """Landing files that the copy of hot.db does not know."""
    for path in _unknown(work.target / DATA / work.settings.hot_database.name, work.held):
        place = f"{DATA}/{path.relative_to(work.held)}"
        linked(path, work.target / place)
        work.note(place, record.LANDING, work.settings.data_dir / path.relative_to(work.held))


def _unknown(hot: Path, held: Path) -> Iterator[Path]:
    sources = [table.source for table in TABLES if table.source]
    landing = held / "landing"
    if not hot.exists():
        yield from (path for source in sources for path in landing_files(landing, source))
        return
    with opened_copy(hot) as copy:
        for source in sources:
            yield from pending(copy, source, landing)
