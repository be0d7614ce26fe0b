"""What people want to know of buckets, read off their states.

Each gives one number per state, NaN where there is none: for buckets without used points, for
strings, for what needs two points and has one. Rates are per second.
"""

from __future__ import annotations

import numpy as np

from gateway_assets.points.segments import NS, Floats, Integers, finite
from gateway_assets.points.states import States


def average(states: States) -> Floats:
    """Of the points, each with the same weight."""
    return states.mean


def total(states: States) -> Floats:
    """The sum of the points."""
    return states.n * states.mean


def stddev(states: States) -> Floats:
    """The standard deviation of a sample: divided by n - 1, so there is none of a single point."""
    several = states.n > 1
    return np.sqrt(np.where(several, states.m2 / np.where(several, states.n - 1, 1), np.nan))


def time_weighted_average(states: States, until: int | Integers | None = None) -> Floats:
    """Each value weighs the time that it was held until the next point.

    The last value is held to ``until`` (ns, one moment or one per state); without it, it has no
    time, and a single point no average. Raises ValueError for a moment before a state's last point.
    """
    if until is None:
        return _over(states.integral, states.last_time - states.first_time)
    held = until - states.last_time
    if (held[states.n > 0] < 0).any():
        raise ValueError("a time-weighted average ends before the last point")
    with np.errstate(over="ignore", invalid="ignore"):
        integral = states.integral + states.last * (held / NS)
    return _over(integral, until - states.first_time)


def delta(states: States) -> Floats:
    """The last value less the first: what a gauge has changed by."""
    with np.errstate(over="ignore"):
        return finite(states.last - states.first)


def rate(states: States) -> Floats:
    """The change of a gauge per second, between the first and the last point."""
    return _over(delta(states), states.last_time - states.first_time)


def counter_rate(states: States) -> Floats:
    """The increase of a counter per second, resets included, between first and last point."""
    return _over(states.increase, states.last_time - states.first_time)


def _over(amounts: Floats, ns: Integers) -> Floats:
    """Amounts per second; none over no time."""
    some = ns > 0
    with np.errstate(over="ignore"):
        return finite(np.where(some, amounts / np.where(some, ns / NS, 1.0), np.nan))
