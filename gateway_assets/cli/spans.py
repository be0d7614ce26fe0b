"""Lengths of time as people write them on the command line."""

from __future__ import annotations

import re

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}


def span(text: str) -> int:
    """Seconds of 90s, 30m, 6h, 7d or 2w; a type of click's options. Raises BadParameter."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", text, re.ASCII)
    if not found or not int(found[1]):
        raise click.BadParameter(f"{text!r}: a length of time is written as 90s, 30m, 6h or 7d")
    return int(found[1]) * _UNITS[found[2]]
