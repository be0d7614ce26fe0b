"""Where a query puts what does not fit into memory: a folder of its own, gone with its process."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from gateway_assets.files.appear import explained, make_directory


class SpillFolder:
    """A folder that is held by ``descriptor``, which the process that uses it inherits.

    While any process has the descriptor open, nobody else removes the folder.
    """

    def __init__(self, place: Path) -> None:
        with explained(place):
            make_directory(place)
            while True:
                self.path = Path(tempfile.mkdtemp(dir=place))
                self.descriptor = _held(self.path)
                # Until it was held, another program may have taken it for a forgotten one.
                if self.path.is_dir():
                    break
                os.close(self.descriptor)

    def remove(self) -> None:
        os.close(self.descriptor)
        shutil.rmtree(self.path, ignore_errors=True)


def remove_forgotten(place: Path) -> None:
    """Remove the folders of processes that were killed together with their parents."""
    for path in place.glob("*"):
        try:
            descriptor = _held(path)
        except OSError:
            continue  # it is in use, or gone by now
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _held(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
