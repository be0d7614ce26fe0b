"""Percentiles of histograms against percentiles of the latencies themselves."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.starrocks.histogram import bounds, bucket_of, merged, percentile

LATENCIES = st.floats(1, 10**8)


@given(LATENCIES)
def test_a_latency_is_within_its_bucket(latency: float) -> None:
    low, high = bounds(bucket_of(latency))
    assert low * (1 - 1e-12) <= latency <= high * (1 + 1e-12)
    assert high / low == pytest.approx(1.0202)


@pytest.mark.parametrize("latency", [-5, 0, 0.2, 1])
def test_nothing_is_shorter_than_the_first_bucket(latency: float) -> None:
    assert bucket_of(latency) == 0


@given(st.lists(LATENCIES, min_size=1, max_size=300), st.floats(0, 1))
def test_percentiles_are_exact_to_two_per_cent(latencies: list[float], part: float) -> None:
    counts = Counter(bucket_of(latency) for latency in latencies)
    rank = max(1, math.ceil(part * len(latencies) - 1e-9))
    truth = sorted(latencies)[rank - 1]
    assert percentile(counts, part) == pytest.approx(truth, rel=0.02)


def test_percentiles_of_merged_histograms_are_those_of_all_queries() -> None:
    """A mean of percentiles would be far off: the busy hour has nearly all queries."""
    random = Random(1)
    busy = [random.lognormvariate(7, 0.5) for _ in range(10_000)]
    quiet = [random.lognormvariate(2, 0.5) for _ in range(23 * 10)]
    histograms = [Counter(map(bucket_of, latencies)) for latencies in (busy, quiet)]
    truth = sorted(busy + quiet)[math.ceil(0.95 * 10_230) - 1]
    assert percentile(merged(histograms), 0.95) == pytest.approx(truth, rel=0.02)


def test_no_queries_have_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({7: 0}, 0.5) is None
    assert merged([]) == {}


def test_parts_are_from_0_to_1() -> None:
    with pytest.raises(ValueError, match="95 is not a part"):
        percentile({1: 1}, 95)
