"""TCP payload of every connection of this host, exact, from the kernel's own counters.

Once a second all sockets are dumped; in between the kernel announces each destroyed socket with
its final counters, so that no connection is too short to be counted. Connections that were open
at the start count from there on. Both ends of a local connection are counted, each for its own
process. Not seen: UDP and QUIC, forwarded traffic, other network namespaces.

Process and unit of a connection are remembered until its end, whose announcement no longer names
them. An outgoing connection that began and ended between two dumps is of an ``unknown`` process.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterable
from functools import partial

from gateway_assets import clock
from gateway_assets.capture.addresses import address_text
from gateway_assets.capture.backend import Backend, Delta, Options
from gateway_assets.capture.sockets.holders import Holder, Holders
from gateway_assets.capture.sockets.netlink import (
    FIN_WAIT2,
    LISTEN,
    TIME_WAIT,
    Connection,
    Link,
    TcpSocket,
)
from gateway_assets.capture.sockets.payload import final_payload, open_payload, with_memory
from gateway_assets.capture.sockets.processes import Owner
from gateway_assets.errors import CaptureError, UsageError

PAUSE = 1.0  # seconds between two dumps
_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_KEEP_ABSENT = 10_000

Counted = tuple[TcpSocket, Holder, int, int]  # as last dumped, whose, payload reported: tx, rx


class SockDiag:
    name, layer, live, up = "sockdiag", "tcp", True, True
    interface: str | None = None

    def __init__(self) -> None:
        self.identity = os.urandom(4).hex()
        self.parse_errors = 0
        self.lost_events = 0
        self._link = Link()
        self._holders = Holders()
        self._counted: dict[int, Counted] = {}
        self._owed: dict[tuple[str, Owner], tuple[int, int]] = {}
        self._lost_at_dump = 0
        self._next = 0.0
        self._poll()  # after the link listens: from here on nothing can end unseen
        self._poll()  # confirms the first
        self._events()
        self._next = time.monotonic() + PAUSE

    def read(self, timeout: float) -> Iterable[Delta]:
        wait = min(timeout, max(0.0, self._next - time.monotonic()))
        select.select([self._link], [], [], wait)
        deltas = self._events()
        if timeout == 0 or time.monotonic() >= self._next:
            self._next = time.monotonic() + PAUSE
            deltas += self._poll()
        if timeout == 0:
            deltas += self._poll()  # confirms what the one before could not be sure of
        return deltas

    def close(self) -> None:
        self._link.close()

    def _poll(self) -> list[Delta]:
        sockets = [found for family in _FAMILIES for found in self._link.dump(family)]
        self._holders.look_up(sockets)
        if self._lost_at_dump != self.lost_events:
            self._lost_at_dump = self.lost_events
            self._forget_absent({found.cookie for found in sockets})
        moment = clock.now()
        return [self._open_delta(found, moment) for found in sockets if found.state != LISTEN]

    def _open_delta(self, found: TcpSocket, moment: int) -> Delta:
        earlier = self._earlier(found)
        found = with_memory(found, earlier)
        return self._delta(found, moment, open_payload(found, earlier))

    def _earlier(self, found: TcpSocket) -> TcpSocket | None:
        before = self._counted.get(found.cookie)
        return before[0] if before else None

    def _events(self) -> list[Delta]:
        moment = clock.now()
        deltas = [self._last_delta(gone, moment) for gone in self._link.destroyed()]
        if self._link.lost != self.lost_events:
            self.lost_events = self._link.lost
            self._next = 0.0  # a dump still tells what is open
        return deltas

    def _last_delta(self, gone: TcpSocket, moment: int) -> Delta:
        remains = partial(self._remains, gone.connection)
        payload = final_payload(gone, self._earlier(gone), remains)
        delta = self._delta(gone, moment, payload)
        del self._counted[gone.cookie]
        return delta

    def _remains(self, ends: Connection) -> int:
        """What is left of a connection; its listener may have gone, or its ends be in use again."""
        left = self._link.state(ends)
        if left not in (TIME_WAIT, FIN_WAIT2) and self._holders.listener(ends):
            return LISTEN
        return left

    def _delta(self, found: TcpSocket, moment: int, received: int) -> Delta:
        before = self._counted.get(found.cookie)
        known, tx, rx = before[1:] if before else (None, 0, 0)
        holder = self._holders.holder(found, known)
        self._counted[found.cookie] = (found, holder, found.sent, received)
        remote = address_text(found.connection.family, found.connection.remote)
        tx, rx = self._settled((remote, holder.owner), found.sent - tx, received - rx)
        pid, process, _ = holder.owner
        return Delta(moment, remote, process, pid, tx, rx, holder.unit, holder.attribution)

    def _settled(self, key: tuple[str, Owner], tx: int, rx: int) -> tuple[int, int]:
        """A delta is never negative; what was counted too high comes off the next ones.

        A segment sent again is counted as sent in one dump and as sent twice in the next.
        """
        if rx < 0 or tx < 0 or key in self._owed:
            owed_tx, owed_rx = self._owed.pop(key, (0, 0))
            tx, rx = tx - owed_tx, rx - owed_rx
            if tx < 0 or rx < 0:
                self._owed[key] = (max(0, -tx), max(0, -rx))
        return max(0, tx), max(0, rx)

    def _forget_absent(self, present: set[int]) -> None:
        """Bound what lost events leave behind.

        An absent socket may still be held by its process, and its end still to come; so the
        youngest are kept.
        """
        absent = [cookie for cookie in self._counted if cookie not in present]
        for cookie in absent[:-_KEEP_ABSENT]:
            del self._counted[cookie]


def open_backend(options: Options) -> Backend:
    if options.interface or options.local_net:
        raise UsageError(
            "the sockdiag backend sees connections, not interfaces",
            hint="leave out --interface and --local-net, or use --backend iftop",
        )
    if options.file:
        raise UsageError(
            "the sockdiag backend reads no --file", hint="use --backend replay --file FILE"
        )
    release = os.uname().release
    if tuple(int(part) for part in release.split(".")[:2]) < (4, 19):
        raise CaptureError(
            f"Linux {release} does not count bytes sent per socket",
            hint="use Linux 4.19 or newer, or --backend iftop",
        )
    try:
        return SockDiag()
    except OSError as error:
        raise CaptureError(
            f"the kernel does not list its TCP sockets: {error.strerror}",
            hint="load the module tcp_diag (modprobe tcp_diag), or use --backend iftop",
        ) from error
