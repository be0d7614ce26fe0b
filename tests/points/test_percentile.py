"""Percentiles of raw values, against the textbook and against DuckDB."""

from __future__ import annotations

import math

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_assets.points.percentile import percentile

_values = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=50)


def _between_ranks(values: list[float], part: float) -> float:
    ordered = sorted(values)
    rank = part * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


@given(_values, st.floats(0, 1))
def test_between_the_closest_ranks(values: list[float], part: float) -> None:
    found = percentile(np.array(values), part)
    assert found == pytest.approx(_between_ranks(values, part), rel=1e-9, abs=1e-5)


@pytest.mark.parametrize("part", [0, 0.25, 0.5, 0.95, 0.99, 1])
def test_as_duckdb_does(part: float) -> None:
    values = np.random.default_rng(7).normal(50, 10, 1001)
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT quantile_cont(value, $part::DOUBLE) FROM (SELECT unnest($values) AS value)",
            {"part": part, "values": values.tolist()},
        ).fetchall()
    assert percentile(values, part) == pytest.approx(rows[0][0], rel=1e-12)


def test_what_is_not_finite_is_left_out() -> None:
    assert percentile(np.array([1.0, math.nan, 3.0, math.inf]), 0.5) == 2.0
    assert math.isnan(percentile(np.array([math.nan]), 0.5))
    assert math.isnan(percentile(np.array([]), 0.5))


@pytest.mark.parametrize("part", [-0.1, 1.1, 95, math.nan])
def test_a_part_is_from_0_to_1(part: float) -> None:
    with pytest.raises(ValueError, match="not a part"):
        percentile(np.array([1.0]), part)
