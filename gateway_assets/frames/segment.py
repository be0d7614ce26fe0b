"""One file of the log: ``<first seq, 20 digits>-<8 hex digits, random>.frames``.

It holds records only. The first, of kind 0, is the header: the first seq, the time of creation and
``{"magic": "gateway-frames", "version": 1, "host": …}``. The last, of kind 255, is the footer: the
seq that comes next, the time of sealing and the number of frames (u64); nothing is ever written
behind it. The random digits of the name are the salt of the records' CRCs.
"""

from __future__ import annotations

import json
import os
import re
import struct
import time
from pathlib import Path
from typing import NamedTuple

from gateway_assets.errors import FrameError
from gateway_assets.frames.frame import Frame
from gateway_assets.frames.record import FOOTER, HEAD, HEADER, encode, take

SUFFIX = ".frames"
ROCKS = "rocksdb"  # the directory of a log in RocksDB, which readers take for one segment
VERSION = 1
_NAME = re.compile(r"(0\d{19})-([0-9a-f]{8})\.frames", re.ASCII)
_COUNT = struct.Struct("<Q")
_FOOTER_BYTES = HEAD.size + _COUNT.size


class Segment(NamedTuple):
    """A part of the log that is read from its beginning to its end; known by its name."""

    path: Path
    first_seq: int
    is_sealed: bool  # when it was listed; a sealed one never grows

    @property
    def key(self) -> str:
        """What tells it from the segments of all logs: RocksDB has one name for each."""
        return f"{self.path.parent.name}/{self.name}" if self.name == ROCKS else self.name

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def salt(self) -> int:
        return int(self.path.stem[-8:], 16)


class Seal(NamedTuple):
    """What the footer says."""

    next_seq: int
    time: int  # of sealing, in nanoseconds since the epoch
    frames: int
    offset: int  # where the footer begins


def new_segment(directory: Path, first_seq: int) -> Segment:
    """A segment of a name that no other has."""
    path = directory / f"{first_seq:020d}-{os.urandom(4).hex()}{SUFFIX}"
    return Segment(path, first_seq, is_sealed=False)


def first_seq_of(name: str) -> int | None:
    """The first seq that a file's name tells; None for names of other files."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else None


def is_rocks(directory: Path) -> bool:
    """Whether the log of a directory is in RocksDB, and complete enough to be opened."""
    return (directory / ROCKS / "CURRENT").exists()


def header(segment: Segment, host: str) -> bytes:
    facts = {"magic": "gateway-frames", "version": VERSION, "host": host}
    payload = json.dumps(facts).encode()
    return encode(segment.first_seq, time.time_ns(), HEADER, payload, segment.salt)


def check_header(segment: Segment, frame: Frame) -> None:
    """Raises FrameError for a segment of a format that is not known here."""
    version = json.loads(frame.payload).get("version")
    if version != VERSION:
        raise FrameError(
            f"{segment.path} has version {version} of the format, this release reads {VERSION}",
            hint="upgrade gateway-assets",
        )


def footer(segment: Segment, next_seq: int, frames: int) -> bytes:
    payload = _COUNT.pack(frames)
    return encode(next_seq, time.time_ns(), FOOTER, payload, segment.salt)


def seal_of(segment: Segment) -> Seal | None:
    """The footer of a segment; None when it has none. Raises OSError."""
    with segment.path.open("rb") as file:
        offset = file.seek(0, os.SEEK_END) - _FOOTER_BYTES
        if offset < 0:
            return None
        file.seek(offset)
        frame = take(file, segment.salt)
    if frame is None or frame.kind != FOOTER:
        return None
    (frames,) = _COUNT.unpack(frame.payload)
    return Seal(frame.seq, frame.time, frames, offset)
