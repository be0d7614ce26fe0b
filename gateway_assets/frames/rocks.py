"""The same log in RocksDB, for those who want one: written here, read by ``rocks_reading``."""

from __future__ import annotations

import errno
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rocksdict import Rdict, WriteBatch

from gateway_assets.files.appear import make_directory
from gateway_assets.frames.commit import GroupCommit
from gateway_assets.frames.frame import Draft
from gateway_assets.frames.reading import read, segments
from gateway_assets.frames.record import encode
from gateway_assets.frames.refusals import refused
from gateway_assets.frames.rocks_reading import (
    LAST_KEY,
    as_os_error,
    is_frame,
    key_of,
    options,
    seq_of,
)
from gateway_assets.frames.segment import ROCKS

_HOUR = 3_600 * 10**9


class RocksTail:
    """An open database; it is one part of the log until a write fails or the log is closed."""

    def __init__(self, path: Path, next_seq: int) -> None:
        self.next_seq = self.synced = next_seq
        self._failure: OSError | None = None
        with as_os_error():
            self._database = Rdict(str(path), options())

    def is_due(self) -> bool:
        return self._failure is not None

    def write(self, drafts: Sequence[Draft]) -> None:
        batch = WriteBatch(raw_mode=True)
        for seq, (kind, payload, moment) in enumerate(drafts, self.next_seq):
            batch.put(key_of(seq), encode(seq, moment, kind, payload, salt=0))
        with self._remembered():
            self._database.write(batch)
        self.next_seq += len(drafts)

    def sync(self) -> None:
        if self._failure is not None:
            raise self._failure
        written = self.next_seq
        with self._remembered():
            self._database.flush_wal(sync=True)
        self.synced = written

    def seal(self) -> None:
        try:
            if self.synced < self.next_seq:
                self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        try:
            self._database.close()
        except Exception as error:  # noqa: BLE001  rocksdict raises nothing narrower
            # A database that could not write says so again when it is closed.
            self._failure = self._failure or OSError(errno.EIO, str(error))

    def forget(self, first: int, end: int) -> None:
        with self._remembered():
            self._database.delete_range(key_of(first), key_of(end))

    @contextmanager
    def _remembered(self) -> Iterator[None]:
        """RocksDB stops at its first failure, and what it had not synced is not known."""
        try:
            with as_os_error():
                yield
        except OSError as error:
            self._failure = error
            raise


class RocksLog(GroupCommit):
    """The log of a directory; ``recover`` tells its next seq, the other arguments are the same."""

    def __init__(
        self,
        directory: Path,
        next_seq: int,
        *,
        durable_at_once: bool,
        tick: float,
        held: ExitStack,
    ) -> None:
        super().__init__(
            directory,
            next_seq,
            lambda first_seq: RocksTail(directory / ROCKS, first_seq),
            durable_at_once=durable_at_once,
            tick=tick,
            held=held,
        )

    def expire(self, *, keep_hours: float = 24, loaded: int) -> int:
        """Remove frames older than ``keep_hours`` and below the seq ``loaded``; returns how many.

        The last frame stays, because it carries the sequence. Raises FramesUnavailable.
        """
        oldest = time.time_ns() - int(keep_hours * _HOUR)
        found = segments(self._directory)
        first = end = found[0].first_seq if found else 0
        for frame, following in read(found[0]) if found else ():
            if frame.time >= oldest or frame.seq >= min(loaded, self.next_seq - 1):
                break
            end = following
        if end > first:
            self._forget(first, end)
        return end - first

    def _forget(self, first: int, end: int) -> None:
        self._renew(None)
        with self._writing, self._explained():
            if isinstance(self._tail, RocksTail):
                self._tail.forget(first, end)


def recover(directory: Path) -> int:
    """The seq after the last one; 1 for a new log, which is made. Raises FramesUnavailable."""
    path = directory / ROCKS
    try:
        make_directory(path)
        with as_os_error():
            return _next_seq(path)
    except OSError as error:
        raise refused("recover", path, error) from error


def _next_seq(path: Path) -> int:
    database = Rdict(str(path), options())
    try:
        keys = database.keys(backwards=True, from_key=LAST_KEY)
        last = next(iter(keys), b"")
        del keys  # it would keep the database locked
    finally:
        database.close()
    return seq_of(last) + 1 if is_frame(last) else 1
