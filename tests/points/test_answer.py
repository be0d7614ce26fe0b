"""Answers equal those computed from all points in plain Python, whatever came when."""

from __future__ import annotations

import math
import sqlite3
import statistics
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.hot.store import writing
from gateway_assets.points.answer import answer
from gateway_assets.points.dirty import mark
from gateway_assets.points.levels import DAY, HOUR, MINUTE
from gateway_assets.points.line_protocol import Parser
from gateway_assets.points.query import Aggregation, TimeSeriesQuery
from gateway_assets.points.refresh import refresh
from gateway_assets.points.rows import rows_of
from gateway_assets.points.schema import open_points
from gateway_assets.points.series import Registry
from gateway_assets.points.write import write as write_rows
from gateway_assets.settings import load_settings

START = 1_790_000_000 * 10**9 // DAY * DAY


def write(
    connection: sqlite3.Connection,
    bridge: UnifiedQueryBridge,
    points: list[tuple[str, int, float]],
) -> None:
    body = "\n".join(f"m,device={device} value={value} {time}" for device, time, value in points)
    with writing(connection):
        found = rows_of(Parser().parse(body.encode(), now=0).lines, Registry(connection))
        mark(connection, write_rows(connection, bridge, found.rows), 0)


moments = st.integers(0, 3 * 1440 * 6).map(lambda tenth: START + tenth * 10 * 10**9)
point = st.tuples(st.sampled_from("ab"), moments, st.integers(-50, 50).map(float))
batches = st.lists(st.tuples(st.lists(point, max_size=30), st.booleans()), min_size=1, max_size=5)
EXPECTED: dict[Aggregation, Callable[[list[float]], float | None]] = {
    Aggregation.AVG: statistics.fmean,
    Aggregation.SUM: math.fsum,
    Aggregation.MIN: min,
    Aggregation.MAX: max,
    Aggregation.COUNT: len,
    Aggregation.FIRST: lambda values: values[0],
    Aggregation.LAST: lambda values: values[-1],
    Aggregation.STDDEV: lambda values: statistics.stdev(values) if len(values) > 1 else None,
}


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    batches=batches,
    start=st.integers(0, 3 * 1440 * 60).map(lambda s: START + s * 10**9),
    length=st.integers(0, 3 * 86_400).map(lambda s: s * 10**9),
    bucket=st.sampled_from([None, 7 * 10**9, MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY, 2 * DAY]),
    aggregation=st.sampled_from(sorted(EXPECTED)),
)
def test_equal(
    tmp_path_factory: pytest.TempPathFactory,
    batches: list[tuple[list[tuple[str, int, float]], bool]],
    start: int,
    length: int,
    bucket: int | None,
    aggregation: Aggregation,
) -> None:
    settings = load_settings(
        data_dir=tmp_path_factory.mktemp("data"),
        points_keep_days=36_500,
        minutes_keep_days=36_500,
        hours_keep_days=36_500,
    )
    stored: dict[tuple[str, int], float] = {}
    with (
        open_points(settings.points_database) as connection,
        UnifiedQueryBridge(settings) as bridge,
    ):
        for points, then_refresh in batches:
            write(connection, bridge, points)
            stored.update({(device, time): value for device, time, value in points})
            if then_refresh:
                refresh(connection, settings)
        asked = TimeSeriesQuery(
            start=start, end=start + length, aggregation=aggregation, bucket=bucket
        )
        found = {
            (one.series.device, time): value
            for one in answer(connection, bridge, asked)
            for time, value in zip(one.times, one.values, strict=True)
        }
    expected: dict[tuple[str, int], list[float]] = {}
    for (device, time), value in sorted(stored.items()):
        if start <= time < start + length:
            begin = start if bucket is None else time // bucket * bucket
            expected.setdefault((device, begin), []).append(value)
    wanted = {key: EXPECTED[aggregation](values) for key, values in expected.items()}
    wanted = {key: value for key, value in wanted.items() if value is not None or bucket is None}
    assert found.keys() == wanted.keys()
    for key, expected_value in wanted.items():
        assert found[key] == pytest.approx(expected_value, abs=1e-9), key
