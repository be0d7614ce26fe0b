"""Deltas added up to rows: one per remote and owner in each interval.

Intervals are aligned to their width within a UTC day and never cross midnight, so that a row
belongs to one day. The first and last interval of a live capture are as long as it really
watched.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.capture.backend import Delta

Owner = tuple[str | None, int | None, str | None, str | None]  # process, pid, unit, attribution
Key = tuple[str, Owner]


class Label(NamedTuple):
    """What all rows of a capture have in common."""

    host: str
    backend: str
    layer: str
    interface: str | None


class Interval(NamedTuple):
    """A finished interval ``[start, end)`` and its totals."""

    start: int
    end: int
    totals: dict[Key, list[int]]

    def rows(self, label: Label) -> list[tuple[Any, ...]]:
        """Rows in the order of the source's columns, sorted by remote and owner."""
        ordered = sorted(self.totals, key=_sortable)
        rows = []
        for remote, owner in ordered:
            process, pid, unit, attribution = owner
            total = self.totals[remote, owner]
            rows.append(
                (self.start, self.end, *label, remote, process, pid, *total, unit, attribution)
            )
        return rows


class Intervals:
    """Adds deltas up. ``begin`` is when watching began; None for a recording."""

    def __init__(self, width: int, begin: int | None = None) -> None:
        self._width = width
        self._begin = begin
        self._open: dict[int, dict[Key, list[int]]] = {}

    def add(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            if not delta.tx_bytes and not delta.rx_bytes:
                continue
            totals = self._open.setdefault(self.start_of(delta.time), {})
            owner = (delta.process, delta.pid, delta.unit, delta.attribution)
            total = totals.setdefault((delta.remote_ip, owner), [0, 0])
            total[0] += delta.tx_bytes
            total[1] += delta.rx_bytes

    def start_of(self, moment: int) -> int:
        """Where the interval that holds a moment begins."""
        midnight, _ = clock.day_range(clock.day_of(moment))
        return moment - (moment - midnight) % self._width

    def end_of(self, start: int) -> int:
        """Where the interval that begins at ``start`` ends."""
        _, midnight = clock.day_range(clock.day_of(start))
        return min(start + self._width, midnight)

    def finished(self, now: int) -> list[Interval]:
        """Take the intervals that are over; one in the future was opened by a wrong clock."""
        over = [start for start in self._open if self.end_of(start) <= now or start > now]
        return [self._take(start, self.end_of(start)) for start in sorted(over)]

    def rest(self, now: int | None = None) -> list[Interval]:
        """Take all intervals; the one that holds ``now`` ends there."""
        return [self._take(start, self._cut(start, now)) for start in sorted(self._open)]

    def _cut(self, start: int, now: int | None) -> int:
        end = self.end_of(start)
        return now if now is not None and start < now < end else end

    def _take(self, start: int, end: int) -> Interval:
        totals = self._open.pop(start)
        if self._begin is not None and start < self._begin < end:
            start = self._begin
        return Interval(start, end, totals)


def _sortable(key: Key) -> tuple[str, str, int, str, str]:
    remote, (process, pid, unit, attribution) = key
    return remote, process or "", -1 if pid is None else pid, unit or "", attribution or ""
