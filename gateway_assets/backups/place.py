"""Files put into a place of one's own: private, durable, linked where nothing is lost by it."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path

from gateway_assets.files.appear import NO_LINKS, sync_directory

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
_CANNOT_LINK = NO_LINKS | {errno.EXDEV, errno.EMLINK}


def folder_for(target: Path) -> None:
    """Create the directories above a file, for the owner only."""
    for parent in reversed(target.parents):
        if not parent.exists():
            parent.mkdir(PRIVATE_FOLDER, exist_ok=True)


def copied(source: Path, target: Path) -> None:
    """A copy of its own, on disk when this returns."""
    folder_for(target)
    shutil.copyfile(source, target)
    settled(target)


def settled(target: Path) -> None:
    """Make a finished file private and durable."""
    target.chmod(PRIVATE_FILE)
    with target.open("rb") as file:
        os.fsync(file.fileno())


def written(target: Path, content: bytes) -> None:
    folder_for(target)
    target.write_bytes(content)
    settled(target)


def linked(source: Path, target: Path) -> None:
    """A second name for a file that never changes; a copy where the file system gives none.

    A linked file keeps its owner and rights: they are those of the first name, too.
    """
    folder_for(target)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _CANNOT_LINK:
            raise
        copied(source, target)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_tree(folder: Path) -> None:
    """Make the names of a whole tree durable."""
    for parent, _, _ in os.walk(folder):
        sync_directory(Path(parent))
