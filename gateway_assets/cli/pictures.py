"""Numbers as pictures of one line."""

from __future__ import annotations

from collections.abc import Sequence

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None]) -> str:
    """One bar a value, from the lowest to the highest; a gap where it is unknown."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, span = min(known), max(known) - min(known)
    steps = len(BARS) - 1
    return "".join(
        " " if value is None else BARS[round((value - low) / span * steps) if span else 0]
        for value in values
    )
