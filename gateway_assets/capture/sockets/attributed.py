"""Around a live backend that counts packets: the same bytes, with the process they belong to.

Deltas are held until the sockets have been looked at, at most PAUSE seconds. Without the kernel's
list of sockets they pass as they are.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from gateway_assets import clock
from gateway_assets.capture.backend import Backend, Delta
from gateway_assets.capture.say import say
from gateway_assets.capture.sockets.attribution import Attribution
from gateway_assets.errors import CaptureError

PAUSE = 2.0  # seconds between two looks while packets come
_IDLE = 5.0  # seconds between two looks while none come: owners stay known
_SOON = 0.01  # seconds; 0 would ask for the last of everything


def attributed(backend: Backend) -> Backend:
    """The backend, with processes where it counts packets that pass now."""
    if not backend.live or backend.layer != "ip":
        return backend
    try:
        return Attributed(backend, Attribution())
    except OSError as error:
        _say_without(error)
        return backend


class Attributed:
    """A backend by the contract of the one inside."""

    def __init__(self, backend: Backend, attribution: Attribution) -> None:
        self._backend = backend
        self._attribution: Attribution | None = attribution
        self._held: dict[str, tuple[int, int]] = {}
        self._looked = time.monotonic()
        self._failure: CaptureError | None = None
        self.name, self.layer, self.live = backend.name, backend.layer, backend.live
        self.interface, self.identity = backend.interface, backend.identity
        self.parse_errors = self.lost_events = 0

    @property
    def up(self) -> bool:
        return self._backend.up

    def read(self, timeout: float) -> Iterable[Delta]:
        if self._failure:
            raise self._failure
        self._take(timeout)
        last = timeout == 0 or self._failure is not None
        return self._release() if self._follow(last) else []

    def close(self) -> None:
        self._backend.close()
        if self._attribution:
            self._attribution.close()

    def _take(self, timeout: float) -> None:
        """Hold what the backend has; its failure is told after what is held has been given."""
        if timeout:
            timeout = max(_SOON, min(timeout, self._due() - time.monotonic()))
        try:
            self._hold(self._backend.read(timeout))
        except CaptureError as error:
            if not self._held:
                raise
            self._failure = error
        self.parse_errors = self._backend.parse_errors
        self.lost_events = self._backend.lost_events + (self._failure is not None)

    def _hold(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if delta.tx_bytes or delta.rx_bytes:
                tx, rx = self._held.get(delta.remote_ip, (0, 0))
                self._held[delta.remote_ip] = (tx + delta.tx_bytes, rx + delta.rx_bytes)

    def _due(self) -> float:
        return self._looked + (PAUSE if self._held else _IDLE)

    def _follow(self, last: bool) -> bool:
        """Keep up with the sockets; whether what is held can be divided now."""
        if not self._attribution:
            return True
        try:
            self._attribution.listen()
            if not last and time.monotonic() < self._due():
                return False
            self._attribution.look()
        except OSError as error:
            _say_without(error)
            self._attribution.close()
            self._attribution = None
        self._looked = time.monotonic()
        return True

    def _release(self) -> list[Delta]:
        moment, held = clock.now(), self._held
        self._held = {}
        if not self._attribution:
            return [Delta(moment, ip, None, None, tx, rx) for ip, (tx, rx) in held.items()]
        return self._attribution.divided(moment, held)


def _say_without(error: OSError) -> None:
    say(f"processes stay unknown: the kernel does not list its sockets ({error.strerror})")
