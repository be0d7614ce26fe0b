"""Finished intervals on their way to landing files; nothing counted is lost to a full disk.

What cannot be written waits in memory and is tried again with every interval. When that becomes
too much, what waits of one day is added up to one interval; only what is still too much then is
given up, oldest first.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets import clock
from gateway_assets.capture.intervals import Interval, Label
from gateway_assets.capture.say import say
from gateway_assets.errors import LandingError
from gateway_assets.files.landing import Origin, Stamp, land
from gateway_assets.sources.ip_traffic import SOURCE

MAX_WAITING = 100_000  # rows, some 35 megabytes
MAX_REMOTES = 5_000  # beyond it the number of remotes is "at least"


class Letter(NamedTuple):
    sequence: int
    interval: Interval
    label: Label
    complete: bool


def _nothing(sequence: int, interval: Interval) -> None:
    del sequence, interval


def _no_facts(interval: Interval) -> dict[str, Any]:
    del interval
    return {}


class Outbox:
    """``landed`` is called with every interval that has landed, and its sequence; ``facts`` before,
    for what the file is to say about the capture. One that is not ``patient`` keeps nothing in
    memory: what is in the way of a recording, which can be read again, ends it.
    """

    def __init__(
        self,
        root: Path,
        origin: Origin,
        landed: Callable[[int, Interval], None] = _nothing,
        facts: Callable[[Interval], dict[str, Any]] = _no_facts,
        max_waiting: int = MAX_WAITING,
        patient: bool = True,
    ) -> None:
        self.tx_bytes = self.rx_bytes = self.rows = self.files = self.already_landed = 0
        self.lost_rows = self.lost_bytes = 0
        self.complete = True
        self.remotes: set[str] = set()
        self.obstacle: LandingError | None = None
        self._root = root
        self._origin = origin
        self._landed = landed
        self._facts = facts
        self._max_waiting = max_waiting
        self._patient = patient
        self._waiting: deque[Letter] = deque()
        self._sequence = 0

    @property
    def waiting_rows(self) -> int:
        return sum(len(letter.interval.totals) for letter in self._waiting)

    def put(self, interval: Interval, label: Label, complete: bool) -> None:
        """Accept an interval; ``send`` writes it."""
        self.complete &= complete
        self._waiting.append(Letter(self._sequence, interval, label, complete))
        self._sequence += 1

    def send(self) -> None:
        """Land what waits, oldest first, until something is in the way.

        Raises LandingError then, unless patient.
        """
        try:
            while self._waiting:
                self._land(self._waiting[0])
                self._waiting.popleft()
        except (LandingError, OSError) as error:
            if not self._patient:
                raise _explained(error) from None
            self._obstructed(_explained(error))
        else:
            if self.obstacle:
                say("landing works again; everything that waited has landed")
            self.obstacle = None

    def give_up(self) -> None:
        """Count what waits as lost."""
        while self._waiting:
            self._lose(self._waiting.popleft())

    def _land(self, letter: Letter) -> None:
        interval = letter.interval
        stamp = Stamp(self._origin, interval.start, letter.sequence)
        rows = interval.rows(letter.label)
        try:
            facts = self._facts(interval)
            land(self._root, SOURCE, stamp, rows, complete=letter.complete, facts=facts)
            self.files += 1
        except FileExistsError:
            self.already_landed += 1
        else:
            self._landed(letter.sequence, interval)
        tx, rx = interval.bytes
        self.rows += len(interval.totals)
        self.tx_bytes += tx
        self.rx_bytes += rx
        if len(self.remotes) < MAX_REMOTES:
            self.remotes.update(remote for remote, _ in interval.totals)

    def _obstructed(self, error: LandingError) -> None:
        if not self.obstacle:
            say(f"{error.message}; counted rows wait in memory")
        self.obstacle = error
        if self.waiting_rows > self._max_waiting:
            self._add_up()
        while self.waiting_rows > self._max_waiting:
            self._lose(self._waiting.popleft())

    def _add_up(self) -> None:
        """Neighbours of one day become one interval."""
        letters, self._waiting = self._waiting, deque()
        for letter in letters:
            before = self._waiting[-1] if self._waiting else None
            if before and _day(before.interval) == _day(letter.interval):
                both = before.interval.with_later(letter.interval)
                complete = before.complete and letter.complete
                self._waiting[-1] = Letter(before.sequence, both, letter.label, complete)
            else:
                self._waiting.append(letter)

    def _lose(self, letter: Letter) -> None:
        self.complete = False
        self.lost_rows += len(letter.interval.totals)
        self.lost_bytes += sum(letter.interval.bytes)


def _day(interval: Interval) -> int:
    return clock.day_of(interval.start)


def _explained(error: LandingError | OSError) -> LandingError:
    if isinstance(error, LandingError):
        return error
    return LandingError(f"cannot land traffic: {error}", hint="check the data directory")
