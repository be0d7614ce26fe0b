"""The contract of a capture backend: what was counted, in small pieces, until closed.

A module in ``backends/`` offers ``open_backend(options) -> Backend`` and one line in
``backends/__init__.py`` names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable


class Delta(NamedTuple):
    """Bytes exchanged with one remote since they were last reported."""

    time: int  # microseconds, when they were observed
    remote_ip: str
    process: str | None
    pid: int | None
    tx_bytes: int
    rx_bytes: int
    unit: str | None = None  # of systemd, that the process belongs to
    attribution: str | None = None  # how the process is known; see sources.ip_traffic


# A Delta of a tuple of all its fields, in half the time of a call of the class.
delta_of = partial(tuple.__new__, Delta)


class Options(NamedTuple):
    """What a backend may be told; one that cannot follow an option refuses it."""

    interface: str | None = None
    local_net: str | None = None
    file: str | None = None
    start: int = 0


class Exhausted(Exception):
    """A replay is over: there will be no further deltas."""


@runtime_checkable
class Backend(Protocol):
    name: str
    layer: str  # "ip" counts whole packets, "tcp" payload
    interface: str | None  # None: all of them
    live: bool  # False: time is the recording's, not this moment's
    identity: str  # eight hex digits that tell one run, or one recording, from all others
    parse_errors: int
    lost_events: int  # what was dropped before it could be counted; grows

    @property
    def up(self) -> bool:
        """Whether it counts at this moment."""
        ...

    def read(self, timeout: float) -> Iterable[Delta]:
        """Wait at most ``timeout`` seconds; with 0 report everything up to this moment.

        An empty result is "nothing yet". Raises Exhausted when a replay is over and
        CaptureError when capturing cannot go on.
        """

    def close(self) -> None: ...
