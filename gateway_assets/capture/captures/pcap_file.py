"""Capture files as a stream of packets, in bounded memory: pcap and pcapng, plain or gzip.

Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng. A record whose content contradicts
itself is given as UNREADABLE and reading goes on; where the length of a record cannot be right,
nothing behind it can be found any more, and that is Damaged.
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gateway_assets.clock import SECOND
from gateway_assets.errors import CaptureError

UNREADABLE = -1  # in place of a link type

Packet = tuple[int | None, int, bytes, int]
"""Time in microseconds (None: the record has none), link type, the bytes that were captured, and
the length in bytes that the frame had on the wire."""

_Unpack = Callable[[bytes, int], tuple[int, ...]]

_CHUNK = 1 << 20
_LONGEST_RECORD = 1 << 24  # libpcap's limit of a block; no snapshot length comes near
_LINK_TYPE = 0x03FFFFFF  # above it: whether frames end with a checksum
_GZIP = b"\x1f\x8b"
_PCAP: dict[bytes, tuple[str, int]] = {  # byte order, and units of time in a microsecond
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1000),
}
_PCAP_HEADER, _RECORD_HEADER = 24, 16
_ORDERS = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_SECTION_START = b"\x0a\x0d\x0d\x0a"
_SECTION, _INTERFACE, _OLD, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6  # types of blocks
_SHORTEST_BLOCK = 12
_TIME_RESOLUTION, _TIME_OFFSET = 9, 14  # options of an interface
_MOST_INTERFACES = 1 << 16

_NO_PACKET: Packet = (None, UNREADABLE, b"", 0)


class Damaged(Exception):
    """The file cannot be read any further."""


class _Stream:
    """The bytes of a file, decompressed, a piece at a time."""

    def __init__(self, path: Path) -> None:
        self._plain = path.open("rb")
        self._file: io.BufferedIOBase = self._plain
        if self._plain.peek(2).startswith(_GZIP):
            self._file = gzip.GzipFile(fileobj=self._plain)

    def refill(self, rest: bytes, need: int) -> bytes:
        """``rest`` and what follows it, ``need`` bytes or more; nothing at the end of the file."""
        parts, size = [rest], len(rest)
        while size < need:
            part = self._read()
            if not part:
                if size:
                    raise Damaged("it ends in the middle of a record")
                return b""
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    def _read(self) -> bytes:
        try:
            return self._file.read1(_CHUNK)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Damaged(f"it cannot be decompressed: {error}") from error

    def close(self) -> None:
        self._file.close()
        self._plain.close()


class CaptureFile:
    """A capture file that is read once. Raises OSError, and CaptureError for any other file."""

    def __init__(self, path: Path) -> None:
        self._stream = _Stream(path)
        try:
            self.packets = self._recognize(path)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def _recognize(self, path: Path) -> Iterator[Packet]:
        try:
            start = self._stream.refill(b"", _PCAP_HEADER)
        except Damaged as error:
            raise CaptureError(f"{path} is no capture file: {error}", hint=_HINT) from error
        if start[:4] in _PCAP:
            return _pcap(self._stream, start)
        if start[:4] == _SECTION_START and start[8:12] in _ORDERS:
            return _pcapng(self._stream, start)
        what = "is no capture file" if start else "is empty"
        raise CaptureError(f"{path} {what}", hint=_HINT)


_HINT = "give a .pcap or .pcapng file; other formats: editcap -F pcap FILE FILE.pcap"


def _pcap(stream: _Stream, data: bytes) -> Iterator[Packet]:
    order, units = _PCAP[data[:4]]
    link = struct.unpack_from(order + "I", data, 20)[0] & _LINK_TYPE
    header = struct.Struct(order + "IIII").unpack_from
    at, end = _PCAP_HEADER, len(data)
    while True:
        need = _RECORD_HEADER
        if end - at >= need:
            seconds, fraction, size, length = header(data, at)
            need += size
            if end - at >= need:
                begin, at = at + _RECORD_HEADER, at + need
                yield seconds * SECOND + fraction // units, link, data[begin:at], length
                continue
            if size > _LONGEST_RECORD:
                raise Damaged(f"a packet of {size} bytes cannot be")
        data = stream.refill(data[at:], need)
        at, end = 0, len(data)
        if not data:
            return


def _pcapng(stream: _Stream, data: bytes) -> Iterator[Packet]:
    section = None
    for kind, body in _blocks(stream, data):
        if kind == _SECTION:
            section = _Section(body)
        elif section:
            packet = section.read(kind, body)
            if packet:
                yield packet


def _blocks(stream: _Stream, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Types and bodies of blocks, in whatever byte order each section has."""
    at, end = 0, len(data)
    header, trailer = _framing("<")
    while True:
        need = _SHORTEST_BLOCK
        if end - at >= need:
            kind, need = header(data, at)
            if kind == _SECTION:  # the same in both byte orders
                header, trailer = _framing(_order(data[at + 8 : at + 12]))
                kind, need = header(data, at)
            if need % 4 or not _SHORTEST_BLOCK <= need <= _LONGEST_RECORD:
                raise Damaged(f"a block of {need} bytes cannot be")
            if end - at >= need:
                begin, at = at + 8, at + need
                if trailer(data, at - 4) != (need,):
                    raise Damaged("the two lengths of a block differ")
                yield kind, data[begin : at - 4]
                continue
        data = stream.refill(data[at:], need)
        at, end = 0, len(data)
        if not data:
            return


def _framing(order: str) -> tuple[_Unpack, _Unpack]:
    """What reads the type and length before a block's body, and the length behind it."""
    return struct.Struct(order + "II").unpack_from, struct.Struct(order + "I").unpack_from


def _order(magic: bytes) -> str:
    if magic not in _ORDERS:
        raise Damaged("a section of unknown byte order")
    return _ORDERS[magic]


class _Interface(NamedTuple):
    link: int
    snapshot: int  # bytes; 0: without limit
    multiply: int  # units of time, by this
    divide: int  # and this, are microseconds
    offset: int  # microseconds


_NO_INTERFACE = _Interface(UNREADABLE, 0, 1, 1, 0)


class _Section:
    """The interfaces of a section, and its packets."""

    def __init__(self, body: bytes) -> None:
        order = _order(body[:4])
        if len(body) < 16 or struct.unpack_from(order + "H", body, 4)[0] != 1:
            raise Damaged("a section of an unknown version")
        self._interfaces: list[_Interface] = []
        self._description = struct.Struct(order + "HHI").unpack_from
        self._option = struct.Struct(order + "HH").unpack_from
        self._moment = struct.Struct(order + "q").unpack
        self._enhanced = struct.Struct(order + "IIIII").unpack_from
        self._old = struct.Struct(order + "HHIIII").unpack_from
        self._simple = struct.Struct(order + "I").unpack_from

    def read(self, kind: int, body: bytes) -> Packet | None:
        """The packet in a block; None for a block without one."""
        try:
            if kind == _ENHANCED:
                number, high, low, size, length = self._enhanced(body)
                return self._packet(number, high << 32 | low, body[20 : 20 + size], size, length)
            if kind == _OLD:
                number, _, high, low, size, length = self._old(body)
                return self._packet(number, high << 32 | low, body[20 : 20 + size], size, length)
            if kind == _SIMPLE:
                return self._without_time(body)
        except (struct.error, IndexError):
            return _NO_PACKET
        if kind == _INTERFACE:
            self._add_interface(body)
        return None

    def _packet(self, number: int, units: int, packet: bytes, size: int, length: int) -> Packet:
        link, _, multiply, divide, offset = self._interfaces[number]
        if len(packet) != size:
            return _NO_PACKET
        return units * multiply // divide + offset, link, packet, length

    def _without_time(self, body: bytes) -> Packet:
        """A simple packet: of the first interface, and cut where that cuts."""
        (length,) = self._simple(body)
        link, snapshot, *_ = self._interfaces[0]
        return None, link, body[4 : 4 + min(length, snapshot or length)], length

    def _add_interface(self, body: bytes) -> None:
        if len(self._interfaces) == _MOST_INTERFACES:
            raise Damaged("too many interfaces in a section")
        try:
            interface = self._describe(body)
        except (struct.error, IndexError):
            interface = _NO_INTERFACE
        self._interfaces.append(interface)

    def _describe(self, body: bytes) -> _Interface:
        link, _, snapshot = self._description(body)
        per_second, offset = SECOND, 0
        for code, value in self._options(body, 8):
            if code == _TIME_RESOLUTION:
                per_second = (2 if value[0] & 0x80 else 10) ** (value[0] & 0x7F)
            elif code == _TIME_OFFSET:
                offset = self._moment(value)[0] * SECOND
        common = math.gcd(SECOND, per_second)
        return _Interface(link, snapshot, SECOND // common, per_second // common, offset)

    def _options(self, body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
        while at < len(body):
            code, size = self._option(body, at)
            if code == 0:
                return
            yield code, body[at + 4 : at + 4 + size]
            at += 4 + (size + 3 & ~3)
