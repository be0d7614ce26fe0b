"""Which end of a packet is the remote, and so whether its bytes were sent or received.

A packet that leaves through the interface was sent, to its destination; any other was received,
from its source. So the remote is whoever is out there on this interface, for forwarded packets,
too. Networks that are declared near turn this around where it would name one of them: between
near and far, the far end is the remote. Where both ends are near, or both far, the first rule
holds again; nothing is left out.
"""

from __future__ import annotations

import socket
from typing import NamedTuple

from gateway_assets.capture.addresses import MAPPED
from gateway_assets.errors import UsageError


class Net(NamedTuple):
    address: int  # of 128 bits; IPv4 mapped into IPv6
    mask: int
    ipv4: bool


class Sides:
    def __init__(self, near: tuple[Net, ...] = ()) -> None:
        self._near = near

    def remote(self, leaves: bool, source: bytes, destination: bytes) -> tuple[bytes, bool]:
        """The remote's address, of 16 bytes as all here, and whether the packet was sent to it."""
        sent = leaves
        if self._near:
            from_near = self._is_near(source)
            if from_near != self._is_near(destination):
                sent = from_near
        return (destination if sent else source), sent

    def _is_near(self, address: bytes) -> bool:
        ipv4 = address[:12] == MAPPED
        number = int.from_bytes(address, "big")
        return any(net.ipv4 == ipv4 and number & net.mask == net.address for net in self._near)


def parse_nets(text: str) -> tuple[Net, ...]:
    """Networks written as ``192.0.2.0/24,2001:db8::/32``. Raises UsageError for anything else."""
    return tuple(_parse_net(part.strip()) for part in text.split(","))


def _parse_net(text: str) -> Net:
    address, _, bits = text.partition("/")
    try:
        raw = _sixteen(address)
        length = int(bits) if bits.isascii() and bits.isdecimal() else -1
    except (OSError, ValueError):
        length = -1
    width = 128 if ":" in address else 32
    if not 0 <= length <= width:
        raise UsageError(
            f"--local-net {text!r} is not a network",
            hint="for example 192.0.2.0/24, or several: 192.0.2.0/24,2001:db8::/32",
        )
    mask = (1 << 128) - (1 << (width - length))
    ipv4 = raw[:12] == MAPPED and mask >> 32 == (1 << 96) - 1
    return Net(int.from_bytes(raw, "big") & mask, mask, ipv4)


def _sixteen(address: str) -> bytes:
    if ":" in address:
        return socket.inet_pton(socket.AF_INET6, address)
    return MAPPED + socket.inet_pton(socket.AF_INET, address)
