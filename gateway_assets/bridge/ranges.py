"""What a condition says about one column: a union of closed ranges that its value must be in.

It may say less than the condition, never more: files and rows outside are not read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Range = tuple[Any, Any]  # both ends belong to it; None: no end
Ranges = tuple[Range, ...]

ANYTHING: Ranges = ((None, None),)
MOST = 1_000  # single values; more are taken as one range from the least to the largest


def both(first: Ranges, second: Ranges) -> Ranges:
    """What is in ranges of both."""
    found = []
    for low, high in first:
        for least, most in second:
            start = low if least is None or (low is not None and low >= least) else least
            end = high if most is None or (high is not None and high <= most) else most
            if start is None or end is None or start <= end:
                found.append((start, end))
    return tuple(found)


def values(given: Iterable[Any]) -> Ranges:
    """One range for each value."""
    found = sorted(set(given))
    if len(found) > MOST:
        return ((found[0], found[-1]),)
    return tuple((value, value) for value in found)


def compared(operator: str, value: Any) -> Ranges:
    """``column operator value``. Whole numbers, and moments as such, have a next one, so that a
    strict end becomes a closed one; of other values a strict end is taken as a closed one.
    """
    step = 1 if isinstance(value, int) else None
    match operator:
        case "=":
            return ((value, value),)
        case ">=":
            return ((value, None),)
        case "<=":
            return ((None, value),)
        case ">":
            return ((value + step if step else value, None),)
        case "<":
            return ((None, value - step if step else value),)
    return ANYTHING


def hull(ranges: Ranges) -> Range | None:
    """The one range around all; None when nothing is in any."""
    if not ranges:
        return None
    lows, highs = zip(*ranges, strict=True)
    low = None if None in lows else min(lows)
    return low, None if None in highs else max(highs)


def meets(ranges: Ranges, low: Any, high: Any) -> bool:
    """Whether a value between ``low`` and ``high`` may be in a range."""
    return any(
        (start is None or start <= high) and (end is None or low <= end) for start, end in ranges
    )
