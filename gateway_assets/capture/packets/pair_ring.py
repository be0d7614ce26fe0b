"""Bytes of each pair of addresses, read from the header of every packet: for where eBPF may not be.

The kernel copies the first bytes of each packet, with its whole length beside them, into a ring of
blocks that this process maps (TPACKET_V3: packet(7), linux/if_packet.h and the kernel's
Documentation/networking/packet_mmap.rst). What finds the ring full is dropped by the kernel, and
counted as lost.
"""

from __future__ import annotations

import array
import mmap
import socket
import struct
import time
from collections.abc import Iterator

from gateway_assets.capture.packets.live_header import (
    SNAP,
    Ends,
    read_ethernet,
    read_packet,
    sixteen,
)
from gateway_assets.capture.packets.packet_socket import OUTGOING, SOL_PACKET, PacketSocket

MAX_PAIRS = 1 << 15
BLOCKS = 32
_BLOCK = 1 << 17  # bytes; about 680 headers
_FRAME = 1 << 11  # only has to divide a block: version 3 packs frames of any length
_RETIRE = 50  # milliseconds until a block that is not full is handed over
_LAST = 1.0  # seconds the kernel is given to hand over the last block

_PACKET_RX_RING, _PACKET_STATISTICS, _PACKET_VERSION = 5, 6, 10
_TPACKET_V3 = 2
_SO_ATTACH_FILTER = 26

_OURS = 1  # TP_STATUS_USER
_BLOCK_HEAD = struct.Struct("=8xIII")  # tpacket_block_desc: status, packets, where the first is
_STATUS = struct.Struct("=I")
_STATUS_AT = 8
# tpacket3_hdr and the sockaddr_ll behind it: where the next is, bytes here, bytes in all, where
# the data is, protocol, type of packet.
_HEAD = struct.Struct("=I8xII4xH24xH6xB")
_REQUEST = struct.Struct("=IIIIIII")  # tpacket_req3
_STATISTICS = struct.Struct("=III")  # tpacket_stats_v3: packets and drops, drops, freezes
_CLASSIC = struct.Struct("=HBBI")  # sock_filter
_PACKET_TYPE_OFFSET = 0xFFFFF004  # SKF_AD_OFF + SKF_AD_PKTTYPE


class PairRing:
    """Raises OSError when the kernel or its rights do not allow it."""

    def __init__(self, interface: str, blocks: int = BLOCKS) -> None:
        self.malformed = self.lost = 0
        self._blocks = blocks
        self._next = 0  # the block that the kernel hands over next
        self._accepted = self._read = 0  # packets
        self._leaving: dict[Ends, int] = {}
        self._other: dict[Ends, int] = {}
        self._socket = PacketSocket(interface, self._prepare)
        self.has_gone = self._socket.has_gone

    def _prepare(self, opened: PacketSocket) -> None:
        code = _filter(opened.loopback)
        program = array.array("B", code)
        at, _ = program.buffer_info()
        described = struct.pack("@HP", len(code) // _CLASSIC.size, at)  # sock_fprog
        opened.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, described)
        frames = self._blocks * _BLOCK // _FRAME
        request = _REQUEST.pack(_BLOCK, self._blocks, _FRAME, frames, _RETIRE, 0, 0)
        opened.socket.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
        opened.socket.setsockopt(SOL_PACKET, _PACKET_RX_RING, request)
        self._ring = mmap.mmap(opened.socket.fileno(), self._blocks * _BLOCK)

    def wait(self, timeout: float) -> None:
        """For ``timeout`` seconds, or until what was counted should be taken."""
        until = time.monotonic() + timeout
        while (left := until - time.monotonic()) > 0 and not self.crowded:
            self._socket.wait(left)
            self._read_blocks()

    @property
    def crowded(self) -> bool:
        return len(self._leaving) + len(self._other) >= MAX_PAIRS

    def take(self) -> Iterator[tuple[bool, bytes, bytes, int]]:
        """Whether it left, source and destination of 16 bytes, and bytes since the last time."""
        self._catch_up()
        for leaves, counted in ((True, self._leaving), (False, self._other)):
            for ends, size in counted.items():
                yield leaves, *sixteen(ends), size
            counted.clear()

    def close(self) -> None:
        self._ring.close()
        self._socket.close()

    def _catch_up(self) -> None:
        """Read every packet the kernel has accepted up to now; the last block comes a bit late."""
        self._ask_kernel()
        accepted, until = self._accepted, time.monotonic() + _LAST
        self._read_blocks()
        while self._read < accepted and (left := until - time.monotonic()) > 0:
            self._socket.wait(left)
            self._read_blocks()
        self.lost += max(0, accepted - self._read)

    def _ask_kernel(self) -> None:
        """The kernel begins its counts anew each time they are asked for."""
        answer = self._socket.socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        packets, drops, _ = _STATISTICS.unpack(answer)
        self._accepted += packets - drops
        self.lost += drops

    def _read_blocks(self) -> None:
        for _ in range(self._blocks):
            at = self._next * _BLOCK
            status, packets, first = _BLOCK_HEAD.unpack_from(self._ring, at)
            if not status & _OURS:
                return
            self._read_block(at + first, packets)
            _STATUS.pack_into(self._ring, at + _STATUS_AT, 0)
            self._next = (self._next + 1) % self._blocks

    def _read_block(self, at: int, packets: int) -> None:
        ring, ethernet = self._ring, self._socket.ethernet
        for _ in range(packets):
            step, here, present, data, protocol, kind = _HEAD.unpack_from(ring, at)
            frame = ring[at + data : at + data + here]
            try:
                if ethernet:
                    found = read_ethernet(frame, present)
                else:
                    found = read_packet(socket.ntohs(protocol), frame, 0, present)
            except ValueError:
                self.malformed += 1
                found = None
            if found:
                ends, length = found
                counted = self._leaving if kind == OUTGOING else self._other
                counted[ends] = counted.get(ends, 0) + length
            at += step
        self._read += packets


def _filter(loopback: bool) -> bytes:
    """Keep the first bytes; on loopback, where each packet also comes back, of leaving ones."""
    whole = _CLASSIC.pack(0x06, 0, 0, SNAP)  # ret #SNAP
    if not loopback:
        return whole
    kind = _CLASSIC.pack(0x30, 0, 0, _PACKET_TYPE_OFFSET)  # ldb [type]
    other = _CLASSIC.pack(0x15, 1, 0, OUTGOING)  # jeq #OUTGOING
    return kind + other + _CLASSIC.pack(0x06, 0, 0, 0) + whole
