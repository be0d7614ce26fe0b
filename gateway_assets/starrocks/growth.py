"""What counters grew between two looks at one node, restarts included.

A counter that shrank, or whose process is another one, began again at zero: it grew by what it is
now (Prometheus' ``increase`` without its extrapolation, so what happened between the last look and
the restart is lost, and nothing is counted twice). Growth belongs to the whole time between the
two looks, however long that was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple


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


def is_same_process(
    started_before: int | None,
    started_now: int | None,
    before: Mapping[str, float],
    now: Mapping[str, float],
    *,
    is_start_exact: bool,
) -> bool:
    """Whether the counters of a node are those of the process that was looked at before.

    It tells of a restart that counters alone hide, because they have outgrown what they were.
    ``is_start_exact``: the start is the process' own word. That of a backend is not in every
    version: some note when the frontends saw it alive again, though it had run all the time and
    counted on. There a start that moved counts only together with a counter that shrank.
    """
    if started_before is None or started_now is None or started_now <= started_before:
        return True
    return not is_start_exact and all(now[name] >= before[name] for name in now.keys() & before)
