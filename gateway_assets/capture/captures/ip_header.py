"""Addresses and whole length of an IP packet, from its header alone.

The length is that of the IP layer as the header states it, never what was captured and never
padding of the link layer. Three kinds of packets state none: those that the kernel hands on before
the card cuts them (total length 0, and BIG TCP in both versions), and IPv6 jumbograms, which have
it in a hop-by-hop option (RFC 2675).
"""

from __future__ import annotations

_IPV6_HEADER = 40
_LONGEST_STATED = 65_535  # what 16 bits hold
_LONGEST = 1 << 24  # 32 times what Linux makes; more is damage
_HOP_BY_HOP = 0
_PAD1, _JUMBO = 0x00, 0xC2


def read_ip(packet: bytes, at: int, frame_length: int) -> tuple[bytes, int]:
    """Source and destination as one key of 8 or 32 bytes, and the length in bytes.

    ``frame_length`` is that of the whole frame as it was on the wire. Raises ValueError or
    IndexError for a header that is cut or contradicts itself.
    """
    version = packet[at] >> 4
    if version == 4:
        pair = packet[at + 12 : at + 20]
        if len(pair) != 8:
            raise ValueError("a cut IPv4 header")
        return pair, _ipv4_length(packet, at, frame_length)
    if version == 6:
        pair = packet[at + 8 : at + _IPV6_HEADER]
        if len(pair) != 32:
            raise ValueError("a cut IPv6 header")
        payload = packet[at + 4] << 8 | packet[at + 5]
        return pair, _IPV6_HEADER + (payload or _long_payload(packet, at, frame_length))
    raise ValueError(f"IP version {version}")


def _ipv4_length(packet: bytes, at: int, frame_length: int) -> int:
    header = (packet[at] & 15) * 4
    length = (packet[at + 2] << 8 | packet[at + 3]) or frame_length - at
    if not 20 <= header <= length <= _LONGEST:
        raise ValueError("IPv4 lengths that contradict each other")
    return length


def _long_payload(packet: bytes, at: int, frame_length: int) -> int:
    """The payload of an IPv6 packet that states 0."""
    if packet[at + 6] == _HOP_BY_HOP:
        payload = _jumbo_payload(packet, at + _IPV6_HEADER)
    else:
        payload = frame_length - at - _IPV6_HEADER
        if payload <= _LONGEST_STATED:
            return 0  # it is true; what follows is padding
    if not _LONGEST_STATED < payload <= _LONGEST:
        raise ValueError("an IPv6 payload of a length that cannot be")
    return payload


def _jumbo_payload(packet: bytes, at: int) -> int:
    """The jumbo payload option of the hop-by-hop header that begins at ``at``; 0: it has none."""
    end = at + 8 * (packet[at + 1] + 1)
    at += 2
    while at < end:
        if packet[at] == _PAD1:
            at += 1
        elif packet[at] == _JUMBO:
            return int.from_bytes(packet[at + 2 : at + 6], "big")
        else:
            at += 2 + packet[at + 1]
    return 0
