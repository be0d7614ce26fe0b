"""Deltas added up to rows: one per remote and owner in each interval.

Intervals are aligned to their width within a UTC day and never cross midnight, so that a row
belongs to one day. The first and last interval of a live capture are as long as it really
watched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.capture.backend import Delta

Owner = tuple[str | None, int | None, str | None, str | None]  # process, pid, unit, attribution
Key = tuple[str, Owner]
Totals = dict[Key, list[int]]
MOST_KEYS = 4_096  # of an interval in memory, two megabytes; more land before it is over


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
    totals: Totals

    def rows(self, label: Label) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of the source's columns, sorted by remote and owner."""
        for key in sorted(self.totals, key=_sortable):
            remote, (process, pid, unit, attribution) = key
            total = self.totals[key]
            yield (self.start, self.end, *label, remote, process, pid, *total, unit, attribution)

    @property
    def bytes(self) -> tuple[int, int]:
        """Sent and received."""
        tx, rx = 0, 0
        for sent, received in self.totals.values():
            tx, rx = tx + sent, rx + received
        return tx, rx

    def with_later(self, later: Interval) -> Interval:
        """Both as one: what happened when is less exact, how much is not."""
        totals = {key: list(amounts) for key, amounts in self.totals.items()}
        for key, (tx, rx) in later.totals.items():
            _add(totals, key, tx, rx)
        return Interval(min(self.start, later.start), max(self.end, later.end), totals)


class Intervals:
    """Adds deltas up. ``begin`` is when watching began; None for a recording."""

    def __init__(self, width: int, begin: int | None = None) -> None:
        self._width = width
        self._begin = begin
        self._open: dict[int, Totals] = {}
        self._full: list[Interval] = []

    def add(self, deltas: Iterable[Delta]) -> None:
        moment, start = None, 0
        for time, remote, process, pid, tx, rx, unit, attribution in deltas:
            if not tx and not rx:
                continue
            if time != moment:  # most come many at a time
                moment, start = time, self.start_of(time)
            totals = self._open.setdefault(start, {})
            _add(totals, (remote, (process, pid, unit, attribution)), tx, rx)
            if len(totals) >= MOST_KEYS:
                self._full.append(self._take(start, self.end_of(start)))

    def start_of(self, moment: int) -> int:
        """Where the interval that holds a moment begins."""
        midnight, _ = clock.day_range(clock.day_of(moment))
        return moment - (moment - midnight) % self._width

    def end_of(self, start: int) -> int:
        """Where the interval that begins at ``start`` ends."""
        _, midnight = clock.day_range(clock.day_of(start))
        return min(start + self._width, midnight)

    def finished(self, now: int) -> list[Interval]:
        """Take the intervals that are over; one in the future was opened by a wrong clock.

        Of one with too many rows for the memory, parts come before it is over.
        """
        full, self._full = self._full, []
        over = [start for start in self._open if self.end_of(start) <= now or start > now]
        return full + [self._take(start, self.end_of(start)) for start in sorted(over)]

    def rest(self, now: int | None = None) -> list[Interval]:
        """Take all intervals; the one that holds ``now`` ends there."""
        full, self._full = self._full, []
        return full + [self._take(start, self._cut(start, now)) for start in sorted(self._open)]

    def _cut(self, start: int, now: int | None) -> int:
        end = self.end_of(start)
        return now if now is not None and start < now < end else end

    def _take(self, start: int, end: int) -> Interval:
        totals = self._open.pop(start)
        if self._begin is not None and start < self._begin < end:
            start = self._begin
        return Interval(start, end, totals)


def _add(totals: Totals, key: Key, tx: int, rx: int) -> None:
    total = totals.get(key)
    if total is None:
        totals[key] = [tx, rx]
    else:
        total[0] += tx
        total[1] += rx


def _sortable(key: Key) -> tuple[str, str, int, str, str]:
    remote, (process, pid, unit, attribution) = key
    return remote, process or "", -1 if pid is None else pid, unit or "", attribution or ""
