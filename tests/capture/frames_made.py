"""Packets, frames and capture files put together byte by byte, so that their sums are known."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import NamedTuple

START = 1_700_000_000_000_000  # microseconds
MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
MACS = bytes(12)
TYPE_4, TYPE_6 = b"\x08\x00", b"\x86\xdd"


class Frame(NamedTuple):
    data: bytes
    length: int  # on the wire
    time: int = START


def ipv4(
    source: str,
    destination: str,
    size: int,
    *,
    protocol: int = 17,
    stated: int | None = None,
    fragment: int = 0,
    payload: bytes = b"",
) -> bytes:
    """A packet of ``size`` bytes; ``stated`` is the total length that its header claims."""
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        size if stated is None else stated,
        7,
        fragment,
        64,
        protocol,
        0,
        socket.inet_aton(source),
        socket.inet_aton(destination),
    )
    return (header + payload).ljust(size, b"\x55")


def ipv6(
    source: str,
    destination: str,
    size: int,
    *,
    following: int = 17,
    stated: int | None = None,
    payload: bytes = b"",
) -> bytes:
    """A packet of ``size`` bytes; ``stated`` is the payload length that its header claims."""
    header = struct.pack(
        "!IHBB16s16s",
        0x60000000,
        size - 40 if stated is None else stated,
        following,
        64,
        socket.inet_pton(socket.AF_INET6, source),
        socket.inet_pton(socket.AF_INET6, destination),
    )
    return (header + payload).ljust(size, b"\x55")


def _type(packet: bytes) -> bytes:
    return TYPE_4 if packet[0] >> 4 == 4 else TYPE_6


def _ppp_type(packet: bytes) -> bytes:
    return b"\x00\x21" if packet[0] >> 4 == 4 else b"\x00\x57"


def _label(number: int, bottom: int) -> bytes:
    return struct.pack("!I", number << 12 | bottom << 8 | 64)


def _pppoe(packet: bytes) -> bytes:
    return struct.pack("!BBHH", 0x11, 0, 7, len(packet) + 2) + _ppp_type(packet) + packet


def _snap(packet: bytes) -> bytes:
    return b"\xaa\xaa\x03\0\0\0" + _type(packet) + packet


def _ethernet(packet: bytes) -> bytes:
    """Padded to the least size of a frame, with a checksum behind it."""
    return (MACS + _type(packet) + packet).ljust(60, b"\0") + b"\xfc\xfc\xfc\xfc"


def _llc_ethernet(packet: bytes) -> bytes:
    inner = _snap(packet)
    return (MACS + struct.pack("!H", len(inner)) + inner).ljust(60, b"\0")


def _family(packet: bytes, six: int) -> int:
    return 2 if packet[0] >> 4 == 4 else six


def _cooked(packet: bytes) -> bytes:
    return struct.pack("!HHH8s", 4, 1, 6, bytes(8)) + _type(packet) + packet


def _cooked_2(packet: bytes) -> bytes:
    return _type(packet) + struct.pack("!HIHBB8s", 0, 3, 1, 4, 6, bytes(8)) + packet


def _nflog(packet: bytes, order: str) -> bytes:
    prefix = struct.pack(order + "HH", 4 + 5, 10) + b"abcd\0" + bytes(3)
    header = struct.pack(order + "HH", 8, 1) + b"\x08\0\0\0"
    payload = struct.pack(order + "HH", 4 + len(packet), 9) + packet + bytes(-len(packet) % 4)
    return struct.pack("!BBH", _family(packet, 10), 0, 5) + header + prefix + payload


def _wlan(packet: bytes, kind: int, flags: int, extra: int) -> bytes:
    return bytes((kind, flags)) + bytes(22 + extra) + _snap(packet)


def _pflog(packet: bytes) -> bytes:
    return bytes((61, _family(packet, 24))).ljust(64, b"\0") + packet


Wrap = Callable[[bytes], bytes]
WRAPS: dict[str, tuple[int, Wrap]] = {
    "ethernet": (1, _ethernet),
    "802.1Q": (1, lambda p: MACS + b"\x81\0\0\x05" + _type(p) + p),
    "QinQ": (1, lambda p: MACS + b"\x88\xa8\0\x05\x81\0\0\x06" + _type(p) + p),
    "QinQ 9100": (1, lambda p: MACS + b"\x91\0\0\x05\x81\0\0\x06" + _type(p) + p),
    "MPLS": (1, lambda p: MACS + b"\x88\x47" + _label(16, 0) + _label(17, 1) + p),
    "VLAN MPLS": (1, lambda p: MACS + b"\x81\0\0\x05\x88\x47" + _label(18, 1) + p),
    "MPLS pseudowire": (
        1,
        lambda p: MACS + b"\x88\x47" + _label(19, 1) + bytes(4) + MACS + _type(p) + p,
    ),
    "PPPoE": (1, lambda p: MACS + b"\x88\x64" + _pppoe(p)),
    "QinQ PPPoE": (1, lambda p: MACS + b"\x88\xa8\0\x05\x81\0\0\x06\x88\x64" + _pppoe(p)),
    "PPPoE MPLS": (
        1,
        lambda p: MACS + b"\x88\x64\x11\0\0\x07\0\0\x02\x81" + _label(20, 1) + p,
    ),
    "LLC SNAP": (1, _llc_ethernet),
    "VLAN LLC SNAP": (1, lambda p: MACS + b"\x81\0\0\x05\0\x64" + _snap(p)),
    "raw": (101, bytes),
    "raw 12": (12, bytes),
    "raw 14": (14, bytes),
    "NULL little": (0, lambda p: struct.pack("<I", _family(p, 30)) + p),
    "NULL big": (0, lambda p: struct.pack(">I", _family(p, 24)) + p),
    "LOOP": (108, lambda p: struct.pack(">I", _family(p, 28)) + p),
    "LOOP little": (108, lambda p: struct.pack("<I", _family(p, 10)) + p),
    "SLL": (113, _cooked),
    "SLL VLAN": (113, lambda p: _cooked(p)[:14] + b"\x81\0\0\x05" + _type(p) + p),
    "SLL2": (276, _cooked_2),
    "PPP": (9, lambda p: _ppp_type(p) + p),
    "PPP framed": (9, lambda p: b"\xff\x03" + _ppp_type(p) + p),
    "PPP short": (9, lambda p: b"\xff\x03" + _ppp_type(p)[1:] + p),
    "PPP MPLS": (9, lambda p: b"\x02\x81" + _label(21, 1) + p),
    "PPP HDLC": (50, lambda p: b"\xff\x03" + _ppp_type(p) + p),
    "PPP Cisco": (50, lambda p: b"\x0f\0" + _type(p) + p),
    "Cisco HDLC": (104, lambda p: b"\x8f\0" + _type(p) + p),
    "PPPoE link": (51, _pppoe),
    "NFLOG little": (239, lambda p: _nflog(p, "<")),
    "NFLOG big": (239, lambda p: _nflog(p, ">")),
    "PFLOG": (117, _pflog),
    "802.11": (105, lambda p: _wlan(p, 0x08, 0x01, 0)),
    "802.11 QoS": (105, lambda p: _wlan(p, 0x88, 0x02, 2)),
    "802.11 QoS padded": (105, lambda p: _wlan(p, 0x88, 0x02, 4)),
    "802.11 QoS HT bridge": (105, lambda p: _wlan(p, 0x88, 0x83, 12)),
    "radiotap": (127, lambda p: b"\0\0\x0d\0" + bytes(9) + _wlan(p, 0x08, 0x01, 0)),
}
"""Name to link type, and what puts an IP packet into a frame of it."""


def pcap(frames: list[Frame], link: int, order: str = "<", magic: int = MICRO) -> bytes:
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262_144, link)]
    for frame in frames:
        seconds, fraction = divmod(frame.time, 1_000_000)
        fraction *= 1000 if magic == NANO else 1
        header = struct.pack(order + "IIII", seconds, fraction, len(frame.data), frame.length)
        parts += [header, frame.data]
    return b"".join(parts)


class Pcapng:
    """The blocks of one section."""

    def __init__(self, order: str = "<") -> None:
        self._order = order
        self._blocks: list[bytes] = []
        self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, 1, 0, -1))

    def pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self._order + form, *values)

    def block(self, kind: int, body: bytes) -> None:
        body += bytes(-len(body) % 4)
        size = len(body) + 12
        self._blocks.append(self.pack("II", kind, size) + body + self.pack("I", size))

    def option(self, code: int, value: bytes) -> bytes:
        return self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)

    def interface(self, link: int, *options: bytes, snapshot: int = 0) -> None:
        """``options`` end with the end of options only where there are any."""
        tail = b"".join(options) + bytes(4) if options else b""
        self.block(1, self.pack("HHI", link, 0, snapshot) + tail)

    def enhanced(self, frame: Frame, interface: int = 0, units: int | None = None) -> None:
        time = frame.time if units is None else units
        head = (interface, time >> 32, time & 0xFFFFFFFF, len(frame.data), frame.length)
        data = frame.data + bytes(-len(frame.data) % 4)
        self.block(6, self.pack("IIIII", *head) + data + self.option(2, bytes(4)) + bytes(4))

    def old(self, frame: Frame, interface: int = 0) -> None:
        head = (interface, 0, frame.time >> 32, frame.time & 0xFFFFFFFF)
        self.block(2, self.pack("HHIIII", *head, len(frame.data), frame.length) + frame.data)

    def simple(self, frame: Frame) -> None:
        self.block(3, self.pack("I", frame.length) + frame.data)

    def content(self) -> bytes:
        return b"".join(self._blocks)


def pcapng(frames: list[Frame], link: int, order: str = "<") -> bytes:
    made = Pcapng(order)
    made.interface(link)
    for frame in frames:
        made.enhanced(frame)
    return made.content()
