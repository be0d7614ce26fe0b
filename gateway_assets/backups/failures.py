"""What goes wrong with disks and databases, as an error of the backup."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets.errors import ArchiveError, BackupError, FrameError, LandingError, StoreError
from gateway_assets.files.appear import explained


@contextmanager
def failing(what: str, place: Path) -> Iterator[None]:
    """Errors become a BackupError that begins with ``what``; Busy stays what it is."""
    try:
        with explained(place):
            yield
    except (ArchiveError, FrameError, LandingError, StoreError) as error:
        raise BackupError(f"{what}: {error.message}", hint=error.hint) from error
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{what}: {error}", hint="check the disk (dmesg)") from error
