"""How much may be in flight: beyond it a client is told to come again, and loses nothing.

Bytes count from when they arrive, compressed and inflated ones; writes count once their body is
whole, so that clients who send slowly keep nobody else out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from gateway_assets.serve.refusal import Refusal


class Room:
    """Safe from any number of threads."""

    def __init__(self, most_bytes: int, most_writes: int) -> None:
        self._most_bytes, self._most_writes = most_bytes, most_writes
        self._lock = Lock()
        self.bytes = self.writes = 0
        self.refused = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Room for one request, which it gives back in the end."""
        share = Share(self)
        try:
            yield share
        finally:
            self.change(-share.bytes, 0)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Raises Refusal (503) when as many writes as may be are being carried out."""
        self.change(0, 1)
        try:
            yield
        finally:
            self.change(0, -1)

    def change(self, size: int, writes: int) -> None:
        with self._lock:
            is_much = self.bytes + size > self._most_bytes and size > 0
            if is_much or (self.writes + writes > self._most_writes and writes > 0):
                self.refused += 1
                raise Refusal(503, "too many writes at once; try again")
            self.bytes += size
            self.writes += writes


class Share:
    """The bytes of one request."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.bytes = 0

    def take(self, size: int) -> None:
        """Raises Refusal (503) when there is no room for as many bytes more."""
        self._room.change(size, 0)
        self.bytes += size
