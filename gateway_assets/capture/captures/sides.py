"""Which end of a pair of addresses is the near side, and which the remote.

If exactly one of the two lies in the near networks, it is the near side. Otherwise it is the
address that was the source when the pair was first seen, for as long as the pair is remembered:
at least until ``_REMEMBERED`` other pairs have been seen without it.
"""

from __future__ import annotations

from gateway_assets.capture.addresses import MAPPED
from gateway_assets.capture.nets import Nets, is_in

NOT_GLOBAL = (
    "0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,"
    "192.0.2.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,240.0.0.0/4,"
    "::/127,64:ff9b:1::/48,100::/64,2001:2::/48,2001:db8::/32,3fff::/20,5f00::/16,fc00::/7,"
    "fe80::/10"
)
"""What IANA's special-purpose address registries call not globally reachable (RFC 6890).

Written out because Python's ``is_global`` differs from version to version, and one recording must
give the same rows with all of them.
"""
_REMEMBERED = 100_000


class Sides:
    def __init__(self, near: Nets) -> None:
        self._near = near
        self._known: dict[bytes, bool] = {}
        self._known_before: dict[bytes, bool] = {}

    def source_is_near(self, pair: bytes) -> bool:
        """``pair`` is source and destination, of one size, behind each other."""
        known = self._known.get(pair)
        if known is None:
            known = self._look_up(pair)
            if len(self._known) >= _REMEMBERED:
                self._known, self._known_before = {}, self._known
            self._known[pair] = known
        return known

    def _look_up(self, pair: bytes) -> bool:
        half = len(pair) // 2
        source, destination = pair[:half], pair[half:]
        for known in (self._known, self._known_before):
            if pair in known:
                return known[pair]
            if destination + source in known:
                return not known[destination + source]
        return self._is_near(source) or not self._is_near(destination)

    def _is_near(self, address: bytes) -> bool:
        return is_in(self._near, MAPPED + address if len(address) == 4 else address)
