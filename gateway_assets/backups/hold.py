"""Files that must not go while the database that loads them is copied.

What was loaded before the copy is in it; what is loaded after it is in its file only, which the
loader may remove at once (``landing_keep_hours = 0``). A second name keeps such a file. So files
are held before the copy and once more after it, and of those the copy tells which it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gateway_assets.backups.place import linked
from gateway_assets.errors import BackupError
from gateway_assets.files.landing import landing_files
from gateway_assets.frames.reading import segments
from gateway_assets.frames.segment import is_rocks
from gateway_assets.settings import Settings
from gateway_assets.tables import TABLES


def hold(settings: Settings, held: Path) -> None:
    """Give every landing file and every segment a second name below ``held``."""
    for path in (*_landing(settings), *_segments(settings)):
        with suppress(FileNotFoundError):  # it was loaded and has gone: the database has it
            _keep(path, held / path.relative_to(settings.data_dir))


def _keep(path: Path, second: Path) -> None:
    if second.exists():
        # A segment that is being written and could only be copied has grown since.
        if second.samefile(path) or second.stat().st_size == path.stat().st_size:
            return
        second.unlink()
    linked(path, second)


def _landing(settings: Settings) -> Iterable[Path]:
    for table in TABLES:
        if table.source:
            yield from landing_files(settings.landing, table.source)


def _segments(settings: Settings) -> Iterable[Path]:
    for log in logs(settings.frames):
        yield from (segment.path for segment in segments(log))


def logs(frames: Path) -> list[Path]:
    """The directories of all frame logs. Raises BackupError for one that cannot be copied."""
    found = sorted(path for path in frames.glob("*") if path.is_dir())
    for log in found:
        if is_rocks(log):
            raise BackupError(
                f"{log} is in RocksDB, which only its writer can copy",
                hint="load it (gateway load), stop its writer and move the directory away",
            )
    return found
