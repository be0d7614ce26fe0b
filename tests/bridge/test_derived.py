"""Points, logs and events under other systems' names, from both tiers, no file read in vain."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway_assets.bridge.bridge import UnifiedQueryBridge
from gateway_assets.errors import QueryError
from gateway_assets.points.schema import open_points
from gateway_assets.settings import Settings, load_settings
from tests.tiers.places import OLD, TODAY, archive, declare, make

NS = 10**9
DAYS = (OLD, OLD + 1, OLD + 2, TODAY - 1)  # the last one stays hot


def ns(day: int, nanoseconds: int = 0) -> int:
    return day * 86_400 * NS + nanoseconds


def moment(day: int, microseconds: int = 0) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day, microseconds=microseconds)


def point(series: int, day: int, measurement: str, device: str, **more: Any) -> dict[str, Any]:
    row = {"value": float(day), "text": None, "quality": None, "metric": "temp", **more}
    tags = {"device_id": device, "metric_name": row["metric"], "site": f"s{series}"}
    return row | {
        "measurement": measurement,
        "device": device,
        "tags": json.dumps(tags),
        "field": f"value{series}",
        "time": ns(day, 1_500),
    }


def insert(connection: sqlite3.Connection, row: dict[str, Any]) -> None:
    connection.execute(
        "INSERT INTO series (measurement, tags, field, type, device, metric, unit, first_seen) "
        "VALUES (:measurement, :tags, :field, 'float', :device, :metric, '°C', 0) "
        "ON CONFLICT DO NOTHING",
        row,
    )
    connection.execute(
        "INSERT INTO points SELECT id, :time, :value, :text, :quality FROM series "
        "WHERE measurement = :measurement AND tags = :tags AND field = :field",
        row,
    )


@pytest.fixture
def settings() -> Settings:
    """Each day has a device of its own, so that files differ in their devices."""
    found = load_settings()
    rows = [point(1, day, "device_metrics", f"d{n}") for n, day in enumerate(DAYS)]
    rows += [
        point(2, day, "device_data", "a", metric="t1", quality=n % 3 or None)
        for n, day in enumerate(DAYS)
    ]
    rows += [point(3, DAYS[0], "cpu", "b", metric="cpu.usage"), point(4, DAYS[3], "other", "x")]
    rows += [point(5, DAYS[1], "device_metrics", "d1", value=None, text="on")]
    with open_points(found.points_database) as connection:
        for row in rows:
            insert(connection, row)
        for day in DAYS:
            connection.execute(
                "INSERT INTO point_logs VALUES (NULL, ?, 'd', 'info', ?, NULL, '{}', x'00')",
                (ns(day), f"m{day}"),
            )
            connection.execute(
                "INSERT INTO point_events VALUES (NULL, ?, 'd', 'start', 'low', '{}', '{}', x'00')",
                (ns(day),),
            )
    for name in ("points", "point_logs", "point_events"):
        archive(found, name)
    return found


def asked(settings: Settings, text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows, and what was read of the one table below."""
    with UnifiedQueryBridge(settings) as bridge:
        told = bridge.explained(text)[1].to_dict()["tables"]
        return bridge.rows(text), told[0]


def test_both_tiers_are_one(settings: Settings) -> None:
    rows, told = asked(
        settings, "SELECT * FROM device_metrics ORDER BY time, metric_text NULLS FIRST"
    )
    assert (told["tier"], told["files_known"]) == ("hot + cold", 3)
    assert rows[0] == {
        "time": moment(DAYS[0], 1),
        "device_id": "d0",
        "metric_name": "temp",
        "metric_value": float(DAYS[0]),
        "metric_text": None,
        "unit": "°C",
        "tags": '{"site":"s1"}',
    }
    assert [row["device_id"] for row in rows] == ["d0", "d1", "d1", "d2", "d3"]
    assert (rows[2]["metric_value"], rows[2]["metric_text"]) == (None, "on")


def test_the_others(settings: Settings) -> None:
    rows, _ = asked(
        settings, "SELECT time, tag_name, value, quality, tags FROM device_data ORDER BY 1"
    )
    assert [row["quality"] for row in rows] == [2, 1, 2, 2]
    assert (rows[0]["tag_name"], rows[0]["time"]) == ("t1", moment(DAYS[0], 1))
    rows, _ = asked(settings, "SELECT host, measurement, metric, tags FROM system_metrics")
    assert [tuple(row.values())[:3] for row in rows] == [("b", "cpu", "cpu.usage")]
    rows, _ = asked(settings, "SELECT time, message, level FROM device_logs ORDER BY time")
    assert [(row["time"], row["message"]) for row in rows] == [(moment(d), f"m{d}") for d in DAYS]
    rows, _ = asked(settings, "SELECT count(*) AS n, min(time) AS first FROM device_events")
    assert rows == [{"n": 4, "first": moment(DAYS[0])}]


@pytest.mark.parametrize(
    ("where", "devices", "hot", "cold"),
    [
        pytest.param("time >= '{1}' AND time < '{2}'", ["d1", "d1"], 0, 3, id="range"),
        pytest.param("time >= '{2}'::TIMESTAMPTZ", ["d2", "d3"], 1, 2, id="open end"),
        pytest.param("time < '{1}'", ["d0"], 0, 3, id="open beginning"),
        pytest.param("time BETWEEN '{1}' AND '{2}'", ["d1", "d1"], 0, 3, id="between"),
        pytest.param("device_id = 'd2'", ["d2"], 0, 2, id="device"),
        pytest.param("device_id IN ('d0', 'd3')", ["d0", "d3"], 1, 8, id="devices"),
        pytest.param("metric_value < 0", [], 1, 8, id="value"),
    ],
)
def test_no_file_is_read_in_vain(
    where: str, devices: list[str], hot: int, cold: int, settings: Settings
) -> None:
    condition = where.format(*(moment(day).isoformat() for day in DAYS))
    query = f"SELECT device_id FROM device_metrics WHERE {condition} ORDER BY 1"
    rows, told = asked(settings, query)
    assert [row["device_id"] for row in rows] == devices
    assert (told["hot_rows"], told["cold_rows"]) == (hot, cold)  # of whole files


def test_a_moment_is_found_by_what_is_shown_of_it(settings: Settings) -> None:
    """Nanosecond 1,500 of a day is shown as its microsecond 1."""
    for condition, found in (("=", 1), (">=", 1), ("<=", 1), ("<", 0), (">", 0)):
        query = (
            f"SELECT count(*) AS n FROM device_metrics WHERE device_id = 'd3' "
            f"AND time {condition} '{moment(DAYS[3], 1).isoformat()}'"
        )
        assert asked(settings, query)[0] == [{"n": found}], condition


def test_in_one_statement_with_the_table_below(settings: Settings) -> None:
    query = f"""
        WITH bounds AS (SELECT max(time) AS last FROM points WHERE time < {ns(DAYS[1])})
        SELECT m.device_id, d.tag_name, last FROM device_metrics m JOIN device_data d
            ON d.time = m.time CROSS JOIN bounds WHERE m.time >= '{moment(DAYS[3]).isoformat()}'
    """
    rows, _ = asked(settings, query)
    assert rows == [{"device_id": "d3", "tag_name": "t1", "last": ns(DAYS[0], 1_500)}]
    assert asked(settings, "SELECT count(*) AS n FROM device_metrics")[0] == [{"n": 5}]
    described, _ = asked(settings, "DESCRIBE device_logs")
    assert described[0]["column_type"] == "TIMESTAMP WITH TIME ZONE"


@pytest.mark.parametrize("name", ["gateway rows of device_metrics", "device_metrics_hot"])
def test_what_is_behind_cannot_be_named(name: str, settings: Settings) -> None:
    with UnifiedQueryBridge(settings) as bridge, pytest.raises(QueryError, match="no table"):
        bridge.rows(f'SELECT * FROM "{name}", device_metrics')


def test_in_a_connection_of_somebodys_own(settings: Settings) -> None:
    with UnifiedQueryBridge(settings) as bridge:
        for tables in (["device_metrics", "device_data"], []):
            with bridge.connect(*tables) as connection:
                query = "SELECT count(*) FROM device_metrics JOIN device_data USING (time)"
                assert connection.execute(query).fetchall() == [(5,)]


def test_a_declared_table_goes_before_a_view(settings: Settings) -> None:
    make("CREATE TABLE device_logs (at TEXT, x INTEGER)", "device_logs", [("2024-01-01", 1)])
    own = declare("device_logs", time="at", time_format="date")
    assert asked(own, "SELECT x FROM device_logs")[0] == [{"x": 1}]


def test_without_points_there_is_none() -> None:
    with UnifiedQueryBridge(load_settings()) as bridge, pytest.raises(QueryError, match="no table"):
        bridge.rows("SELECT * FROM device_metrics")
