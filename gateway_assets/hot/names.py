"""Names of landing files kept small: those of one writer and day together, each with its CRC-32.

    ip_traffic-v1-box-sockdiag-0badcafe-20261120 | T131930000000Z-000041
                                          prefix | tail

Tails that differ by a tick compress well (lzma), CRCs do not; so a name takes about five bytes.
A name of another form is a prefix of its own, with an empty tail: every name comes back as it was.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Mapping

_NAME = re.compile(r"(.*-\d{8})(T\d{12}Z-\d{6,})", re.ASCII | re.DOTALL)
_CRC_BYTES = 4
_PRESET = 1  # 9 MiB of memory to pack, https://docs.python.org/3/library/lzma.html


def divided(name: str) -> tuple[str, str]:
    """Prefix and tail; together they are the name."""
    found = _NAME.fullmatch(name)
    return (found[1], found[2]) if found else (name, "")


def packed(crc32s: Mapping[str, str]) -> tuple[bytes, bytes]:
    """CRC-32s (eight hex digits) by tail, as two blobs: the tails in order, and their CRCs."""
    tails = sorted(crc32s)
    crcs = bytes.fromhex("".join(crc32s[tail] for tail in tails))
    return lzma.compress("\n".join(tails).encode(), preset=_PRESET), crcs


def unpacked(tails: bytes, crcs: bytes) -> dict[str, str]:
    """What was packed."""
    names = lzma.decompress(tails).decode().split("\n")
    places = range(0, len(crcs), _CRC_BYTES)
    values = (crcs[place : place + _CRC_BYTES].hex() for place in places)
    return dict(zip(names, values, strict=True))
