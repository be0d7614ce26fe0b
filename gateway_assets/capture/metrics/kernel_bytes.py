"""How many bytes the kernel says have passed an interface, as whole IP packets.

Its counters (``/sys/class/net/*/statistics``) include the link layer's header, 14 bytes of each
packet on Ethernet, none on loopback, where every packet is counted as sent and as received.
"""

from __future__ import annotations

from pathlib import Path

_ETHERNET, _LOOPBACK = 1, 772  # ARPHRD_* of linux/if_arp.h
_HEADER = {_ETHERNET: 14}


class KernelBytes:
    def __init__(self, interface: str) -> None:
        self._folder = Path("/sys/class/net") / interface
        self._index = self._its_index()
        self._before = self._now()

    def passed(self) -> int | None:
        """Since the beginning; None when the interface has gone, was reset or made anew."""
        now = self._now()
        if now is None or self._before is None or now < self._before:
            return None
        return now - self._before if self._its_index() == self._index else None

    def _its_index(self) -> str:
        try:
            return (self._folder / "ifindex").read_text()
        except OSError:
            return ""

    def _now(self) -> int | None:
        try:
            kind = int((self._folder / "type").read_text())
            ways = ("rx",) if kind == _LOOPBACK else ("rx", "tx")
            return sum(
                self._count(way, "bytes") - _HEADER.get(kind, 0) * self._count(way, "packets")
                for way in ways
            )
        except (OSError, ValueError):
            return None

    def _count(self, way: str, what: str) -> int:
        return int((self._folder / "statistics" / f"{way}_{what}").read_text())
