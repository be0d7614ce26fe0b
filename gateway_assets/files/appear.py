"""The one place that makes a data file appear: whole, durable and never over another file.

Order of steps after https://lwn.net/Articles/457667/: write beside the target, fsync the file,
give it its name, fsync the directory. A crash leaves either nothing, a file with the suffix
``.partial`` that no reader matches, or the whole file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from gateway_assets.errors import LandingError

PARTIAL = ".partial"
PUBLIC = 0o666  # what the process' umask leaves of it
NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}  # vfat, some network mounts


def partial_path(target: Path) -> Path:
    """Where a file is written before it appears: hidden, beside the target, this writer's own."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}{PARTIAL}")


def target_of(partial: Path) -> Path:
    """The name that a partial file was to appear under."""
    return partial.with_name(partial.name.removesuffix(PARTIAL)[1:].rpartition(".")[0])


@contextmanager
def appearing(target: Path, mode: int = PUBLIC) -> Iterator[BinaryIO]:
    """Open a file that appears under ``target`` when the block ends without an error.

    It has at most the rights of ``mode``, from the first moment on.

    Raises FileExistsError when ``target`` exists, and LandingError with a hint when the
    directory cannot be written or the disk is full.
    """
    partial = partial_path(target)
    with explained(target):
        make_directory(target.parent)
        partial.touch(mode, exist_ok=False)
        try:
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            publish(partial, target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def publish(partial: Path, target: Path) -> None:
    """Give a finished, synced file its final name and make the name durable.

    By link and unlink, because rename would replace a file of that name. Where the file system
    has no links it is looked for first and then renamed.
    """
    try:
        os.link(partial, target)
        partial.unlink()
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if target.exists():
            raise FileExistsError(errno.EEXIST, "exists already", str(target)) from None
        partial.rename(target)
    sync_directory(target.parent)


def make_directory(path: Path) -> None:
    """Create a directory and its parents, each name made durable."""
    if path.is_dir():
        return
    if path.exists():
        raise NotADirectoryError(errno.ENOTDIR, "not a directory", str(path))
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


HINTS = {
    errno.ENOSPC: "the disk is full: free space, then run the same command again",
    errno.EDQUOT: "the disk quota is used up: free space, then run the same command again",
    errno.EACCES: "check the owner and mode of the data directory, or set GATEWAY_DATA_DIR",
    errno.EPERM: "check the owner and mode of the data directory, or set GATEWAY_DATA_DIR",
    errno.EROFS: "the file system is read-only: set GATEWAY_DATA_DIR to a writable place",
    errno.ENOENT: "this place cannot be created: set GATEWAY_DATA_DIR to one that can",
    errno.ENOTDIR: "a file stands where a directory is needed: set GATEWAY_DATA_DIR",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into errors that say what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in HINTS:
            raise
        what = f"cannot write {path}: {os.strerror(error.errno)}"
        raise LandingError(what, hint=HINTS[error.errno]) from error
