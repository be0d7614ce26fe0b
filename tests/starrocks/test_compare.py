"""A number against earlier ones, unknown ones among them."""

from __future__ import annotations

import pytest

from gateway_assets import clock
from gateway_assets.starrocks.compare import Change, change, compared, windows


def test_windows_before() -> None:
    start, end = 10 * clock.DAY, 10 * clock.DAY + clock.HOUR
    found = windows(start, end)
    assert found == {
        "before": (start - clock.HOUR, start),
        "yesterday": (9 * clock.DAY, 9 * clock.DAY + clock.HOUR),
        "last_week": (3 * clock.DAY, 3 * clock.DAY + clock.HOUR),
    }
    with pytest.raises(ValueError, match="ends after"):
        windows(end, end)


def test_a_number_beside_earlier_ones() -> None:
    numbers = {10: 30.0, 9: 20.0, 3: None}

    def measure(start: int, end: int) -> float | None:
        assert end - start == clock.DAY
        return numbers[clock.day_of(start)]

    found = compared(measure, *clock.day_range(10))
    assert found.now == 30
    assert found.before == found.yesterday == Change(20, 10, 50)
    assert found.last_week == Change(None, None, None)


def test_nothing_is_made_up() -> None:
    assert change(None, 5) == Change(5, None, None)
    assert change(5, 0) == Change(0, 5, None)
    assert change(0, 0) == Change(0, 0, None)
    assert change(0, 4) == Change(4, -4, -100)
    assert change(-2, -4) == Change(-4, 2, 50)
