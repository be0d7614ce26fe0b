"""List and read the segments of a log, from any process, also while they are being written.

A consumer keeps the name of the segment that it reads and the offset behind the last frame that it
took. It reads on from there, and goes to the next segment when the one in hand was listed as
sealed and has no more frames. Frames appear before they are synced: after a power loss the last
ones may have gone and their numbers stand for others, in another segment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from gateway_assets.errors import FramesUnavailable
from gateway_assets.frames.frame import Frame
from gateway_assets.frames.quarantine import Damage, keep_aside
from gateway_assets.frames.record import FOOTER, HEAD, HEADER, take
from gateway_assets.frames.refusals import needing_rocksdict, refused
from gateway_assets.frames.segment import (
    ROCKS,
    Segment,
    check_header,
    first_seq_of,
    is_rocks,
    seal_of,
)

_BUFFER = 2**18
_WINDOW = 2**20


def segments(directory: Path) -> list[Segment]:
    """The segments of a log, oldest first; none where there is no log.

    All but the newest are sealed: a writer begins one only when it is done with the one before.
    Raises FramesUnavailable.
    """
    if is_rocks(directory):
        with needing_rocksdict():
            from gateway_assets.frames import rocks_reading  # noqa: PLC0415  optional
        return rocks_reading.segments(directory / ROCKS)
    try:
        names = sorted(path.name for path in directory.iterdir())
        starts = [(name, first) for name in names if (first := first_seq_of(name)) is not None]
        found = [Segment(directory / name, first, is_sealed=True) for name, first in starts]
        if found and seal_of(found[-1]) is None:
            found[-1] = found[-1]._replace(is_sealed=False)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise refused("read", directory, error) from error
    return found


def read(
    segment: Segment, offset: int = 0, *, damaged: Callable[[Damage], object] = keep_aside
) -> Iterator[tuple[Frame, int]]:
    """The frames from ``offset`` on, each with the offset behind it, from which to go on.

    Stops before the first incomplete record of a segment that is not sealed. What is no record is
    given to ``damaged``, and reading goes on behind it. Raises FramesUnavailable when the segment
    cannot be read or has gone, FrameError when its format is unknown.
    """
    if segment.name == ROCKS:
        with needing_rocksdict():
            from gateway_assets.frames import rocks_reading  # noqa: PLC0415  optional
        yield from rocks_reading.read(segment, offset, damaged)
        return
    try:
        # The end may have been cut off since this offset was given; then it lies in the footer.
        seal = seal_of(segment) if offset else None
        if seal is not None and offset >= seal.offset:
            return
        for frame, end in records(segment, offset, grows=not segment.is_sealed, damaged=damaged):
            if HEADER < frame.kind < FOOTER:
                yield frame, end
    except FileNotFoundError:
        raise FramesUnavailable(
            f"{segment.path} has gone", hint="list the segments again"
        ) from None
    except OSError as error:
        raise refused("read", segment.path, error) from error


def records(
    segment: Segment, offset: int, *, grows: bool, damaged: Callable[[Damage], object]
) -> Iterator[tuple[Frame, int]]:
    """All records, header and footer too. Of a segment that ``grows`` the end is no damage."""
    next_seq, known = segment.first_seq, 0
    with segment.path.open("rb", buffering=_BUFFER) as file:
        file.seek(offset)
        while True:
            frame = take(file, segment.salt)
            if frame is not None and _fits(frame, next_seq, offset - known):
                known = offset = offset + HEAD.size + len(frame.payload)
                if frame.kind == HEADER:
                    check_header(segment, frame)
                else:
                    next_seq = frame.seq + 1
                yield frame, offset
                continue
            found = _find(file, segment, next_seq, known, offset)
            if found is None and grows:
                return
            end = file.seek(0, os.SEEK_END) if found is None else found
            if end > offset:
                file.seek(offset)
                content = file.read(end - offset)
                damaged(_damage(segment, offset, content, at_end=found is None))
            if found is None:
                return
            file.seek(found)
            offset = found


def _fits(frame: Frame, next_seq: int, unread: int) -> bool:
    """Whether a frame can stand here: as many can be missing as ``unread`` bytes have room for.

    A block that a disk wrote to a wrong place of the file has right CRCs, too.
    """
    return next_seq <= frame.seq <= next_seq + unread // HEAD.size


def _find(file: BinaryIO, segment: Segment, next_seq: int, known: int, start: int) -> int | None:
    """Where the next record begins, at ``start`` or behind it.

    It may be at ``start``: a writer can have finished it after it was looked at.
    """
    pattern = _pattern(segment, file.seek(0, os.SEEK_END))
    while True:
        file.seek(start)
        window = file.read(_WINDOW)
        for match in pattern.finditer(window):
            place = start + match.start()
            file.seek(place)
            frame = take(file, segment.salt)
            if frame is not None and _fits(frame, next_seq, place - known):
                return place
        if len(window) < _WINDOW:
            return None
        start += _WINDOW - HEAD.size


def _pattern(segment: Segment, size: int) -> re.Pattern[bytes]:
    """What the head of a record looks like: the high bytes of its seq are known.

    Eight zeros are no length and CRC. This keeps a range of zeros, as a file system can leave it,
    from being looked at byte by byte.
    """
    seqs = segment.first_seq, segment.first_seq + size // HEAD.size
    high = b"|".join({re.escape(seq.to_bytes(8, "little")[3:]) for seq in seqs})
    return re.compile(rb"(?=(?!\0{8}).{11}(?:%b))" % high, re.DOTALL)


def _damage(segment: Segment, start: int, content: bytes, *, at_end: bool) -> Damage:
    behind = "up to the end" if at_end else "the next record is whole"
    reason = f"{len(content)} bytes from {start} on are no record, {behind}"
    return Damage(segment, start, start + len(content), content, reason)
