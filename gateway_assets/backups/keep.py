"""Old backups go, but never the newest one that was proven good."""

from __future__ import annotations

import shutil
from pathlib import Path

from gateway_assets.backups.record import backups_in, newest_proven
from gateway_assets.files.appear import sync_directory


def expire(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` backups and the newest proven one; which went."""
    proven = newest_proven(folder)
    old = [path for path in backups_in(folder)[:-keep] if path != proven]
    for path in old:
        # Under this name it is no backup, so none is ever met that has lost a part.
        going = path.with_name(f".{path.name}.partial")
        path.rename(going)
        sync_directory(folder)
        shutil.rmtree(going)
    return old
