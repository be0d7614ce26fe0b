"""Working beside a live application: short transactions, gaps between, a share of the processor.

Measured (``bench/tiering.py writer``): with transactions of about 6 ms and gaps of 10 ms an
insert beside a whole archive waits 24 to 32 ms at the 99th percentile. Its longest wait is for what
cannot be cut in pieces: creating the time index, and VACUUM. Time spent on files between two
transactions is a gap, too.

Rows go in the order of their times. Where a table is kept in another order, those of a moment lie
on as many pages as those of an hour, and each transaction writes all of these pages. A million rows
of 5,000 series, kept by series, left in 200 transactions that wrote 12.6 GB; with 50,000 rows as
``least_rows``, in 20 that wrote 1.5 GB.
"""

from __future__ import annotations

import time

LOCK_SECONDS = 0.006
FIRST_ROWS, MOST_ROWS, LEAST_ROWS = 500, 10_000, 20
GROWTH = 1.5
MOST_OWED = 2  # pauses


class Pace:
    """How many rows to move in the next transaction, and how long to leave others before it."""

    def __init__(self, pause: float = 0.01, cpu_percent: int = 100, least_rows: int = 0) -> None:
        self.rows = max(FIRST_ROWS, least_rows)
        self._least = least_rows
        self.locked = 0.0  # seconds of write lock, all together
        self.longest = 0.0
        self._gap = pause / LOCK_SECONDS  # seconds to leave for one of locking
        self._pause = pause
        self._owed = 0.0  # seconds that others have not had yet
        self._released = time.monotonic()
        self._share = cpu_percent / 100

    @property
    def is_due(self) -> bool:
        """Whether a transaction may begin without waiting."""
        return self._owing() <= self._pause

    def wait(self, rows: int = 0) -> None:
        """Before a write transaction: leave others what the last ones took from them.

        A short one, not of ``rows``, may come early: what follows it makes up for it.
        """
        owed = self._owing()
        if owed > self._pause * (1 if rows else MOST_OWED):
            time.sleep(owed)
            owed = 0.0
        self._owed = owed

    def locked_for(self, seconds: float, rows: int = 0) -> None:
        """After a write transaction; ``rows`` it was to move, when their number can adapt."""
        self.locked += seconds
        self.longest = max(self.longest, seconds)
        self._owed += seconds * self._gap
        self._released = time.monotonic()
        if rows:
            self._adapt(seconds)

    def rest(self, worked: float) -> None:
        """Leave the processor to others, in proportion to the seconds worked."""
        if self._share < 1:
            time.sleep(worked * (1 / self._share - 1))

    def _owing(self) -> float:
        return max(self._owed - (time.monotonic() - self._released), 0.0)

    def _adapt(self, seconds: float) -> None:
        if seconds > LOCK_SECONDS:
            self.rows = max(LEAST_ROWS, self._least, int(self.rows * LOCK_SECONDS / seconds))
        elif seconds < LOCK_SECONDS / GROWTH:
            self.rows = max(self._least, min(MOST_ROWS, int(self.rows * GROWTH) + 1))
