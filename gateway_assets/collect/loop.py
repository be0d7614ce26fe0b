"""Ticks at round times, such as :00 and :30, until told to stop."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from gateway_assets import clock
from gateway_assets.collect.config import Cluster
from gateway_assets.collect.journal import Journal
from gateway_assets.collect.say import say
from gateway_assets.collect.tick import Ticked, Ticker
from gateway_assets.errors import LandingError
from gateway_assets.files.lock import exclusive
from gateway_assets.settings import Settings
from gateway_assets.starrocks.definitions import SECONDS, Every

_ATTENTION = 0.5  # seconds between two looks at the clock and at signals
MOST_BACK = clock.HOUR


def lock_of(data_dir: Path) -> Path:
    """Held by the one process that collects into a data directory."""
    return data_dir / "collect" / ".lock"


class Stop:
    """Asked for by a signal, looked at by the loop."""

    def __init__(self) -> None:
        self.requested = False

    def request(self, *_: object) -> None:
        self.requested = True


def run(clusters: Sequence[Cluster], settings: Settings, stop: Stop) -> None:
    """Collect until ``stop``. Raises Busy when another process collects into this directory."""
    with exclusive(lock_of(settings.data_dir), "gateway collect"):
        journal = _resumed(settings)
        say(f"{len(clusters)} clusters, every {settings.collect_interval_seconds} s")
        with closing(Ticker(clusters, settings)) as ticker:
            while not stop.requested:
                moment = due(clock.now(), journal.last_time, ticker.interval)
                if moment is None:
                    time.sleep(min(_ATTENTION, ticker.interval / clock.SECOND / 10))
                else:
                    _tick(ticker, journal, moment)


def once(clusters: Sequence[Cluster], settings: Settings) -> Ticked:
    """One tick, now, that asks everything. Raises Busy, and LandingError when it is lost."""
    with exclusive(lock_of(settings.data_dir), "gateway collect"):
        journal = _resumed(settings)
        moment = clock.now() // clock.SECOND * clock.SECOND
        with closing(Ticker(clusters, settings)) as ticker:
            ticked = ticker.tick(moment, journal.memories, everything=True)
        journal.keep(ticked)
        return ticked


def due(now: int, last: int | None, interval: int) -> int | None:
    """The tick to be made now, if any: at its time or shortly after, never one made before.

    A clock that was set back waits until it has caught up; by more than an hour, it goes on.
    """
    moment = now // interval * interval
    if now - moment > interval // 4:
        return None
    if last is not None and last - MOST_BACK <= moment <= last:
        return None
    return moment


def _tick(ticker: Ticker, journal: Journal, moment: int) -> None:
    # Begun, or begun again: nobody wants to wait for what is asked every five minutes.
    last = journal.last_time
    is_long_ago = last is None or moment - last > SECONDS[Every.SLOW] * clock.SECOND
    ticked = ticker.tick(moment, journal.memories, everything=is_long_ago)
    try:
        journal.keep(ticked)
    except LandingError as error:
        say(f"the tick of {clock.iso(moment)} is lost: {error}")
        journal.last_time = moment


def _resumed(settings: Settings) -> Journal:
    journal = Journal(settings.data_dir / "collect", settings.landing, socket.gethostname())
    journal.resume()
    return journal
