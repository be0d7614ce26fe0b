"""Working beside a live application: short transactions, pauses, a share of the processor.

Measured (``bench/tiering.py writer``): with transactions of about 6 ms and pauses of 10 ms an
insert beside a whole archive waits 31 ms at the 99th percentile, with 15 ms 64 ms, because SQLite's
busy handler sleeps ever longer. Without pauses no checkpoint gets a chance and the log grows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

LOCK_SECONDS = 0.006
FIRST_ROWS, MOST_ROWS, LEAST_ROWS = 500, 10_000, 20
GROWTH = 1.5


class Pace:
    """How many rows to move in the next transaction, and how long to rest after it."""

    def __init__(self, pause: float = 0.01, cpu_percent: int = 100) -> None:
        self.rows = FIRST_ROWS
        self.locked = 0.0  # seconds of write lock, all together
        self.longest = 0.0
        self._pause = pause
        self._unrested = 0.0
        self._share = cpu_percent / 100

    @contextmanager
    def locking(self, rows: int = 0) -> Iterator[None]:
        """Around one write transaction; when it, or several, took a while, others come first.

        ``rows`` tells how many it was to move, when their number can adapt to the time it took.
        """
        started = time.monotonic()
        yield
        seconds = time.monotonic() - started
        self.locked += seconds
        self.longest = max(self.longest, seconds)
        self._unrested += seconds
        if rows:
            self._adapt(seconds)
        if self._pause and self._unrested >= LOCK_SECONDS:
            # A lock that was held for long is made up for by as long a pause.
            time.sleep(max(self._pause, seconds - LOCK_SECONDS))
            self._unrested = 0.0

    def rest(self, worked: float) -> None:
        """Leave the processor to others, in proportion to the seconds worked."""
        if self._share < 1:
            time.sleep(worked * (1 / self._share - 1))

    def _adapt(self, seconds: float) -> None:
        if seconds > LOCK_SECONDS:
            self.rows = max(LEAST_ROWS, int(self.rows * LOCK_SECONDS / seconds))
        elif seconds < LOCK_SECONDS / GROWTH:
            self.rows = min(MOST_ROWS, int(self.rows * GROWTH) + 1)
