"""Latencies in logarithmic buckets: counts of any rows may be added up, and percentiles stay true.

Bucket ``b`` holds ``BASE**b <= milliseconds < BASE**(b + 1)``; what is shorter than a millisecond
is in bucket 0. So a percentile is known to a bucket's width, 2 per cent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

BASE = 1.0202
_WIDTH = math.log(BASE)


def bucket_of(milliseconds: float) -> int:
    """The bucket of a latency; as ``floor(ln(greatest(x, 1)) / ln(1.0202))`` is in SQL."""
    return math.floor(math.log(max(milliseconds, 1.0)) / _WIDTH)


def bounds(bucket: int) -> tuple[float, float]:
    """The latencies of a bucket in milliseconds: from, and up to but not including."""
    return BASE**bucket, BASE ** (bucket + 1)


def merged(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """One histogram, bucket -> queries, of all queries of several."""
    counts: Counter[int] = Counter()
    for histogram in histograms:
        counts.update(histogram)
    return dict(counts)


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
