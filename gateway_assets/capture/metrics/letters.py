"""What landed as one file, added up for the counters; and what a killed process did not add."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from gateway_assets.capture.metrics.counters import Counters, Letter
from gateway_assets.capture.places import NO_PLACES
from gateway_assets.files.landing import plain, read_landing
from gateway_assets.geoip.place import Place
from gateway_assets.sources.ip_traffic import SOURCE

Row = tuple[str, str | None, str | None, str | None, int, int]
_NAMES = [column.name for column in SOURCE.columns]
_PLACES = [
    _NAMES.index(name)
    for name in ("remote_ip", "process", "unit", "attribution", "tx_bytes", "rx_bytes")
]


def letter_of(
    identity: str,
    sequence: int,
    seconds: int,
    rows: Iterable[Row],
    place: Callable[[str], Place] = NO_PLACES.place,
) -> Letter:
    """Rows of one file, added up by remote, country and process."""
    letter = Letter(identity.encode(), sequence, seconds, {}, {}, {})
    for remote, process, unit, attribution, tx, rx in rows:
        name = process or f"({attribution or 'unknown'})"
        for totals, key in (
            (letter.remotes, remote),
            (letter.processes, f"{name}\t{unit or ''}"),
        ):
            total = totals.setdefault(key, [0, 0])
            total[0], total[1] = total[0] + tx, total[1] + rx
    for remote, (tx, rx) in letter.remotes.items():
        total = letter.countries.setdefault(place(remote).country, [0, 0])
        total[0], total[1] = total[0] + tx, total[1] + rx
    return letter


def catch_up(
    counters: Counters, root: Path, host: str, instance: str, place: Callable[[str], Place]
) -> bool:
    """Add what a killed process landed and did not count; whether the counters can be trusted.

    Call it while holding the instance's lock, after salvaging.
    """
    identity, last, whole = counters.last
    writer = f"{SOURCE.name}-v*-{plain(host)}-{plain(instance)}-{identity.decode()}-"
    waiting: dict[int, Path] = {}
    for path in (root / SOURCE.name).glob(f"*/*/*/{writer}*.ndjson"):
        sequence = int(path.stem.rpartition("-")[2])
        if sequence > last or (sequence == last and not whole):
            waiting[sequence] = path
    if not whole and last not in waiting:
        return False
    for sequence in sorted(waiting):
        rows = (_used(row) for row in read_landing(waiting[sequence], SOURCE).rows)
        counters.add(letter_of(identity.decode(), sequence, int(time.time()), rows, place))
    return True


def _used(row: tuple[Any, ...]) -> Row:
    remote, process, unit, attribution, tx, rx = (row[place] for place in _PLACES)
    return remote, process, unit, attribution, tx, rx
