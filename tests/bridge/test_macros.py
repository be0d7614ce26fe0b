"""Functions for time series give what they say, and faster ones the same as DuckDB's own."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import duckdb
import pytest

from gateway_assets.bridge.engine import Engine
from gateway_assets.bridge.macros import MACROS
from gateway_assets.settings import Settings

SAMPLES = """
CREATE TEMP TABLE samples AS FROM (VALUES
    ('2026-01-01 00:05'::TIMESTAMPTZ, 1.0::DOUBLE),
    ('2026-01-01 02:05'::TIMESTAMPTZ, 3.0),
    ('2026-01-01 02:07'::TIMESTAMPTZ, 5.0)) AS t(time, v)
"""
FILLED = """
WITH filled AS (
    SELECT bucket, last_value_at(v, time) AS v FROM buckets(
        INTERVAL 1 HOUR, '2026-01-01 00:30'::TIMESTAMPTZ, '2026-01-01 04:00'::TIMESTAMPTZ)
    LEFT JOIN samples ON time_bucket(INTERVAL 1 HOUR, time) = bucket GROUP BY bucket)
"""


@pytest.fixture
def session(settings: Settings) -> Iterator[duckdb.DuckDBPyConnection]:
    engine = Engine(settings)
    with engine.session() as session:
        session.execute(SAMPLES)
        yield session
    engine.close()


def test_gaps_are_filled(session: duckdb.DuckDBPyConnection) -> None:
    query = (
        f"{FILLED} SELECT v, locf(v, bucket), interpolate(v, bucket) FROM filled ORDER BY bucket"
    )
    assert session.execute(query).fetchall() == [
        (1.0, 1.0, 1.0),
        (None, 1.0, 3.0),
        (5.0, 5.0, 5.0),
        (None, 5.0, 7.0),
    ]


def test_the_first_and_last_value_of_a_group(session: duckdb.DuckDBPyConnection) -> None:
    query = "SELECT first_value_at(v, time), last_value_at(v, time) FROM samples"
    assert session.execute(query).fetchall() == [(1.0, 5.0)]


def test_every_function_has_an_example_of_itself() -> None:
    for macro in MACROS:
        name = macro.call.partition("(")[0]
        assert f"{name}(" in macro.example
        assert f"MACRO {name}(" in macro.create


@pytest.mark.parametrize("part", ["second", "minute", "hour", "day", "week", "month", "year"])
def test_date_trunc_of_utc_is_duckdbs_own(session: duckdb.DuckDBPyConnection, part: str) -> None:
    assert_same(session, f"date_trunc('{part}', t)", f"system.main.date_trunc('{part}', t)")


@pytest.mark.parametrize("width", ["7 SECONDS", "5 MINUTES", "1 DAY", "3 DAYS", "1 MONTH"])
def test_time_bucket_of_utc_is_duckdbs_own(session: duckdb.DuckDBPyConnection, width: str) -> None:
    given = f"INTERVAL {width}"
    assert_same(session, f"time_bucket({given}, t)", f"system.main.time_bucket({given}, t)")


def assert_same(session: duckdb.DuckDBPyConnection, ours: str, theirs: str) -> None:
    pick = Random(ours)
    moments = [pick.randrange(-(2**52), 2**52) for _ in range(500)]
    for kind in ("TIMESTAMPTZ", "TIMESTAMP", "DATE"):
        source = f"(SELECT make_timestamptz(unnest(?))::{kind} AS t UNION ALL SELECT NULL)"
        query = f"SELECT t, {ours} AS a, {theirs} AS b FROM {source} WHERE a IS DISTINCT FROM b"
        assert session.execute(query, [moments]).fetchall() == []


def test_another_time_zone_keeps_its_days(settings: Settings) -> None:
    engine = Engine(settings, "Europe/Berlin")
    query = "SELECT date_trunc('day', '2026-07-01 23:30:00+00'::TIMESTAMPTZ)::VARCHAR"
    with engine.session() as session:
        assert session.execute(query).fetchall() == [("2026-07-02 00:00:00+02",)]
    engine.close()
