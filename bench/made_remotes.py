"""A gateway-capture process that meets any number of distinct remotes, in made-up time.

``python bench/made_remotes.py PAUSE STOPS OPTION...`` is ``gateway-capture --backend packet`` with
these options. Made up are only the pairs of addresses that the kernel would count, and the clock,
which moves as fast as the rest can follow; attribution, intervals, landing files, counters and
metrics are the daemon's own. After each number of remotes in STOPS (with commas between them) it
waits until all has landed, prints the number and goes on when a line comes; after the last it
ends. PAUSE is how many real seconds each report takes, that is each two seconds of made-up time.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator

from gateway_assets import clock
from gateway_assets.capture import cli
from gateway_assets.capture.addresses import address_bytes
from gateway_assets.capture.backends import packet
from gateway_assets.capture.packets import pair_map

NEAR = address_bytes("192.0.2.1")
SIZE = 2**21  # bytes each way with each remote, so that the first ones get series of their own
_REPORT = 667  # remotes in two seconds: 100,000 in ten intervals of 30 s
_QUIET = 20  # reports without traffic, until the last interval is over

assert pair_map  # loaded, as it is when the kernel counts


def main(pause: float, stops: list[int], options: list[str]) -> int:
    passed, begin = [0.0], clock.now()
    pairs = MadePairs(stops, pause, passed)
    time.monotonic = lambda: passed[0]
    clock.now = lambda: begin + int(passed[0] * clock.SECOND)
    packet._open_pairs = lambda _: pairs
    return cli.main(["--backend", "packet", "-i", "lo", *options])


class MadePairs:
    """By the contract of ``packet.Pairs``; to wait is to move the clock."""

    malformed = lost = 0
    crowded = False

    def __init__(self, stops: list[int], pause: float, passed: list[float]) -> None:
        self._reports = reports(stops, pause)
        self._passed = passed

    def has_gone(self) -> bool:
        return False

    def wait(self, timeout: float) -> None:
        self._passed[0] += timeout

    def take(self) -> Iterator[tuple[bool, bytes, bytes, int]]:
        for number in next(self._reports, ()):
            remote = address(number)
            yield True, NEAR, remote, SIZE
            yield False, remote, NEAR, SIZE

    def close(self) -> None:
        pass


def reports(stops: list[int], pause: float) -> Iterator[range]:
    """The numbers of the remotes of each report."""
    given = 0
    for stop in stops:
        while given < stop:
            time.sleep(pause)
            yield range(given, min(given + _REPORT, stop))
            given = min(given + _REPORT, stop)
        for _ in range(_QUIET):
            time.sleep(pause)
            yield range(0)
        print(given, flush=True)
        sys.stdin.readline()
    signal.raise_signal(signal.SIGTERM)


def address(number: int) -> bytes:
    """By turns IPv4 and IPv6, all over the addresses there are; no number shares one."""
    spread = (number * 2_654_435_761 % 2**32).to_bytes(4, "big")
    if number % 2:
        return b"\x2a" + spread[:3] + bytes(4) + spread + bytes(4)
    return address_bytes("0.0.0.0")[:12] + spread


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), [int(one) for one in sys.argv[2].split(",")], sys.argv[3:]))
