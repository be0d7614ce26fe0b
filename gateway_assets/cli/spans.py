"""Times and lengths of time as people write them on the command line."""

from __future__ import annotations

import re

import click

from gateway_assets import clock
from gateway_assets.errors import UsageError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def span(text: str) -> int:
    """Seconds of 90s, 30m, 6h, 7d or 2w; a type of click's options. Raises BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{text!r}: a length of time is written as 90s, 30m, 6h or 7d")
    return int(found[1]) * _UNITS[found[2]]


def moment_ns(text: str) -> int:
    """A moment in ns since 1970, of ISO 8601. Raises UsageError."""
    try:
        return clock.parse_moment(text) * 1000
    except ValueError:
        raise UsageError(
            f"{text!r} is not a time", hint="such as 2026-11-20 or 2026-11-20T08:00:00+01:00"
        ) from None
