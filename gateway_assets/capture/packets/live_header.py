"""From a frame to the ends and the length of its outermost IP packet.

The length is that of the packet itself: IPv4's total length, IPv6's payload length and its
header (RFC 791, RFC 8200). A frame may be longer, as Ethernet fills short ones up. Packets beyond
64 KiB, which exist inside the kernel only, carry a length of 0 and fill their frame.
"""

from __future__ import annotations

import struct

from gateway_assets.capture.addresses import MAPPED

IPV4, IPV6 = 0x0800, 0x86DD  # linux/if_ether.h
VLAN = (0x8100, 0x88A8, 0x9100)
ETHERNET = 14  # bytes of its header; the last two are the type
TAG = 4  # bytes of a VLAN tag; the last two are the type of what follows
MAX_TAGS = 2  # in the frame; the outermost is usually beside it
IPV4_HEADER, IPV6_HEADER = 20, 40
LARGEST = 65535  # beyond it a length is written as 0
SNAP = ETHERNET + MAX_TAGS * TAG + IPV6_HEADER  # bytes that are enough to read

_U16 = struct.Struct(">H")

Ends = bytes  # source and destination, 4 or 16 bytes each


def read_ethernet(frame: bytes, present: int) -> tuple[Ends, int] | None:
    """The packet in an Ethernet frame of which ``frame`` is the beginning; see read_packet."""
    at = ETHERNET
    if len(frame) < at:
        raise ValueError("a frame shorter than its header")
    (protocol,) = _U16.unpack_from(frame, at - 2)
    while protocol in VLAN:
        at += TAG
        if len(frame) < at or at > ETHERNET + MAX_TAGS * TAG:
            raise ValueError("VLAN tags without an end")
        (protocol,) = _U16.unpack_from(frame, at - 2)
    return read_packet(protocol, frame, at, present - at)


def read_packet(protocol: int, data: bytes, at: int, present: int) -> tuple[Ends, int] | None:
    """The ends and the length in bytes of the packet at ``at``; None when it is not IP.

    ``present`` is how many bytes from ``at`` on the kernel has, of which ``data`` may hold fewer.
    Raises ValueError when these bytes are no IP packet.
    """
    if protocol == IPV4:
        if len(data) < at + IPV4_HEADER:
            raise ValueError("a cut IPv4 header")
        header = (data[at] & 15) * 4
        (length,) = _U16.unpack_from(data, at + 2)
        if length == 0 and present > LARGEST:
            length = present
        if data[at] >> 4 != 4 or not IPV4_HEADER <= header <= length <= present:
            raise ValueError("no IPv4 packet")
        return data[at + 12 : at + 20], length
    if protocol == IPV6:
        if len(data) < at + IPV6_HEADER:
            raise ValueError("a cut IPv6 header")
        (payload,) = _U16.unpack_from(data, at + 4)
        length = present if payload == 0 and present > LARGEST else payload + IPV6_HEADER
        if data[at] >> 4 != 6 or length > present:
            raise ValueError("no IPv6 packet")
        return data[at + 8 : at + 40], length
    return None


def sixteen(ends: Ends) -> tuple[bytes, bytes]:
    """Source and destination, 16 bytes each; IPv4 mapped into IPv6."""
    if len(ends) == 8:
        return MAPPED + ends[:4], MAPPED + ends[4:]
    return ends[:16], ends[16:]
