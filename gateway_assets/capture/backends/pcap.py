"""A capture file instead of a network: every IP packet in it, to the byte, as often as it is there.

Only the outermost IP layer counts: tunnels and fragments are what their outer header says. The
same file gives the same deltas, and as its identity is the hash of its content, reading it twice
names the same landing files, whichever way the sides were told apart. See ``sides`` for which
address is the remote. Frames that carry no IP are no errors. Packets that have no time (simple
packet blocks) are counted at the time of the packet before them, or at ``start``.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from socket import AF_INET, AF_INET6

from gateway_assets.capture.addresses import address_text
from gateway_assets.capture.backend import Backend, Delta, Exhausted, Options
from gateway_assets.capture.captures.frames import LOCATE, NOT_IP
from gateway_assets.capture.captures.ip_header import read_ip
from gateway_assets.capture.captures.pcap_file import UNREADABLE, CaptureFile, Damaged, Packet
from gateway_assets.capture.captures.sides import NOT_GLOBAL, Sides
from gateway_assets.capture.nets import parse_nets
from gateway_assets.capture.say import say
from gateway_assets.clock import DAY, SECOND
from gateway_assets.errors import CaptureError, UsageError
from gateway_assets.model import TIME_END

_BATCH = 20_000  # packets, which bounds how much a batch can hold
_LAST_TIME = TIME_END - DAY  # so that an interval ends before times do

Sums = dict[bytes, list[int]]  # a pair of addresses: whether its source is near, bytes


class Pcap:
    name, layer, live, up, lost_events = "pcap", "ip", False, True, 0
    interface: str | None = None

    def __init__(self, path: Path, near: str, start: int) -> None:
        self._sides = Sides(parse_nets(near))
        self._path = path
        self._file = CaptureFile(path)
        self.identity = _identity(path)
        self.parse_errors = 0
        self._packets = self._undamaged()
        self._time = start
        self._unknown_links: set[int] = set()

    def read(self, timeout: float) -> Iterable[Delta]:  # noqa: ARG002 - a recording never waits
        first = next(self._packets, None)
        if first is None:
            raise Exhausted
        return list(_deltas(self._add_up(chain((first,), islice(self._packets, _BATCH - 1)))))

    def close(self) -> None:
        self._file.close()

    def _undamaged(self) -> Iterator[Packet]:
        try:
            yield from self._file.packets
        except Damaged as damage:
            self.parse_errors += 1
            say(f"{self._path} is damaged: {damage}; everything before that is counted")

    def _add_up(self, packets: Iterable[Packet]) -> dict[int, Sums]:
        """Bytes of each pair in each second; intervals are whole seconds."""
        seconds: dict[int, Sums] = {}
        for time, link, packet, length in packets:
            moment = self._time = self._time if time is None else time
            try:
                at = LOCATE[link](packet)
                if at == NOT_IP:
                    continue
                pair, size = read_ip(packet, at, length)
                sums = seconds.get(moment // SECOND)
                if sums is None:
                    sums = seconds[_second(moment)] = {}
            except KeyError:
                self._unknown_link(link)
                continue
            except (IndexError, ValueError, struct.error):
                self.parse_errors += 1
                continue
            known = sums.get(pair)
            if known:
                known[1] += size
            else:
                sums[pair] = [self._sides.source_is_near(pair), size]
        return seconds

    def _unknown_link(self, link: int) -> None:
        self.parse_errors += 1
        if link != UNREADABLE and link not in self._unknown_links:
            self._unknown_links.add(link)
            say(f"{self._path}: packets of link type {link} cannot be read and are left out")


def _second(moment: int) -> int:
    if not 0 <= moment < _LAST_TIME:
        raise ValueError("a time outside the years 1970 to 9999")
    return moment // SECOND


def _deltas(seconds: dict[int, Sums]) -> Iterator[Delta]:
    for second, sums in seconds.items():
        for pair, (source_is_near, size) in sums.items():
            half = len(pair) // 2
            remote = pair[half:] if source_is_near else pair[:half]
            text = address_text(AF_INET if half == 4 else AF_INET6, remote)
            tx, rx = (size, 0) if source_is_near else (0, size)
            yield Delta(second * SECOND, text, None, None, tx, rx)


def _identity(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:8]


def open_backend(options: Options) -> Backend:
    if not options.file:
        raise UsageError("the pcap backend needs a capture", hint="add --file FILE.pcap")
    if options.interface:
        raise UsageError("a capture file has no --interface", hint="leave it out")
    path = Path(options.file)
    if path.exists() and not path.is_file():
        raise CaptureError(f"{path} is no regular file", hint="a capture is read twice; save it")
    try:
        return Pcap(path, options.local_net or NOT_GLOBAL, options.start)
    except OSError as error:
        what = f"cannot read {options.file}: {error.strerror}"
        raise CaptureError(what, hint="check --file") from error
