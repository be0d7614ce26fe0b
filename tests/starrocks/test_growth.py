"""What counters grew: restarts, first looks and values that cannot be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.clock import SECOND
from gateway_assets.starrocks.growth import Growth, growth, is_another_start


@pytest.mark.parametrize(
    ("before", "now", "is_same", "wanted"),
    [
        (10, 15, True, Growth(5)),
        (10, 10, True, Growth(0)),
        (10, 4, True, Growth(4, is_reset=True)),
        (10, 15, False, Growth(15, is_reset=True)),  # trap 5: it has outgrown what it was
        (None, 15, True, Growth(None)),
        (10, None, True, Growth(None)),
        (10, float("nan"), True, Growth(None)),
        (10, float("inf"), True, Growth(None)),
        (10, -1, True, Growth(None)),
        (2**53, 2**53 + 1, True, Growth(1)),  # trap 20
        (1.2345678e7, 12345680, True, Growth(2)),
    ],
)
def test_growth(before: float | None, now: float | None, is_same: bool, wanted: Growth) -> None:
    assert growth(before, now, is_same_process=is_same) == wanted


@given(st.lists(st.integers(0, 2**60), min_size=1), st.integers(0, 2**60))
def test_growth_of_one_process_adds_up(amounts: list[int], start: int) -> None:
    value, total = start, 0
    for amount in amounts:
        grew = growth(value, value + amount).amount
        assert grew is not None
        total += grew
        value += amount
    assert total == sum(amounts)


@given(st.floats() | st.none(), st.floats() | st.none(), st.booleans())
def test_growth_is_never_negative(before: float | None, now: float | None, is_same: bool) -> None:
    amount = growth(before, now, is_same_process=is_same).amount
    assert amount is None or amount >= 0


def test_only_a_later_start_is_another_process() -> None:
    minute = 60 * SECOND
    assert is_another_start(0, minute + 1)
    assert not is_another_start(0, minute)  # a clock that is not the same one
    assert not is_another_start(2 * minute, 0)
    assert not is_another_start(None, 2 * minute)
    assert not is_another_start(0, None)
