"""One process at a time: advisory file locks that the kernel drops when the holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway_assets.errors import Busy
from gateway_assets.files.appear import explained, make_directory


@contextmanager
def exclusive(path: Path, purpose: str, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock file ``path`` for the block; wait up to ``wait`` seconds for it.

    Raises Busy naming the holder. The file stays afterwards: removing it would let two
    processes hold locks on two different files of the same name.
    """
    with explained(path):
        make_directory(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + wait
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
                raise Busy(
                    f"{purpose} is already running (process {holder})",
                    hint="wait until it has finished, or stop it, then try again",
                )
            time.sleep(0.05)
        with explained(path):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a process holds the lock file at this moment."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(descriptor)
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
