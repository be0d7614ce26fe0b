"""Generated rows for past days, so that a fresh install has something old enough to archive.

They are marked ``backend = 'sample'`` and use the addresses that RFC 5737 keeps for documentation.
A day's rows are always the same, so landing them again changes nothing.
"""

from __future__ import annotations

from random import Random

from gateway_assets import clock
from gateway_assets.files.landing import Landed, Origin, Row, Stamp, land
from gateway_assets.settings import Settings
from gateway_assets.sources.ip_traffic import SOURCE

BACKEND = "sample"
HOUR = 3600 * clock.SECOND
_REMOTES = tuple(f"{net}.{host}" for net in ("192.0.2", "198.51.100") for host in (10, 20, 30, 40))
_PROCESSES = ("nginx", "rsync", "sshd", None)


def land_samples(settings: Settings, days: range) -> list[Landed]:
    """Land one file per hour of each day; files that landed before are left alone."""
    landed = []
    for day in days:
        origin = Origin("sample", BACKEND, f"{day:08d}")
        for hour in range(24):
            time = clock.day_range(day)[0] + hour * HOUR
            try:
                rows = _rows(time)
                landed.append(land(settings.landing, SOURCE, Stamp(origin, time, hour), rows))
            except FileExistsError:
                continue
    return landed


def _rows(time: int) -> list[Row]:
    random = Random(time)  # noqa: S311  samples, not secrets
    return [
        (
            time,
            time + HOUR,
            "sample",
            BACKEND,
            "ip",
            "eth0",
            remote,
            process,
            None,
            random.randrange(10_000, 5_000_000),
            random.randrange(10_000, 5_000_000),
            None,
            None,
        )
        for remote in _REMOTES
        for process in _PROCESSES
    ]
