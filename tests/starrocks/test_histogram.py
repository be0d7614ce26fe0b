"""Percentiles of histograms against percentiles of the latencies themselves."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.starrocks.histogram import (
    BUCKETS,
    added,
    bounds,
    bucket_of,
    packed,
    percentile,
)

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
    texts = [packed(Counter(map(bucket_of, latencies))) for latencies in (busy, quiet)]
    truth = sorted(busy + quiet)[math.ceil(0.95 * 10_230) - 1]
    assert percentile(added(texts) or {}, 0.95) == pytest.approx(truth, rel=0.02)


def test_no_queries_have_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({7: 0}, 0.5) is None
    assert added([]) == {}


def test_parts_are_from_0_to_1() -> None:
    with pytest.raises(ValueError, match="95 is not a part"):
        percentile({1: 1}, 95)


@given(st.dictionaries(st.integers(0, BUCKETS - 1), st.integers(0, 2**40)))
def test_a_text_holds_all_queries(counts: dict[int, int]) -> None:
    assert added([packed(counts)]) == {
        bucket: queries for bucket, queries in counts.items() if queries
    }


def test_runs_bridge_short_gaps_only() -> None:
    counts = {7: 1, 8: 20, 13: 3, 19: 4, 30: 0}
    assert packed(counts) == '{"7":[1,20,0,0,0,0,3],"19":[4]}'
    assert packed({}) == "{}"


NO_HISTOGRAMS = {
    "no JSON": "x", "a list": "[1]", "a number": "7", "no bucket": '{"x":[1]}',
    "no run": '{"1":2}', "an empty run": '{"1":[]}', "parts": '{"1":[1.5]}',
    "flags": '{"1":[true]}', "less than none": '{"1":[-1]}',
    "before the first": '{"-1":[1]}', "too far": '{"2199":[1,1]}',
    "no object": "{}]", "a text": '{"1":"23"}', "too deep": "[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("text", NO_HISTOGRAMS.values(), ids=NO_HISTOGRAMS)
def test_nothing_is_known_where_a_text_is_no_histogram(text: str) -> None:
    assert added(['{"1":[1]}', text]) is None
