"""Latencies in logarithmic buckets: counts of any rows may be added up, and percentiles stay true.

Bucket ``b`` holds ``BASE**b <= milliseconds < BASE**(b + 1)``; what is shorter than a millisecond
is in bucket 0. So a percentile is known to a bucket's width, 2 per cent.

As text a histogram is a JSON object of runs: the first bucket of each, and the queries in it and
in those that follow it, ``{"98":[3,0,12],"140":[1]}``. A bucket that is not named has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from operator import add

BASE = 1.0202
_WIDTH = math.log(BASE)
_NEAR = 5  # a zero takes two characters, another run about ten
BUCKETS = 2_200  # more than any latency has: 2**63 milliseconds are in bucket 2,183


def bucket_of(milliseconds: float) -> int:
    """The bucket of a latency; as ``floor(ln(greatest(x, 1)) / ln(1.0202))`` is in SQL."""
    return math.floor(math.log(max(milliseconds, 1.0)) / _WIDTH)


def bounds(bucket: int) -> tuple[float, float]:
    """The latencies of a bucket in milliseconds: from, and up to but not including."""
    return BASE**bucket, BASE ** (bucket + 1)


def packed(counts: Mapping[int, int]) -> str:
    """A histogram as text; buckets without queries are not told apart from those left out."""
    runs: dict[int, list[int]] = {}
    first, run = 0, list[int]()
    for bucket in sorted(bucket for bucket, queries in counts.items() if queries):
        gap = bucket - first - len(run)
        if not run or gap >= _NEAR:
            first, run = bucket, []
            runs[first] = run
        else:
            run += [0] * gap
        run.append(counts[bucket])
    return json.dumps(runs, separators=(",", ":"))


def added(texts: Iterable[str]) -> dict[int, int] | None:
    """One histogram, bucket -> queries, of all queries of several texts; None where one holds no
    histogram: percentiles of what is left would be wrong.
    """
    counts = [0] * BUCKETS
    for text in texts:
        runs = _runs(text)
        if runs is None:
            return None
        for first, run in runs:
            end = first + len(run)
            counts[first:end] = map(add, counts[first:end], run)
    return {bucket: queries for bucket, queries in enumerate(counts) if queries}


def _runs(text: str) -> list[tuple[int, list[int]]] | None:
    try:
        runs = [(int(first), run) for first, run in json.loads(text).items()]
        for first, run in runs:
            is_counted = set(map(type, run)) == {int} and min(run) >= 0
            if not is_counted or not 0 <= first <= BUCKETS - len(run):
                return None
    except (AttributeError, RecursionError, TypeError, ValueError):
        return None
    return runs


def percentile(counts: Mapping[int, int], part: float) -> float | None:
    """The latency in milliseconds that ``part`` (0 to 1) of the queries do not exceed, by nearest
    rank, told as the geometric middle of its bucket; None without queries.

    Raises ValueError for a part that is none.
    """
    if not 0 <= part <= 1:
        raise ValueError(f"{part} is not a part from 0 to 1")
    # 0.07 * 100 is a little more than 7.
    rank = max(1, math.ceil(part * sum(counts.values()) - 1e-9))
    passed = 0
    for bucket in sorted(counts):
        passed += counts[bucket]
        if passed >= rank:
            return round(float(BASE ** (bucket + 0.5)), 3)
    return None
