"""Networks as people write them, and whether an address is in one of them."""

from __future__ import annotations

import socket
from typing import NamedTuple

from gateway_assets.capture.addresses import MAPPED
from gateway_assets.errors import UsageError


class Net(NamedTuple):
    address: int  # of 128 bits; IPv4 mapped into IPv6
    mask: int
    ipv4: bool


Nets = tuple[Net, ...]


def is_in(nets: Nets, address: bytes) -> bool:
    """``address`` has 16 bytes; IPv4 is mapped into IPv6."""
    ipv4 = address[:12] == MAPPED
    number = int.from_bytes(address, "big")
    return any(net.ipv4 == ipv4 and number & net.mask == net.address for net in nets)


def parse_nets(text: str) -> Nets:
    """Networks and addresses as ``192.0.2.0/24,2001:db8::1``. Raises UsageError for others."""
    return tuple(_parse_net(part.strip()) for part in text.split(","))


def _parse_net(text: str) -> Net:
    address, slash, bits = text.partition("/")
    width = 128 if ":" in address else 32
    try:
        raw = _sixteen(address)
        length = int(bits) if bits.isascii() and bits.isdecimal() else -1
    except (OSError, ValueError):
        length = -1
    else:
        length = length if slash else width
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
