"""Parts of a number: always all of it."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.capture.sockets.shares import divide

WEIGHTS = st.lists(st.integers(0, 2**64), min_size=1, max_size=30).filter(any)


@given(st.integers(0, 2**64), WEIGHTS)
def test_the_parts_add_up(total: int, weights: list[int]) -> None:
    assert sum(divide(total, weights)) == total


@given(st.integers(0, 2**64), WEIGHTS)
def test_each_part_is_its_share_but_for_less_than_one(total: int, weights: list[int]) -> None:
    for part, weight in zip(divide(total, weights), weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


@given(st.integers(0, 2**64), WEIGHTS)
def test_no_weight_no_part(total: int, weights: list[int]) -> None:
    parts = divide(total, weights)
    assert all(part == 0 for part, weight in zip(parts, weights, strict=True) if not weight)


def test_the_largest_remainders_are_rounded_up() -> None:
    assert divide(10, [1, 1, 1]) == [4, 3, 3]
    assert divide(7, [10, 23, 17]) == [2, 3, 2]
