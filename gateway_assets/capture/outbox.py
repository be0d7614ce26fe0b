"""Finished intervals on their way to landing files; nothing counted is lost to a full disk.

What cannot be written waits in memory, is tried again with every interval, and is given up,
oldest first, only beyond ``MAX_WAITING`` rows.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from gateway_assets.capture.intervals import Interval, Label
from gateway_assets.capture.say import say
from gateway_assets.errors import LandingError
from gateway_assets.files.landing import Origin, Stamp, land
from gateway_assets.sources.ip_traffic import SOURCE

_NAMES = [column.name for column in SOURCE.columns]
_REMOTE, _TX, _RX = (_NAMES.index(name) for name in ("remote_ip", "tx_bytes", "rx_bytes"))
MAX_WAITING = 1_000_000
MAX_REMOTES = 50_000  # beyond it the number of remotes is "at least"


class Letter(NamedTuple):
    stamp: Stamp
    rows: list[tuple[Any, ...]]
    complete: bool


class Outbox:
    def __init__(self, root: Path, origin: Origin, max_waiting: int = MAX_WAITING) -> None:
        self.tx_bytes = self.rx_bytes = self.rows = self.files = self.already_landed = 0
        self.lost_rows = self.lost_bytes = 0
        self.complete = True
        self.remotes: set[str] = set()
        self.obstacle: LandingError | None = None
        self._root = root
        self._origin = origin
        self._max_waiting = max_waiting
        self._waiting: deque[Letter] = deque()
        self._sequence = 0

    def put(self, interval: Interval, label: Label, complete: bool) -> None:
        """Accept an interval; ``send`` writes it."""
        stamp = Stamp(self._origin, interval.start, self._sequence)
        self._sequence += 1
        self.complete &= complete
        self._waiting.append(Letter(stamp, interval.rows(label), complete))

    def send(self) -> None:
        """Land what waits, oldest first, until something is in the way."""
        try:
            while self._waiting:
                self._land(self._waiting[0])
                self._waiting.popleft()
        except (LandingError, OSError) as error:
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
        try:
            land(self._root, SOURCE, letter.stamp, letter.rows, complete=letter.complete)
            self.files += 1
        except FileExistsError:
            self.already_landed += 1
        self.rows += len(letter.rows)
        self.tx_bytes += sum(row[_TX] for row in letter.rows)
        self.rx_bytes += sum(row[_RX] for row in letter.rows)
        if len(self.remotes) < MAX_REMOTES:
            self.remotes.update(row[_REMOTE] for row in letter.rows)

    def _obstructed(self, error: LandingError) -> None:
        if not self.obstacle:
            say(f"{error.message}; counted rows wait in memory")
        self.obstacle = error
        while sum(len(letter.rows) for letter in self._waiting) > self._max_waiting:
            self._lose(self._waiting.popleft())

    def _lose(self, letter: Letter) -> None:
        self.complete = False
        self.lost_rows += len(letter.rows)
        self.lost_bytes += sum(row[_TX] + row[_RX] for row in letter.rows)


def _explained(error: LandingError | OSError) -> LandingError:
    if isinstance(error, LandingError):
        return error
    return LandingError(f"cannot land traffic: {error}", hint="check the data directory")
