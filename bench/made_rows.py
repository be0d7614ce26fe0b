"""Made-up traffic rows: a few busy remotes and many quiet ones, the same at every run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from random import Random

from gateway_assets import clock
from gateway_assets.files.landing import Landed, Origin, Row, Stamp, land
from gateway_assets.sources.ip_traffic import SOURCE

TODAY = clock.day_of(clock.now())
INTERVAL = 30 * clock.SECOND
_REMOTES = tuple(f"{net}.{host}" for net in ("192.0.2", "198.51.100") for host in range(1, 251))
_OFTEN = tuple(itertools.accumulate(1 / place for place in range(1, len(_REMOTES) + 1)))
_PROCESSES = (("nginx", 811), ("rsync", 2044), ("sshd", 640), ("postgres", 702), (None, None))


def rows_of(day: int, count: int) -> Iterator[Row]:
    """``count`` rows in intervals of 30 s, spread over a day."""
    random = Random(day)
    for number in range(count):
        time = clock.day_range(day)[0] + number * 2880 // count * INTERVAL
        place = random.choices(range(len(_REMOTES)), cum_weights=_OFTEN)[0]
        process, pid = _PROCESSES[place % len(_PROCESSES)]
        sent, received = (int(random.lognormvariate(9, 2)) for _ in range(2))
        ends = (_REMOTES[place], process, pid)
        yield (
            time,
            time + INTERVAL,
            "box",
            "sockdiag",
            "tcp",
            None,
            *ends,
            sent,
            received,
            None,
            None,
        )


def land_days(root: Path, days: range, rows: int, per_file: int) -> list[Landed]:
    """Land ``rows`` rows evenly over the days, ``per_file`` in each file."""
    landed = []
    for day in days:
        waiting = rows_of(day, rows // len(days))
        origin = Origin("box", "sockdiag", f"{day:08d}")
        for sequence in itertools.count():
            part = list(itertools.islice(waiting, per_file))
            if not part:
                break
            landed.append(land(root, SOURCE, Stamp(origin, part[0][0], sequence), part))
    return landed
