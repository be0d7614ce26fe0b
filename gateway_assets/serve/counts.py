"""What the service counts of itself, for /metrics."""

from __future__ import annotations

from collections import Counter
from threading import Lock


class Counts:
    """Safe from any number of threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.lines = self.points = self.rejects = self.bytes = 0
        self.requests = Counter[tuple[str, int]]()  # by path and status

    def accepted(self, lines: int, points: int, rejects: int, size: int) -> None:
        """``size`` are the bytes of the body, inflated."""
        with self._lock:
            self.lines += lines
            self.points += points
            self.rejects += rejects
            self.bytes += size

    def answered(self, path: str, status: int) -> None:
        with self._lock:
            self.requests[path, status] += 1
