"""TCP payload of every connection of this host, exact, from the kernel's own counters.

Once a second all sockets are dumped; in between the kernel announces each destroyed socket with
its final counters, so that no connection is too short to be counted. Connections that were open
at the start count from there on. Both ends of a local connection are counted, each for its own
process. Not seen: UDP and QUIC, forwarded traffic, other network namespaces.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Iterable

from gateway_assets import clock
from gateway_assets.capture.backend import Backend, Delta, Options
from gateway_assets.capture.netlink import LISTEN, Link, TcpSocket, address
from gateway_assets.capture.payload import final_payload, open_payload
from gateway_assets.capture.processes import NOBODY, Owner, Processes
from gateway_assets.errors import CaptureError, UsageError

PAUSE = 1.0  # seconds between two dumps
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_KEEP_ABSENT = 10_000

Counted = tuple[TcpSocket, Owner, int, int]  # as last dumped, its owner, payload reported: tx, rx


class SockDiag:
    name, layer, interface, live = "sockdiag", "tcp", None, True

    def __init__(self) -> None:
        self.identity = os.urandom(4).hex()
        self.parse_errors = 0
        self.lost_events = 0
        self._link = Link()
        self._processes = Processes()
        self._listeners: dict[int, Owner] = {}
        self._counted: dict[int, Counted] = {}
        self._poll()  # after the link listens: from here on nothing can end unseen
        self._events()
        self._next = time.monotonic() + PAUSE

    def read(self, timeout: float) -> Iterable[Delta]:
        wait = min(timeout, max(0.0, self._next - time.monotonic()))
        select.select([self._link], [], [], wait)
        deltas = self._events()
        if timeout == 0 or time.monotonic() >= self._next:
            deltas += self._poll()
            self._next = time.monotonic() + PAUSE
        return deltas

    def close(self) -> None:
        self._link.close()

    def _poll(self) -> list[Delta]:
        sockets = [found for family in _FAMILIES for found in self._link.dump(family)]
        self._processes.look_up(found.inode for found in sockets)
        owner = self._processes.owner
        listening = [found for found in sockets if found.state == LISTEN]
        self._listeners = {at.connection.local_port: owner(at.inode) for at in listening}
        moment = clock.now()
        return [
            self._delta(found, moment, open_payload(found))
            for found in sockets
            if found.state != LISTEN
        ]

    def _events(self) -> list[Delta]:
        deltas: list[Delta] = []
        moment = clock.now()
        while True:
            try:
                for gone in self._link.destroyed():
                    deltas.append(self._last_delta(gone, moment))
                return deltas
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.lost_events += 1
                self._forget_absent()

    def _last_delta(self, gone: TcpSocket, moment: int) -> Delta:
        earlier = self._counted.get(gone.cookie)
        remains = lambda: self._link.state(gone.connection)  # noqa: E731
        payload = final_payload(gone, earlier[0] if earlier else None, remains)
        delta = self._delta(gone, moment, payload)
        del self._counted[gone.cookie]
        return delta

    def _delta(self, found: TcpSocket, moment: int, received: int) -> Delta:
        before = self._counted.get(found.cookie)
        owner, tx, rx = before[1:] if before else (NOBODY, 0, 0)
        owner = self._owner(found, owner)
        sent, received = max(found.sent, tx), max(received, rx)
        self._counted[found.cookie] = (found, owner, sent, received)
        remote = address(found.connection.family, found.connection.remote)
        return Delta(moment, remote, owner.process, owner.pid, sent - tx, received - rx)

    def _owner(self, found: TcpSocket, known: Owner) -> Owner:
        if known.pid is None:
            known = self._processes.owner(found.inode)
        if known.pid is None:  # too short for a dump, or not accepted yet: who listens there
            known = self._listeners.get(found.connection.local_port, NOBODY)
        return known
