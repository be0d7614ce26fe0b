"""``gateway-capture top``: who talks most right now, in the terminal; nothing lands.

A table by remote, process, unit or country, with rates of the last turn and totals since the
start, the busiest first. In a terminal the keys r, p, u and c change what it is by, q ends it.
"""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gateway_assets.capture.backend import Backend, Delta, Exhausted
from gateway_assets.capture.places import NO_PLACES
from gateway_assets.geoip.place import Place

BY = {"r": "remote", "p": "process", "u": "unit", "c": "country"}
MOST_KEYS = 10_000  # beyond it the least busy are forgotten
_HOME = "\x1b[H\x1b[J"


class View(NamedTuple):
    by: str
    seconds: float  # between two pictures
    rows: int | None = None  # None: as many as the terminal has
    pictures: int | None = None  # None: until stopped


class Talkers:
    """Bytes by one kind of key: of this turn, and since the start."""

    def __init__(self, by: str, place: Callable[[str], Place]) -> None:
        self.by = by
        self._key = _KEYS[by]
        self._place = place
        self._now: dict[str, list[int]] = {}
        self._total: dict[str, list[int]] = {}

    def add(self, deltas: Iterable[Delta]) -> None:
        for delta in deltas:
            key = self._key(delta, self._place)
            for totals in (self._now, self._total):
                total = totals.setdefault(key, [0, 0])
                total[0] += delta.tx_bytes
                total[1] += delta.rx_bytes
        if len(self._total) > MOST_KEYS:
            kept = sorted(self._total.items(), key=lambda item: -sum(item[1]))[: MOST_KEYS // 2]
            self._total = dict(kept)

    def turn(self, seconds: float) -> list[tuple[str, float, float, int, int]]:
        """Key, bytes sent and received a second, and in total; the busiest first."""
        now, self._now = self._now, {}
        rows = [
            (key, now.get(key, (0, 0))[0] / seconds, now.get(key, (0, 0))[1] / seconds, tx, rx)
            for key, (tx, rx) in self._total.items()
        ]
        return sorted(rows, key=lambda row: (-(row[1] + row[2]), -(row[3] + row[4]), row[0]))


def show(
    backend: Backend,
    view: View,
    stopped: Callable[[], bool],
    place: Callable[[str], Place] = NO_PLACES.place,
) -> None:
    """Draw a picture every so often, until stopped or the recording is over."""
    talkers = {by: Talkers(by, place) for by in BY.values()}
    by, pictures, is_over = view.by, 0, False
    with _keys() as pressed:
        while not stopped() and not is_over and pictures != view.pictures:
            started = time.monotonic()
            while (left := started + view.seconds - time.monotonic()) > 0 and not stopped():
                try:
                    deltas = list(backend.read(min(left, 0.25)))
                except Exhausted:
                    is_over = True
                    break
                for one in talkers.values():
                    one.add(deltas)
                key = pressed()
                if key == "q":
                    return
                if key in BY:
                    by = BY[key]
                    break
            took = max(time.monotonic() - started, 0.001)
            found = {name: one.turn(took) for name, one in talkers.items()}
            _draw(backend, by, found[by], view.rows)
            pictures += 1


def _draw(
    backend: Backend, by: str, rows: list[tuple[str, float, float, int, int]], most: int | None
) -> None:
    size = shutil.get_terminal_size((100, 30))
    shown = rows[: most or max(size.lines - 4, 1)]
    width = max(size.columns - 4 * 12, 16)
    lines = [
        f"{backend.name} ({backend.layer} bytes), {backend.interface or 'all interfaces'}, "
        f"{len(rows):,} by {by}"[: size.columns],
        f"{by:<{width}}{'sent/s':>12}{'received/s':>12}{'sent':>12}{'received':>12}",
    ]
    for key, *amounts in shown:
        cells = "".join(f"{amount_text(amount):>12}" for amount in amounts)
        lines.append(f"{_printable(key)[: width - 1]:<{width}}{cells}")
    head = _HOME if sys.stdout.isatty() else ""
    sys.stdout.write(head + "\n".join(lines) + "\n")
    sys.stdout.flush()


def amount_text(amount: float) -> str:
    """Bytes with three digits and a unit of powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1000:
            return (
                f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
            )
        amount /= 1024
    return f"{amount:.1f} TiB"


def _printable(text: str) -> str:
    """A process may call itself anything; a terminal obeys some of that."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@contextmanager
def _keys() -> Iterator[Callable[[], str]]:
    """What was pressed since the last look, one letter; nothing where there is no terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        yield lambda: ""
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield (
            lambda: (
                os.read(terminal, 1).decode(errors="ignore")
                if select.select([terminal], [], [], 0)[0]
                else ""
            )
        )
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _process(delta: Delta, _: Callable[[str], Place]) -> str:
    name = delta.process or f"({delta.attribution or 'unknown'})"
    return f"{name} [{delta.pid}]" if delta.pid is not None else name


_KEYS: dict[str, Callable[[Delta, Callable[[str], Place]], str]] = {
    "remote": lambda delta, _: delta.remote_ip,
    "process": _process,
    "unit": lambda delta, _: delta.unit or "(none)",
    "country": lambda delta, place: place(delta.remote_ip).country,
}
