"""Open a frame log: lock it, recover it, and say how durable an acknowledged frame is.

``sync``   a frame is acknowledged when it is on disk.
``async``  a frame is acknowledged when the kernel has it, and is on disk ``sync_seconds`` later. A
           killed process loses nothing; a power loss loses what was acknowledged in that time. When
           a later sync fails, the next append tells so.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, Protocol

from gateway_assets.errors import ConfigError, FramesUnavailable, LandingError
from gateway_assets.files.lock import exclusive
from gateway_assets.frames.commit import GroupCommit
from gateway_assets.frames.frame import Draft
from gateway_assets.frames.recovery import recover
from gateway_assets.frames.refusals import needing_rocksdict
from gateway_assets.frames.segment import SUFFIX, is_rocks
from gateway_assets.frames.writing import SegmentTail

LOCK = ".lock"
Durability = Literal["sync", "async"]
Backend = Literal["segments", "rocksdb"]


class FrameLog(Protocol):
    """What appends frames; safe from any number of threads."""

    @property
    def first_seq(self) -> int:
        """The seq of the oldest frame that is still there; ``next_seq`` when there is none."""

    @property
    def next_seq(self) -> int:
        """The seq that the next frame gets."""

    @property
    def durable_seq(self) -> int:
        """The last seq that is known to be on disk."""

    def append(self, kind: int, payload: bytes, time: int) -> int:
        """Append a frame received at ``time`` (ns) and return its seq when it is durable.

        Raises FramesUnavailable (transient) when the disk refuses it: it is not acknowledged, and
        the same call may succeed later. Raises UsageError for a frame that cannot be stored.
        """

    def append_many(self, drafts: Sequence[Draft]) -> range:
        """The same for several frames (kind, payload, time), which get neighbouring seqs."""

    def close(self) -> None:
        """Seal the log and unlock it. Raises FramesUnavailable when frames may not be on disk."""


def open_log(
    directory: Path,
    *,
    durability: Durability = "sync",
    backend: Backend = "segments",
    host: str = "",
    segment_bytes: int = 64 * 2**20,
    segment_seconds: float = 600,
    sync_seconds: float = 0.1,
) -> FrameLog:
    """Open the log of a directory, which is created; the next frame begins a new segment.

    ``host`` is who writes (this machine by default). A segment is sealed at ``segment_bytes``, or
    when it is ``segment_seconds`` old. ``sync_seconds`` (0.005 to 1) is for ``async``.

    Raises Busy when another process writes it, ConfigError for arguments that cannot be used or
    another backend's directory, FramesUnavailable when it cannot be read or sealed.
    """
    _check(directory, durability, backend, sync_seconds)
    at_once = durability == "sync"
    tick = min(1.0, segment_seconds) if at_once else min(sync_seconds, segment_seconds)
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(directory / LOCK, f"the writer of {directory}"))
        except LandingError as error:
            raise FramesUnavailable(error.message, hint=error.hint) from error
        if backend == "rocksdb":
            with needing_rocksdict():
                from gateway_assets.frames import rocks  # noqa: PLC0415  optional
            next_seq = rocks.recover(directory)
            return rocks.RocksLog(
                directory, next_seq, durable_at_once=at_once, tick=tick, held=held.pop_all()
            )

        def open_tail(first_seq: int) -> SegmentTail:
            return SegmentTail(
                directory,
                first_seq,
                host or socket.gethostname(),
                max_bytes=segment_bytes,
                max_seconds=segment_seconds,
            )

        return GroupCommit(
            directory,
            recover(directory),
            open_tail,
            durable_at_once=at_once,
            tick=tick,
            held=held.pop_all(),
        )


def _check(directory: Path, durability: str, backend: str, sync_seconds: float) -> None:
    if durability not in {"sync", "async"}:
        raise ConfigError(f"durability is sync or async, not {durability!r}")
    if backend not in {"segments", "rocksdb"}:
        raise ConfigError(f"a frame log's backend is segments or rocksdb, not {backend!r}")
    if not 0.005 <= sync_seconds <= 1:
        raise ConfigError(f"a frame log is synced every 0.005 to 1 seconds, not {sync_seconds}")
    found = "rocksdb" if is_rocks(directory) else "segments"
    if found != backend and (found == "rocksdb" or any(directory.glob(f"*{SUFFIX}"))):
        raise ConfigError(
            f"{directory} holds a frame log of the backend {found}, not {backend}",
            hint=f"go on with {found}, or use another directory",
        )
