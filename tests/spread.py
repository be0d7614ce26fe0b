"""At which of a work's calls it is killed."""

from __future__ import annotations


def spread(calls: int, kills: int) -> list[int]:
    """At most so many of the calls 1, 2, … ``calls``, evenly; all of them when they are fewer."""
    kills = min(kills, calls)
    return [(2 * n + 1) * calls // (2 * kills) + 1 for n in range(kills)]
