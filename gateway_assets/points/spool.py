"""Line protocol from a file into a frame log, piece by piece, with what was wrong with it."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO, NamedTuple

from gateway_assets.errors import Busy
from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import FrameLog, open_log
from gateway_assets.points.line import Reject
from gateway_assets.points.line_protocol import Parser
from gateway_assets.points.payload import NANOSECONDS, wrapped
from gateway_assets.progress import Progress, silent
from gateway_assets.settings import Settings

PIECE_BYTES = 2**20
MOST_AT_ONCE = 16  # commands that write at the same time
_MOST_KEPT = 10_000  # rejects
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class Spooled(NamedTuple):
    """``rejects`` have the numbers of lines in the whole file; the first ten thousand."""

    lines: int
    rejects: list[Reject]
    seconds: float


def spool(
    settings: Settings, file: BinaryIO, precision: str = "ns", progress: Progress = silent
) -> Spooled:
    """Write a file of line protocol; everything is durable when this returns.

    Raises FramesUnavailable when the disk refuses it; writing the file again does no harm.
    """
    began = time.monotonic()
    total = _size(file)
    parser, rejects = Parser(), list[Reject]()
    lines = done = first = 0
    log = _free_log(settings)
    try:
        for piece in _pieces(file):
            now = time.time_ns()
            parsed = parser.parse(piece, unit=NANOSECONDS[precision], now=now)
            lines += len(parsed.lines)
            kept = parsed.rejects[: _MOST_KEPT - len(rejects)]
            rejects += [one._replace(number=one.number + first) for one in kept]
            log.append(Kind.DATA, wrapped(piece, precision), now)
            first += piece.count(b"\n")
            done += len(piece)
            progress(done, total or done)
    finally:
        log.close()
    return Spooled(lines, rejects, time.monotonic() - began)


def _size(file: BinaryIO) -> int:
    with suppress(OSError, ValueError):
        return os.fstat(file.fileno()).st_size
    return 0


def _free_log(settings: Settings) -> FrameLog:
    """A log that no other command is writing."""
    for number in range(1, MOST_AT_ONCE):
        with suppress(Busy):
            return open_log(settings.frames / f"write-{number}", durability="async")
    return open_log(settings.frames / f"write-{MOST_AT_ONCE}", durability="async")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, about a mebibyte at a time. A line may hold line breaks, within its strings."""
    waiting = b""
    while block := file.read(PIECE_BYTES):
        waiting += block
        end = waiting.rfind(b"\n") + 1
        if end and b'"' not in _STRING.sub(b"", waiting[:end]):
            yield waiting[:end]
            waiting = waiting[end:]
    if waiting:
        yield waiting
