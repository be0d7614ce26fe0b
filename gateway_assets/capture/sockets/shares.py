"""A whole number divided by weights, so that the parts add up to it again."""

from __future__ import annotations

from collections.abc import Sequence


def divide(total: int, weights: Sequence[int]) -> list[int]:
    """Parts of ``total`` in the proportion of ``weights`` (none negative, not all of them 0).

    By largest remainder: each part is its exact share rounded down or up, the parts add up to
    ``total``, and a weight of 0 gets nothing.
    """
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    remainders = [total * weight % whole for weight in weights]
    rest = total - sum(parts)
    for place in sorted(range(len(parts)), key=remainders.__getitem__, reverse=True)[:rest]:
        parts[place] += 1
    return parts
