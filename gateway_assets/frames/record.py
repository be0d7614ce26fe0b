"""A frame as bytes: u32 length of the payload, u32 CRC, u64 seq, i64 time, u8 kind, payload.

Little endian. The CRC is zlib's CRC-32 (IEEE 802.3) of everything behind it, begun with the salt of
the file. So neither a payload that looks like a record nor an old block of another file, which a
file system can leave at a torn end, passes for a record of this one.
"""

from __future__ import annotations

import struct
from typing import BinaryIO
from zlib import crc32

from gateway_assets.errors import UsageError
from gateway_assets.frames.frame import Draft, Frame, Kind

HEAD = struct.Struct("<IIQqB")
MAX_PAYLOAD = 64 * 2**20
HEADER, FOOTER = 0, 255  # kinds that the log itself uses
_START, _BODY = struct.Struct("<II"), struct.Struct("<QqB")
_KINDS: dict[int, int] = {kind.value: kind for kind in Kind}


def encode(seq: int, time: int, kind: int, payload: bytes, salt: int) -> bytes:
    body = _BODY.pack(seq, time, kind)
    return _START.pack(len(payload), crc32(payload, crc32(body, salt))) + body + payload


def take(file: BinaryIO, salt: int) -> Frame | None:
    """The record that begins where ``file`` stands, or None when there is no whole, right one."""
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    length, crc, seq, time, kind = HEAD.unpack(head)
    if length > MAX_PAYLOAD:
        return None
    payload = file.read(length)
    if len(payload) < length or crc32(payload, crc32(head[_START.size :], salt)) != crc:
        return None
    return Frame(seq, time, _KINDS.get(kind, kind), payload)


def check(draft: Draft) -> None:
    """Raises UsageError for what no record can hold."""
    kind, payload, time = draft
    if not HEADER < kind < FOOTER:
        raise UsageError(f"a frame's kind is a number from 1 to 254, not {kind}")
    if len(payload) > MAX_PAYLOAD:
        limit = MAX_PAYLOAD // 2**20
        raise UsageError(
            f"a frame of {len(payload):,} bytes is larger than {limit} MiB",
            hint="send it in smaller batches",
        )
    if not -(2**63) <= time < 2**63:
        raise UsageError(f"a frame's time is nanoseconds since 1970 in 64 bits, not {time}")
