"""Whose a socket is: its process by its inode, its systemd unit by its cgroup.

A socket keeps the process that it was first seen with. A connection that no process has accepted
yet, or that ended before a dump showed it, belongs to whoever listens at its local end: the kernel
gives it to nobody else, so that its process is known, not guessed. Where several processes listen
at one end (SO_REUSEPORT), only what they have in common is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway_assets.capture.sockets.netlink import LISTEN, Connection, TcpSocket, UdpSocket
from gateway_assets.capture.sockets.processes import NOBODY, Owner, Processes
from gateway_assets.capture.sockets.units import Units

_ANY_ADDRESS = bytes(16)


class Holder(NamedTuple):
    owner: Owner
    unit: str | None

    @property
    def attribution(self) -> str:
        return "unknown" if self == UNKNOWN else "socket"


UNKNOWN = Holder(NOBODY, None)


class Holders:
    def __init__(self, processes: Processes | None = None, units: Units | None = None) -> None:
        self._processes = processes or Processes()
        self._units = units or Units()
        self._listeners: dict[tuple[bytes, int], Holder] = {}

    def look_up(self, tcp: Sequence[TcpSocket], udp: Sequence[UdpSocket] = ()) -> None:
        """Make the holders of a dump's sockets known, and who listens where."""
        sockets: list[TcpSocket | UdpSocket] = [*tcp, *udp]
        self._processes.look_up(found.inode for found in sockets)
        self._units.look_up(found.cgroup for found in sockets)
        self._listeners = {}
        for found in tcp:
            if found.state == LISTEN:
                end = found.connection.local, found.connection.local_port
                holder = self._seen(found)
                self._listeners[end] = _common(self._listeners.get(end, holder), holder)

    def holder(self, found: TcpSocket | UdpSocket, known: Holder | None) -> Holder:
        """Whose a socket is; ``known`` is what was answered for it before."""
        if known is None:
            return self._first_seen(found)
        if known.owner.pid is None or known.unit is None:
            return _completed(known, self._seen(found))
        return known

    def listener(self, ends: Connection) -> Holder | None:
        """Who listens at the near end: the port alone may also be another's outgoing one."""
        exact = self._listeners.get((ends.local, ends.local_port))
        return exact or self._listeners.get((_ANY_ADDRESS, ends.local_port))

    def _first_seen(self, found: TcpSocket | UdpSocket) -> Holder:
        if not found.inode and isinstance(found, TcpSocket):
            return self.listener(found.connection) or self._seen(found)
        return self._seen(found)

    def _seen(self, found: TcpSocket | UdpSocket) -> Holder:
        return Holder(self._processes.owner(found.inode), self._units.unit(found.cgroup))


def _completed(known: Holder, seen: Holder) -> Holder:
    owner = seen.owner if known.owner.pid is None else known.owner
    return Holder(owner, known.unit or seen.unit)


def _common(one: Holder, other: Holder) -> Holder:
    owner = one.owner if one.owner == other.owner else NOBODY
    return Holder(owner, one.unit if one.unit == other.unit else None)
