"""Readings scaled and judged; which samples pass on."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.errors import ConfigError
from gateway_assets.points.pipeline import ExceptionReporter, Tag, apply
from gateway_assets.points.quality import Quality

GOOD, UNCERTAIN, BAD = Quality.GOOD, Quality.UNCERTAIN, Quality.BAD

Sample = tuple[int, float, Quality]


@pytest.mark.parametrize(
    ("tag", "raw", "value", "quality"),
    [
        (Tag(), 21.5, 21.5, GOOD),
        (Tag(scaling=0.1, offset=-40), 650, 25.0, GOOD),
        (Tag(scaling=-2, offset=100), 10, 80.0, GOOD),
        (Tag(low=0, high=100), 0, 0.0, GOOD),
        (Tag(low=0, high=100), 100, 100.0, GOOD),
        (Tag(low=0, high=100), 100.5, 100.5, UNCERTAIN),
        (Tag(low=0), -0.5, -0.5, UNCERTAIN),
        (Tag(high=100), -1e9, -1e9, GOOD),
        (Tag(scaling=0.1, high=100), 900, 90.0, GOOD),  # the range is of the value
        (Tag(), True, 1.0, GOOD),
    ],
    ids=[
        "as-it-is",
        "scaled",
        "reverse",
        "lowest",
        "highest",
        "above",
        "below",
        "open",
        "unit",
        "boolean",
    ],
)
def test_a_reading_becomes_a_value(tag: Tag, raw: float, value: float, quality: Quality) -> None:
    found, found_quality = apply(tag, raw)
    assert found == pytest.approx(value)
    assert isinstance(found, float)
    assert found_quality is quality


@pytest.mark.parametrize(
    "raw", [math.nan, math.inf, -math.inf, 1e308, 10**400], ids=["nan", "inf", "-inf", "big", "int"]
)
def test_what_is_no_number_is_bad(raw: float) -> None:
    value, quality = apply(Tag(scaling=1000, low=0, high=1), raw)
    assert math.isnan(value)
    assert quality is BAD


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scaling": 0}, "scaling is 0"),
        ({"scaling": math.nan}, "finite"),
        ({"high": math.inf}, "finite"),
        ({"low": 2, "high": 1}, "range goes from 2 to 1"),
        ({"deadband": 1, "deadband_percent": 1, "low": 0, "high": 1}, "two dead bands"),
        ({"deadband_percent": 1, "low": 0}, "span"),
        ({"deadband": -1}, "below 0"),
        ({"deadband_percent": -1, "low": 0, "high": 1}, "below 0"),
        ({"max_interval": 0}, "max_interval"),
    ],
    ids=["zero", "nan", "infinite", "range", "two", "span", "below", "percent", "interval"],
)
def test_tags_that_cannot_be_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Tag(**given)
    assert caught.value.hint


def _passed(tag: Tag, samples: list[Sample]) -> list[int]:
    reporter = ExceptionReporter(tag)
    return [time for time, value, quality in samples if reporter.passes(time, value, quality)]


def _good(*values: float) -> list[Sample]:
    return [(time, value, GOOD) for time, value in enumerate(values)]


def test_without_a_dead_band_all_samples_pass() -> None:
    assert _passed(Tag(max_interval=10), _good(1, 1, 1)) == [0, 1, 2]


def test_a_dead_band_of_zero_passes_changes() -> None:
    assert _passed(Tag(deadband=0), _good(1, 1, 2, 2, 1)) == [0, 2, 4]


def test_a_change_goes_beyond_the_dead_band_of_what_was_passed_last() -> None:
    assert _passed(Tag(deadband=1), _good(0, 1, -1, 1.5, 2, 0.5, 0.4)) == [0, 3, 6]


def test_a_slow_drift_passes_in_the_end() -> None:
    assert _passed(Tag(deadband=0.5), _good(*(step * 0.25 for step in range(10)))) == [0, 3, 6, 9]


def test_per_cent_are_of_the_span() -> None:
    tag = Tag(low=-50, high=150, deadband_percent=1)
    assert tag.band == 2.0
    assert _passed(tag, _good(0, 2, 2.5, 4.5, 0.4)) == [0, 2, 4]


def test_a_change_of_quality_passes() -> None:
    samples = [
        (0, 1.0, GOOD),
        (1, 1.0, UNCERTAIN),
        (2, 1.0, UNCERTAIN),
        (3, math.nan, BAD),
        (4, math.nan, BAD),
        (5, 1.0, GOOD),
    ]
    assert _passed(Tag(deadband=10), samples) == [0, 1, 3, 5]


def test_a_steady_value_passes_after_the_longest_interval() -> None:
    samples = [(time, 1.0, GOOD) for time in (0, 5, 9, 10, 15, 21, 30, 31)]
    assert _passed(Tag(deadband=1, max_interval=10), samples) == [0, 10, 21, 31]


def test_late_samples_pass_and_change_nothing() -> None:
    samples = [(10, 1.0, GOOD), (5, 1.0, GOOD), (6, 9.0, GOOD), (11, 1.5, GOOD), (12, 9.0, GOOD)]
    assert _passed(Tag(deadband=1), samples) == [10, 5, 6, 12]


def test_a_corrected_sample_is_what_the_next_is_compared_with() -> None:
    samples = [(10, 1.0, GOOD), (10, 1.5, GOOD), (11, 2.25, GOOD), (12, 0.25, GOOD)]
    reporter = ExceptionReporter(Tag(deadband=1))
    assert [reporter.passes(*sample) for sample in samples] == [True, True, False, True]


@given(
    st.lists(st.tuples(st.integers(1, 20), st.floats(-10, 10), st.sampled_from(Quality))),
    st.floats(0, 5),
    st.none() | st.integers(1, 50),
)
def test_what_was_held_back_is_near_what_was_passed(
    steps: list[tuple[int, float, Quality]], deadband: float, max_interval: int | None
) -> None:
    reporter = ExceptionReporter(Tag(deadband=deadband, max_interval=max_interval))
    now, last = 0, None
    for step, value, quality in steps:
        now += step
        is_news = (
            last is None
            or quality != last[2]
            or abs(value - last[1]) > deadband
            or (max_interval is not None and now - last[0] >= max_interval)
        )
        assert reporter.passes(now, value, quality) == is_news
        if is_news:
            last = (now, value, quality)
