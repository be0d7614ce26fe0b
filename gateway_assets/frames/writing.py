"""The segment that is being written: appended to, synced, and sealed in the end.

Nothing here is safe from threads; ``commit`` sees to that. All methods raise OSError. After a
failed write nothing more is written to the segment, and after a failed fdatasync nothing more is
believed of it: the kernel reports such an error once and may have dropped what it could not write
(https://lwn.net/Articles/752063/).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway_assets.files.appear import sync_directory
from gateway_assets.frames.frame import Draft
from gateway_assets.frames.reading import read, segments
from gateway_assets.frames.record import encode
from gateway_assets.frames.segment import footer, header, new_segment


class SegmentTail:
    def __init__(
        self, directory: Path, first_seq: int, host: str, *, max_bytes: int, max_seconds: float
    ) -> None:
        """Begin a segment: its name is durable, its header is written."""
        _remove_empty(directory, first_seq)
        self.next_seq = self.synced = first_seq
        self._segment = new_segment(directory, first_seq)
        self._max_bytes = max_bytes
        self._due = time.monotonic() + max_seconds
        self._size = 0
        self._broken = False
        self._failure: OSError | None = None
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._segment.path, flags, 0o644)
        try:
            self._put(header(self._segment, host))
            sync_directory(directory)
        except BaseException:
            self.abandon()
            raise

    def is_due(self) -> bool:
        """Whether it takes no more frames: full, old or broken."""
        return self._broken or self._size >= self._max_bytes or time.monotonic() >= self._due

    def write(self, drafts: Sequence[Draft]) -> None:
        """Give the frames to the kernel: all of them or none."""
        salt = self._segment.salt
        self._put(
            b"".join(
                encode(seq, moment, kind, payload, salt)
                for seq, (kind, payload, moment) in enumerate(drafts, self.next_seq)
            )
        )
        self.next_seq += len(drafts)

    def sync(self) -> None:
        """Have everything on disk that was written before the call."""
        if self._failure is not None:
            raise self._failure
        written = self.next_seq
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            self._failure = error
            raise
        self.synced = written

    def seal(self) -> None:
        """Write the footer, sync and close. Without room the footer waits for the next start."""
        frames = self.next_seq - self._segment.first_seq
        try:
            with suppress(OSError):
                self._put(footer(self._segment, self.next_seq, frames))
            self.sync()
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close it as it is."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except BaseException:
            self._broken = True
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)


def _remove_empty(directory: Path, first_seq: int) -> None:
    """Remove what stands where a segment begins: one that was begun before and got no frame.

    Two segments of one first seq would have no order.
    """
    for segment in segments(directory):
        if segment.first_seq >= first_seq and not any(read(segment)):
            segment.path.unlink()
