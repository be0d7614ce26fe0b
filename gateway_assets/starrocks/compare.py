"""A number against what it was before: in the window before, at the same time yesterday and a week
ago. What is not known, or has nothing to be compared with, is None and never 0.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from gateway_assets import clock

Measure = Callable[[int, int], float | None]  # of the moments [start, end)


class Change(NamedTuple):
    """``then`` is the number of the earlier window; ``pct`` is None when that was 0."""

    then: float | None
    difference: float | None
    pct: float | None


class Comparison(NamedTuple):
    now: float | None
    before: Change
    yesterday: Change
    last_week: Change


def windows(start: int, end: int) -> dict[str, tuple[int, int]]:
    """The windows that ``[start, end)`` is compared with. Raises ValueError when it is empty."""
    if end <= start:
        raise ValueError("a window ends after its start")
    backs = {"before": end - start, "yesterday": clock.DAY, "last_week": 7 * clock.DAY}
    return {name: (start - back, end - back) for name, back in backs.items()}


def compared(measure: Measure, start: int, end: int) -> Comparison:
    """Measure a window and those it is compared with."""
    now = measure(start, end)
    changes = {
        name: change(now, measure(*earlier)) for name, earlier in windows(start, end).items()
    }
    return Comparison(now, **changes)


def change(now: float | None, then: float | None) -> Change:
    """How a number differs from an earlier one, and by how many per cent of that one."""
    if now is None or then is None:
        return Change(then, None, None)
    difference = now - then
    return Change(then, difference, 100 * difference / abs(then) if then else None)
