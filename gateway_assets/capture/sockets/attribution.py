"""Whose the packets are that were exchanged with a remote, by the sockets that talk to it.

A backend that counts packets knows remotes, not processes. So the sockets of this host are looked
at every few seconds: TCP with byte counters (those of destroyed sockets are announced by the
kernel), UDP without. Packets may be reported a little after they passed, so the sockets of the
look before count as well. The bytes of a remote belong, in this order, to

    the only holder of sockets to it                        socket
    several, in the proportion of their TCP segments        shared
    several of whom that is not known: UDP is among them,
    or no counter has moved                                 ambiguous   no process is named
    who held the last socket to it, ended a minute ago
    or less                                                 socket, or ambiguous if several
    nobody here, and this host forwards packets             forwarded
    nobody known                                            unknown

A socket's segments are its payload, also what was sent again, and a header for each segment; so
who only acknowledges gets what that takes. A holder is a process (pid and start time) and its
unit. A part whose holder is not known, such as that of a connection that began and ended between
two looks, is ``unknown``, too.

Not known are the remotes of UDP sockets that are not connected, of raw sockets and of other
network namespaces. On a host that forwards, packets of theirs are called ``forwarded``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from gateway_assets.capture.addresses import address_text
from gateway_assets.capture.backend import Delta, delta_of
from gateway_assets.capture.sockets.holders import UNKNOWN, Holder, Holders
from gateway_assets.capture.sockets.netlink import LISTEN, Connection, Link, TcpSocket
from gateway_assets.capture.sockets.shares import divide

_FAMILIES = (socket.AF_INET, socket.AF_INET6)
_KEEP = 4096  # ended sockets per look, remotes of ended sockets, sockets absent from a dump
_REMEMBERED = 60.0  # seconds: as long as Linux keeps the ends of a closed connection (TIME_WAIT)
_FORWARDING = ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding")

_IPV4_HEADERS, _IPV6_HEADERS = 52, 72  # of IP and of TCP with its usual option, timestamps

Moved = dict[Holder, list[int]]  # whose: bytes sent and received by their TCP sockets


class _Look:
    """Who talked to whom from one look to the next."""

    __slots__ = ("complete", "ended", "moved", "uncounted")

    def __init__(self) -> None:
        self.moved: dict[str, Moved] = {}
        self.uncounted: set[str] = set()  # remotes of UDP sockets
        self.ended = 0
        self.complete = True  # False: a destroyed socket may be missing

    def add(self, remote: str, holder: Holder, sent: int = 0, received: int = 0) -> None:
        moved = self.moved.setdefault(remote, {}).setdefault(holder, [0, 0])
        moved[0] += sent
        moved[1] += received


class Attribution:
    """The sockets of this host, and deltas of remotes divided among their holders."""

    def __init__(self) -> None:
        """Raises OSError when the kernel does not list its sockets."""
        self._link = Link()
        self._holders = Holders()
        self._sockets: dict[int, tuple[Holder, int, int]] = {}  # by cookie: bytes so far
        self._before, self._now, self._next = _Look(), _Look(), _Look()
        self._ended: dict[str, tuple[float, Holder | None]] = {}  # None: several
        self._lost = 0
        self._forwarding = False
        try:
            self.look()
            self._now = _Look()  # what moved before the start
            self.look()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        self._link.close()

    def listen(self) -> None:
        """Take in the sockets that have been destroyed; cheap, for every moment."""
        for gone in self._link.destroyed():
            if self._next.ended < _KEEP:
                self._count(gone)
            else:
                self._next.complete = False
            self._next.ended += 1
            self._sockets.pop(gone.cookie, None)
        if self._link.lost != self._lost:
            self._lost = self._link.lost
            self._next.complete = False

    def look(self) -> None:
        """Dump all sockets: what follows is divided by what has moved since the last look."""
        tcp = [found for family in _FAMILIES for found in self._link.dump(family)]
        udp = [found for family in _FAMILIES for found in self._link.connected_udp(family)]
        self._holders.look_up(tcp, udp)
        for found in tcp:
            if found.state != LISTEN:
                self._count(found)
        self.listen()  # after the dump is counted: what it held may have ended since
        for datagrams in udp:
            remote = _remote(datagrams.connection)
            self._next.add(remote, self._holders.holder(datagrams, None))
            self._next.uncounted.add(remote)
        self._forget_absent({found.cookie for found in tcp})
        self._turn()

    def divided(self, moment: int, remotes: Mapping[str, tuple[int, int]]) -> list[Delta]:
        """The bytes of many remotes, sent and received, as ``split`` divides them.

        Most remotes of a gateway talk to no socket here, and there may be thousands.
        """
        now, before, ended = self._now.moved, self._before.moved, self._ended
        how = self._how_of_nobody()
        deltas: list[Delta] = []
        for remote, (tx, rx) in remotes.items():
            if remote in now or remote in before or remote in ended:
                deltas += self.split(moment, remote, tx, rx)
            else:
                deltas.append(delta_of((moment, remote, None, None, tx, rx, None, how)))
        return deltas

    def split(self, moment: int, remote: str, tx: int, rx: int) -> Iterator[Delta]:
        """A remote's bytes as one delta per holder; they add up to exactly ``tx`` and ``rx``."""
        now, before = self._now.moved.get(remote), self._before.moved.get(remote)
        if not now and not before:
            yield self._of_nobody(moment, remote, tx, rx)
            return
        holders = [*{**(now or {}), **(before or {})}]
        if len(holders) == 1:
            yield _delta(moment, remote, holders[0], tx, rx, holders[0].attribution)
        else:
            yield from self._shared(moment, remote, tx, rx, holders)

    def _shared(
        self, moment: int, remote: str, tx: int, rx: int, holders: list[Holder]
    ) -> Iterator[Delta]:
        sent, received = (self._known_shares(remote, holders, way) for way in (0, 1))
        if not sent and not received:
            units = {holder.unit for holder in holders}
            unit = units.pop() if len(units) == 1 else None
            yield Delta(moment, remote, None, None, tx, rx, unit, "ambiguous")
            return
        sending, receiving = divide(tx, sent or received), divide(rx, received or sent)
        for holder, part_tx, part_rx in zip(holders, sending, receiving, strict=True):
            how = "unknown" if holder == UNKNOWN else "shared"
            if part_tx or part_rx:
                yield _delta(moment, remote, holder, part_tx, part_rx, how)

    def _known_shares(self, remote: str, holders: list[Holder], way: int) -> list[int]:
        """What each moved since the last look, or else before it; empty when that is not known."""
        looks = (self._now, self._before)
        if any(remote in look.uncounted for look in looks):
            return []
        for look in looks:
            moved = look.moved.get(remote, {})
            weights = [moved[holder][way] if holder in moved else 0 for holder in holders]
            if any(weights):
                return weights
        return []

    def _of_nobody(self, moment: int, remote: str, tx: int, rx: int) -> Delta:
        ended, last = self._ended.get(remote, (None, UNKNOWN))
        if ended is not None and time.monotonic() - ended < _REMEMBERED:
            if last is None:
                return Delta(moment, remote, None, None, tx, rx, None, "ambiguous")
            return _delta(moment, remote, last, tx, rx, last.attribution)
        return _delta(moment, remote, UNKNOWN, tx, rx, self._how_of_nobody())

    def _how_of_nobody(self) -> str:
        all_known = self._now.complete and self._before.complete
        return "forwarded" if self._forwarding and all_known else "unknown"

    def _count(self, found: TcpSocket) -> None:
        known, sent, received = self._sockets.get(found.cookie, (None, 0, 0))
        holder = self._holders.holder(found, known)
        remote = _remote(found.connection)
        header = _IPV6_HEADERS if ":" in remote else _IPV4_HEADERS
        all_sent = found.sent + found.sent_again + header * found.segments_out
        all_received = found.received + header * found.segments_in
        # The kernel counts segments in 32 bits: when they begin anew, a look goes without.
        sent, received = max(0, all_sent - sent), max(0, all_received - received)
        self._next.add(remote, holder, sent, received)
        self._sockets[found.cookie] = (holder, all_sent, all_received)

    def _forget_absent(self, present: set[int]) -> None:
        """Bound what lost events leave behind; a process may hold an absent socket for long."""
        absent = [cookie for cookie in self._sockets if cookie not in present]
        for cookie in absent[:-_KEEP]:
            del self._sockets[cookie]

    def _turn(self) -> None:
        old, self._before, self._now, self._next = self._before, self._now, self._next, _Look()
        self._remember(old)
        self._forwarding = _is_forwarding()

    def _remember(self, old: _Look) -> None:
        """Note for each remote who no longer talks to it."""
        moment = time.monotonic()
        for remote, holders in old.moved.items():
            before, now = self._before.moved.get(remote, {}), self._now.moved.get(remote, {})
            gone: set[Holder | None] = {h for h in holders if h not in before and h not in now}
            if gone:
                ended, last = self._ended.pop(remote, (-_REMEMBERED, None))
                if moment - ended < _REMEMBERED:
                    gone.add(last)
                self._ended[remote] = (moment, gone.pop() if len(gone) == 1 else None)
        while len(self._ended) > _KEEP:
            del self._ended[next(iter(self._ended))]


def _delta(moment: int, remote: str, holder: Holder, tx: int, rx: int, how: str) -> Delta:
    pid, process, _ = holder.owner
    return Delta(moment, remote, process, pid, tx, rx, holder.unit, how)


def _remote(connection: Connection) -> str:
    return address_text(connection.family, connection.remote)


def _is_forwarding() -> bool:
    for switch in _FORWARDING:
        with suppress(OSError):  # no IPv6
            if Path(switch).read_text().strip() != "0":
                return True
    return False
