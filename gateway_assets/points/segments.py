"""Arithmetic on segments of arrays: what the points of a bucket come to.

Arrays hold the parts of all buckets one after the other; ``begins`` tells at which places another
bucket begins. A part is a point or a state. Mean and squared deviations are computed in two passes
with a correction (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", The
American Statistician 37, 1983, eq. 1.7), and of parts by the same authors' formula (eq. 2.1):
values of 1e9 that differ by 1 keep their deviation.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gateway_assets.model import INT64_MAX

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Booleans = npt.NDArray[np.bool]

NS = 1_000_000_000  # in a second
_INT64_MIN = -INT64_MAX - 1


def bucket_starts(times: Integers, width_ns: int) -> Integers:
    """Where the buckets of these moments begin: the multiple of the width at or before each.

    The first bucket of all begins at the earliest moment that 64 bits hold. Raises ValueError for a
    width below 1.
    """
    if width_ns < 1:
        raise ValueError(f"{width_ns} ns is no width of a bucket")
    starts = times - times % width_ns
    # A multiple that would lie before the earliest moment has wrapped around.
    return np.where(starts > times, _INT64_MIN, starts)


def begins_of(series: Integers, starts: Integers) -> Integers:
    """At which places another series or another bucket begins."""
    is_first = np.ones(len(series), np.bool)
    is_first[1:] = (series[1:] != series[:-1]) | (starts[1:] != starts[:-1])
    return np.flatnonzero(is_first)


def moments(
    n: Integers, mean: Floats, m2: Floats, begins: Integers, sizes: Integers
) -> tuple[Floats, Floats]:
    """Mean and sum of squared deviations of each bucket, from those of its parts."""
    whole = np.add.reduceat(n, begins)
    rough = np.add.reduceat(n * mean, begins) / whole
    away = mean - np.repeat(rough, sizes)
    weighted = n * away
    off = np.add.reduceat(weighted, begins) / whole
    squares = np.add.reduceat(m2 + weighted * away, begins) - whole * off * off
    return rough + off, np.maximum(squares, 0.0)


def seams(
    first: Floats, first_time: Integers, last: Floats, last_time: Integers, begins: Integers
) -> tuple[Integers, Floats, Floats, Booleans]:
    """From each part's predecessor in its bucket to itself: the time between, the integral of the
    value held meanwhile, the increase, and whether that was a reset. Nothing where there is none.
    """
    gap = np.zeros(len(first), np.int64)
    held, grown = np.zeros(len(first)), np.zeros(len(first))
    is_reset = np.zeros(len(first), np.bool)
    before, after = last[:-1], first[1:]
    gap[1:] = first_time[1:] - last_time[:-1]
    held[1:] = before * (gap[1:] / NS)
    is_reset[1:] = after < before
    grown[1:] = np.where(is_reset[1:], after, after - before)
    for seam in (gap, held, grown, is_reset):
        seam[begins] = 0
    return gap, held, grown, is_reset


def earliest(times: Integers, is_meant: Booleans, begins: Integers) -> Integers:
    """The earliest meant time of each bucket, 0 where none is."""
    found = np.minimum.reduceat(np.where(is_meant, times, INT64_MAX), begins)
    return np.where(np.logical_or.reduceat(is_meant, begins), found, 0)


def finite(numbers: Floats) -> Floats:
    """The numbers, NaN where they overflowed."""
    return np.where(np.isfinite(numbers), numbers, np.nan)


def spread(column: npt.NDArray[Any], where: Booleans) -> npt.NDArray[Any]:
    """The values at the places that are meant, nothing (NaN or 0) at the others."""
    whole = np.full(len(where), np.nan if column.dtype == np.float64 else 0, column.dtype)
    whole[where] = column
    return whole
