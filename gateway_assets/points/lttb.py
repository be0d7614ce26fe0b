"""Fewer points that make the same picture: Largest-Triangle-Three-Buckets.

Steinarsson, "Downsampling Time Series for Visual Representation", MSc thesis, University of
Iceland, 2013, section 4.2. The first and the last point stay; the points between are cut into
buckets of about as many points each, and of each bucket stays the one that makes the largest
triangle with the point that stayed before it and the mean of the bucket after it.
"""

from __future__ import annotations

import numpy as np

from gateway_assets.points.segments import Floats, Integers


def lttb(times: Integers, values: Floats, count: int) -> tuple[Integers, Floats]:
    """At most ``count`` of the points, which are sorted by time; of equal triangles the earliest
    counts.

    Values that are not finite are left out. Raises ValueError for a count below 3.
    """
    if count < 3:
        raise ValueError(f"{count} points are too few: a picture needs 3")
    is_finite = np.isfinite(values)
    times, values = times[is_finite], values[is_finite]
    if len(times) <= count:
        return times, values
    kept = _kept((times - times[0]).astype(np.float64), values, count)
    return times[kept], values[kept]


def _kept(x: Floats, y: Floats, count: int) -> list[int]:
    """The places of the points that stay."""
    last = len(x) - 1
    # Bucket i is [edges[i], edges[i + 1]); the last point is a bucket of its own.
    edges = 1 + (np.arange(count - 1) * (last - 1)) // (count - 2)
    sizes = np.diff(edges, append=last + 1)
    mean_x = np.add.reduceat(x, edges) / sizes
    mean_y = np.add.reduceat(y, edges) / sizes
    kept = [0]
    for place in range(count - 2):
        begin, end, before = edges[place], edges[place + 1], kept[-1]
        # Twice the area; only the largest matters.
        areas = np.abs(
            (x[before] - mean_x[place + 1]) * (y[begin:end] - y[before])
            - (x[before] - x[begin:end]) * (mean_y[place + 1] - y[before])
        )
        kept.append(int(begin + np.argmax(areas)))
    return [*kept, last]
