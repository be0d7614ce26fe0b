"""What counters grew between two looks at one node, restarts included.

A counter that shrank, or whose process is another one, began again at zero: it grew by what it is
now (Prometheus' ``increase`` without its extrapolation, so what happened between the last look and
the restart is lost, and nothing is counted twice). Growth belongs to the whole time between the
two looks, however long that was.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from gateway_assets.clock import SECOND

_SAME = 60 * SECOND


class Growth(NamedTuple):
    """``amount`` is None where it is unknown: at first sight, or for a value that cannot be."""

    amount: int | None
    is_reset: bool = False


UNKNOWN = Growth(None)


def counted(value: float | None) -> int | None:
    """A counter's value as a whole number; None for NaN, infinity and what is below zero."""
    if value is None or not math.isfinite(value) or value < 0:
        return None
    return int(value)


def growth(before: float | None, now: float | None, *, is_same_process: bool = True) -> Growth:
    """What one counter grew from one look to the next."""
    first, last = counted(before), counted(now)
    if first is None or last is None:
        return UNKNOWN
    if is_same_process and last >= first:
        return Growth(last - first)
    return Growth(last, is_reset=True)


def is_another_start(before: int | None, now: int | None) -> bool:
    """Whether the process began later than the one known before; unknown starts tell nothing.

    Moments that differ by less than a minute are the same one, told by another clock: to take a
    process for a new one by mistake would count all again that it has ever counted.
    """
    return before is not None and now is not None and now - before > _SAME
