"""What a killed archiver left behind: half files go, files that nobody knows are set aside.

A whole Parquet file without a manifest row is either one whose publication did not commit, or
one whose manifest is gone (a hot database that was replaced by an older one). The second may be
the only copy of its rows, so neither is ever deleted.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from gateway_assets.archive.manifest import forget, live_paths, retired_files
from gateway_assets.files.appear import PARTIAL, make_directory


def sweep(connection: sqlite3.Connection, root: Path) -> list[Path]:
    """Clear the tree; where unknown files were set aside to. Call it holding the archive's lock."""
    for file in retired_files(connection):
        file.below(root).unlink(missing_ok=True)
        forget(connection, file)
    known = live_paths(connection)
    moved = []
    for path in root.glob("*/year=*/month=*/day=*/*"):
        place = path.relative_to(root)
        if path.name.endswith(PARTIAL):
            path.unlink()
        elif path.suffix == ".parquet" and str(place) not in known:
            aside = orphans(root) / place
            make_directory(aside.parent)
            moved.append(path.rename(aside))
    return moved


def orphans(root: Path) -> Path:
    """Beside the archive's tree, so that no glob over the tree matches it."""
    return root.parent / "orphans"
