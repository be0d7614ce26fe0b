"""A packet(7) socket on one interface, with a filter before the first packet.

On Ethernet it sees frames from their header on, because the kernel alone does not tell whether a
VLAN tag is still in front of the packet; on other links it sees packets.
"""

from __future__ import annotations

import errno
import select
import socket
from collections.abc import Callable

from gateway_assets.capture.say import say

OUTGOING = socket.PACKET_OUTGOING
SOL_PACKET = 263

_ALL = 3  # ETH_P_ALL
_ETHERNET, _LOOPBACK = 1, 772  # linux/if_arp.h


class PacketSocket:
    """``prepare`` is given this object before packets arrive. Raises OSError."""

    def __init__(self, interface: str, prepare: Callable[[PacketSocket], None]) -> None:
        self.interface = interface
        link = _link(interface)
        self.ethernet = link in (_ETHERNET, _LOOPBACK)
        self.loopback = link == _LOOPBACK  # where each packet is seen leaving and arriving
        self.socket = _socket(socket.SOCK_RAW if self.ethernet else socket.SOCK_DGRAM)
        try:
            prepare(self)
            self.socket.bind((interface, _ALL))
        except BaseException:
            self.socket.close()
            raise

    def wait(self, timeout: float) -> None:
        """Until there are packets, or for ``timeout`` seconds.

        That the interface is down is told as an error, once; the kernel goes on with the socket
        when it is up.
        """
        if select.select([self.socket], [], [], timeout)[0]:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code == errno.ENETDOWN and not self.has_gone():
                say(f"packet: {self.interface} is down; nothing to count until it is up")

    def has_gone(self) -> bool:
        """Whether there is no such interface any more; one that is down or renamed has not."""
        return not self.socket.getsockname()[0]

    def close(self) -> None:
        self.socket.close()


def _link(interface: str) -> int:
    with _socket(socket.SOCK_DGRAM) as probe:
        probe.bind((interface, 0))
        return int(probe.getsockname()[3])


def _socket(kind: int) -> socket.socket:
    return socket.socket(socket.AF_PACKET, kind | socket.SOCK_CLOEXEC, 0)
