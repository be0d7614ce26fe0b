"""Bytes of each pair of addresses, added up inside the kernel: no packet is ever copied.

A socket filter in eBPF reads each packet's header, adds its length to a hash map and drops it from
the socket. There are two such maps. To read, the other one takes its place, and the kernel says
when no processor uses the first any more; then it is still, and is emptied. So every byte is
counted in exactly one map and taken exactly once, and nothing is ever evicted: a packet of a new
pair that finds the map full is counted as lost.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
import time
from collections.abc import Iterator

from gateway_assets.capture.packets import bpf
from gateway_assets.capture.packets.bpf import R0, R1, R2, R3, R4, R6, R7, R8, R9, STACK, Line
from gateway_assets.capture.packets.live_header import (
    ETHERNET,
    IPV4,
    IPV4_HEADER,
    IPV6,
    IPV6_HEADER,
    LARGEST,
    MAX_TAGS,
    TAG,
    VLAN,
)
from gateway_assets.capture.packets.packet_socket import OUTGOING, PacketSocket

MAX_PAIRS = 1 << 15
_ATTENTION = 0.1  # seconds between two looks at how full the map is
_AT_ONCE = 1024

_SO_ATTACH_BPF = 50
_LENGTH, _PACKET_TYPE, _PROTOCOL = 0, 4, 16  # in struct __sk_buff

# On the stack of the program, below STACK: the key with both ends, and what is read on the way.
_KEY, _SOURCE, _DESTINATION = -40, -32, -16
_HEADER, _VALUE, _SCRATCH = -48, -56, -64
_KEY_SIZE, _VALUE_SIZE = 40, 8
_MAPPED = int.from_bytes(b"\0\0\xff\xff", sys.byteorder, signed=True)

_EVENTS = struct.Struct("=QQQ")
_MALFORMED, _LOST, _NEW = 0, 8, 16  # in the only value of the map of events
_FIRST = bytes(4)


class PairMap:
    """Raises OSError when the kernel or its rights do not allow it."""

    def __init__(self, interface: str, max_pairs: int = MAX_PAIRS) -> None:
        if sys.byteorder != "little":
            raise OSError("eBPF instructions are written for little-endian machines here")
        self._crowded = max_pairs // 2
        self._taken = 0
        with contextlib.ExitStack() as opened:
            self._maps = [_open(opened, bpf.HASH, _KEY_SIZE, _VALUE_SIZE, max_pairs) for _ in "ab"]
            self._current = _open(opened, bpf.ARRAY_OF_MAPS, 4, 4, 1, self._maps[0])
            self._events = _open(opened, bpf.ARRAY, 4, _EVENTS.size, 1)
            for _ in self.take():  # an old kernel fails here, not later
                pass
            self._socket = PacketSocket(interface, self._attach)
            self._close = opened.pop_all().close
        self.has_gone = self._socket.has_gone

    def wait(self, timeout: float) -> None:
        """For ``timeout`` seconds, or until the map should be emptied."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0 and not self.crowded:
            self._socket.wait(min(left, _ATTENTION))

    @property
    def crowded(self) -> bool:
        return self._event(_NEW) - self._taken >= self._crowded

    @property
    def malformed(self) -> int:
        return self._event(_MALFORMED)

    @property
    def lost(self) -> int:
        return self._event(_LOST)

    def take(self) -> Iterator[tuple[bool, bytes, bytes, int]]:
        """Whether it left, source and destination of 16 bytes, and bytes since the last time."""
        self._maps.reverse()
        bpf.update(self._current, _FIRST, struct.pack("=I", self._maps[0]))
        self._taken = self._event(_NEW)
        for key, size in bpf.take_all(self._maps[1], _KEY_SIZE, _VALUE_SIZE, _AT_ONCE):
            yield key[0] == 1, key[8:24], key[24:40], size

    def close(self) -> None:
        self._socket.close()
        self._close()

    def _event(self, which: int) -> int:
        events = _EVENTS.unpack(bpf.look_up(self._events, _FIRST, _EVENTS.size))
        return int(events[which // 8])

    def _attach(self, opened: PacketSocket) -> None:
        lines = _program(opened.ethernet, opened.loopback, self._current, self._events)
        program = bpf.load_filter(bpf.assemble(lines))
        opened.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_BPF, program)
        os.close(program)


def _open(opened: contextlib.ExitStack, *shape: int) -> int:
    fd = bpf.create_map(*shape)
    opened.callback(os.close, fd)
    return fd


def _program(ethernet: bool, loopback: bool, current: int, events: int) -> list[Line]:
    return [
        *_direction(loopback),
        *(_ethernet() if ethernet else _no_link()),
        bpf.jump_equal(R8, IPV4, "ipv4"),
        bpf.jump_equal(R8, IPV6, "ipv6"),
        bpf.jump("done"),
        "ipv4",
        *_ipv4(),
        bpf.jump("count"),
        "ipv6",
        *_ipv6(),
        "count",
        *_count(current),
        "malformed",
        *_note(events, _MALFORMED),
        "lost",
        *_note(events, _LOST),
        "new",
        *_note(events, _NEW),
        "done",
        bpf.put(R0, 0),
        bpf.leave(),
    ]


def _direction(loopback: bool) -> list[Line]:
    """R6 is the packet; the key begins with whether it leaves. On loopback it also comes back."""
    if loopback:
        known = [bpf.jump_unequal(R1, OUTGOING, "done"), bpf.put(R2, 1)]
    else:
        known = [bpf.put(R2, 1), bpf.jump_equal(R1, OUTGOING, "leaves"), bpf.put(R2, 0), "leaves"]
    return [
        bpf.copy(R6, R1),
        bpf.load(4, R1, R6, _PACKET_TYPE),
        *known,
        bpf.store(8, STACK, _KEY, R2),
    ]


def _no_link() -> list[Line]:
    """R7 is where the packet begins, R8 its protocol."""
    return [bpf.load(4, R8, R6, _PROTOCOL), bpf.from_network(R8), bpf.put(R7, 0)]


def _ethernet() -> list[Line]:
    lines = [bpf.put(R7, ETHERNET), *_type()]
    for number in range(MAX_TAGS):
        lines += [bpf.jump_equal(R8, tag, f"tag{number}") for tag in VLAN]
        lines += [bpf.jump("untagged"), f"tag{number}", bpf.add(R7, TAG), *_type()]
    lines += [bpf.jump_equal(R8, tag, "malformed") for tag in VLAN]
    return [*lines, "untagged"]


def _type() -> list[Line]:
    """R8 is the type that ends before R7."""
    return [*_read(-2, _SCRATCH, 2), bpf.load(2, R8, STACK, _SCRATCH), bpf.from_network(R8)]


def _read(offset: int, to: int, size: int) -> list[Line]:
    """Bytes of the frame, from R7 and an offset on, to the stack."""
    return [
        bpf.copy(R1, R6),
        bpf.copy(R2, R7),
        bpf.add(R2, offset),
        bpf.copy(R3, STACK),
        bpf.add(R3, to),
        bpf.put(R4, size),
        bpf.call(bpf.SKB_LOAD_BYTES),
        bpf.jump_signed_below(R0, 0, "malformed"),
    ]


def _version(number: int) -> list[Line]:
    """R1 is the first byte of the header, R3 how much of the frame is left for the packet."""
    return [
        *_read(0, _HEADER, 8),
        bpf.load(4, R3, R6, _LENGTH),
        bpf.subtract(R3, R7),
        bpf.load(1, R1, STACK, _HEADER),
        bpf.copy(R2, R1),
        bpf.shift_right(R2, 4),
        bpf.jump_unequal(R2, number, "malformed"),
    ]


def _length(at: int, beyond: int, name: str) -> list[Line]:
    """R9 is the packet's length: the field and what it does not include."""
    return [
        bpf.load(2, R9, STACK, _HEADER + at),
        bpf.from_network(R9),
        bpf.add(R9, beyond),
        bpf.jump_unequal(R9, beyond, name),
        bpf.jump_up_to(R3, LARGEST, name),
        bpf.copy(R9, R3),
        name,
        bpf.jump_below(R3, R9, "malformed"),
    ]


def _ipv4() -> list[Line]:
    mapped: list[Line] = []
    for end in (_SOURCE, _DESTINATION):
        mapped.append(bpf.store_value(8, STACK, end, 0))
        mapped.append(bpf.store_value(4, STACK, end + 8, _MAPPED))
    return [
        *_version(4),
        *_length(2, 0, "length4"),
        bpf.keep_bits(R1, 15),
        bpf.shift_left(R1, 2),
        bpf.jump_up_to(R1, IPV4_HEADER - 1, "malformed"),
        bpf.jump_below(R9, R1, "malformed"),
        *mapped,
        *_read(12, _SOURCE + 12, 4),
        *_read(16, _DESTINATION + 12, 4),
    ]


def _ipv6() -> list[Line]:
    return [*_version(6), *_length(4, IPV6_HEADER, "length6"), *_read(8, _SOURCE, 32)]


def _count(current: int) -> list[Line]:
    """Add R9 to the pair. A new pair that another processor has just added is there by then."""
    key = [bpf.copy(R1, R7), bpf.copy(R2, STACK), bpf.add(R2, _KEY)]
    return [
        bpf.store_value(4, STACK, _SCRATCH, 0),
        *bpf.point_to_map(R1, current),
        bpf.copy(R2, STACK),
        bpf.add(R2, _SCRATCH),
        bpf.call(bpf.LOOKUP_ELEMENT),
        bpf.jump_equal(R0, 0, "lost"),
        bpf.copy(R7, R0),
        *key,
        bpf.call(bpf.LOOKUP_ELEMENT),
        bpf.jump_unequal(R0, 0, "add"),
        bpf.store(8, STACK, _VALUE, R9),
        *key,
        bpf.copy(R3, STACK),
        bpf.add(R3, _VALUE),
        bpf.put(R4, bpf.NO_EXIST),
        bpf.call(bpf.UPDATE_ELEMENT),
        bpf.jump_equal(R0, 0, "new"),
        *key,
        bpf.call(bpf.LOOKUP_ELEMENT),
        bpf.jump_equal(R0, 0, "lost"),
        "add",
        bpf.add_atomically(R0, 0, R9),
        bpf.jump("done"),
    ]


def _note(events: int, which: int) -> list[Line]:
    return [
        *bpf.point_into_map(R1, events, which),
        bpf.put(R2, 1),
        bpf.add_atomically(R1, 0, R2),
        bpf.jump("done"),
    ]
