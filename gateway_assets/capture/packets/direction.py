"""Which end of a packet is the remote, and so whether its bytes were sent or received.

A packet that leaves through the interface was sent, to its destination; any other was received,
from its source. So the remote is whoever is out there on this interface, for forwarded packets,
too. Networks that are declared near turn this around where it would name one of them: between
near and far, the far end is the remote. Where both ends are near, or both far, the first rule
holds again; nothing is left out.
"""

from __future__ import annotations

from gateway_assets.capture.nets import Nets, is_in


class Sides:
    def __init__(self, near: Nets = ()) -> None:
        self._near = near

    def remote(self, leaves: bool, source: bytes, destination: bytes) -> tuple[bytes, bool]:
        """The remote's address, of 16 bytes as all here, and whether the packet was sent to it."""
        sent = leaves
        if self._near:
            from_near = is_in(self._near, source)
            if from_near != is_in(self._near, destination):
                sent = from_near
        return (destination if sent else source), sent
