"""Exact bytes of every IP packet of one interface, UDP and forwarded packets included.

The kernel counts, where eBPF is allowed; else this process reads the header of every packet. Both
see packets as the kernel handles them: where it leaves cutting into segments to the network card,
many segments are one packet with one header, as for any program on this host. Counted is the
outermost IP packet, behind VLAN tags, too; other frames (ARP, PPPoE, MPLS) are left out. On
loopback each packet leaves and arrives, and counts once, as sent. Which end is the remote: see
``capture.direction``.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from gateway_assets import clock
from gateway_assets.capture.addresses import address_text
from gateway_assets.capture.backend import Backend, Delta, Options
from gateway_assets.capture.nets import parse_nets
from gateway_assets.capture.packets.direction import Sides
from gateway_assets.capture.packets.pair_ring import PairRing
from gateway_assets.capture.say import say
from gateway_assets.errors import CaptureError, UsageError

PAUSE = 2.0  # seconds between two reports


class Pairs(Protocol):
    """Bytes per pair of addresses since they were last taken."""

    has_gone: Callable[[], bool]

    @property
    def malformed(self) -> int: ...
    @property
    def lost(self) -> int: ...
    @property
    def crowded(self) -> bool: ...
    def wait(self, timeout: float) -> None: ...
    def take(self) -> Iterator[tuple[bool, bytes, bytes, int]]: ...
    def close(self) -> None: ...


class Packet:
    name, layer, live, up = "packet", "ip", True, True

    def __init__(self, interface: str, sides: Sides, pairs: Pairs) -> None:
        self.interface: str | None = interface
        self.identity = os.urandom(4).hex()
        self.parse_errors = self.lost_events = 0
        self._sides = sides
        self._pairs = pairs
        self._next = time.monotonic() + PAUSE

    def read(self, timeout: float) -> Iterable[Delta]:
        self._pairs.wait(min(timeout, max(0.0, self._next - time.monotonic())))
        gone = self._pairs.has_gone()
        due = time.monotonic() >= self._next or self._pairs.crowded
        deltas = self._take() if timeout == 0 or due or gone else []
        if gone and not deltas:
            raise CaptureError(
                f"the interface {self.interface} has gone", hint=f"start again; {_known()}"
            )
        return deltas

    def close(self) -> None:
        self._pairs.close()

    def _take(self) -> list[Delta]:
        self._next = time.monotonic() + PAUSE
        totals: dict[bytes, list[int]] = {}
        for leaves, source, destination, size in self._pairs.take():
            remote, sent = self._sides.remote(leaves, source, destination)
            totals.setdefault(remote, [0, 0])[0 if sent else 1] += size
        self.parse_errors, self.lost_events = self._pairs.malformed, self._pairs.lost
        moment = clock.now()
        return [
            Delta(moment, address_text(socket.AF_INET6, remote), None, None, tx, rx)
            for remote, (tx, rx) in totals.items()
        ]


def open_backend(options: Options) -> Backend:
    if options.file:
        raise UsageError("the packet backend reads no --file", hint="use --backend replay")
    if not options.interface:
        raise UsageError("the packet backend needs an interface", hint=f"add -i NAME; {_known()}")
    sides = Sides(parse_nets(options.local_net) if options.local_net is not None else ())
    if options.interface not in _interfaces():
        raise CaptureError(f"there is no interface {options.interface!r}", hint=_known())
    try:
        pairs = _open_pairs(options.interface)
    except PermissionError as error:
        raise CaptureError(
            "no permission to capture packets",
            hint="run it as root or with CAP_NET_RAW and CAP_BPF, or use --backend sockdiag, "
            "which needs no privilege",
        ) from error
    except OSError as error:
        raise CaptureError(
            f"cannot capture on {options.interface}: {error.strerror or error}",
            hint="use --backend iftop or sockdiag",
        ) from error
    return Packet(options.interface, sides, pairs)


def _open_pairs(interface: str) -> Pairs:
    """The kernel's own count, else that of headers. Raises OSError when neither can be had."""
    try:
        from gateway_assets.capture.packets.pair_map import PairMap  # noqa: PLC0415 - ctypes is large

        pairs: Pairs = PairMap(interface)
        say("packet: the kernel counts (eBPF); no packet is copied")
    except OSError as error:
        pairs = PairRing(interface)
        reason = error.strerror or error
        say(f"packet: reading every header, as eBPF cannot be had ({reason}); it costs more CPU")
        say("packet: eBPF needs CAP_BPF and Linux 5.8")
    return pairs


def _interfaces() -> list[str]:
    return sorted(name for _, name in socket.if_nameindex())


def _known() -> str:
    return f"interfaces here: {', '.join(_interfaces())}"
