"""The official clients of InfluxDB write, and what they wrote is there."""

from __future__ import annotations

from typing import Any

import influxdb_client
import pytest
from influxdb import InfluxDBClient  # type: ignore[import-untyped]
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
from influxdb_client_3 import InfluxDBClient3
from influxdb_client_3.exceptions.exceptions import InfluxDBError

from tests.serve.conftest import Server

# The clients have annotations in part only.
Client2: Any = influxdb_client.InfluxDBClient  # type: ignore[attr-defined]
Point: Any = influxdb_client.Point  # type: ignore[attr-defined]
Client3: Any = InfluxDBClient3
NOW = 1_790_000_000_000_000_000


def values(server: Server, measurement: str) -> list[tuple[Any, ...]]:
    return server.rows(
        "SELECT field, time, coalesce(text, value) FROM points_described "
        f"WHERE measurement = '{measurement}' ORDER BY field, time"
    )


def test_version_1(server: Server) -> None:
    client = InfluxDBClient("127.0.0.1", server.port, "root", "root", "plant", gzip=True)
    assert client.ping() == "1.8.10"
    client.create_database("plant")
    assert client.get_list_database() == []
    client.write_points(
        [
            {
                "measurement": "pump",
                "tags": {"device": "p 7"},
                "time": NOW // 10**6,
                "fields": {"rpm": 2**62 + 1, "on": True, "note": 'a "b"', "flow": 1.5},
            }
        ],
        time_precision="ms",
    )
    client.close()
    assert values(server, "pump") == [
        ("flow", NOW, 1.5),
        ("note", NOW, 'a "b"'),
        ("on", NOW, 1.0),
        ("rpm", NOW, str(2**62 + 1)),
    ]


def test_version_2(server: Server) -> None:
    with Client2(server.url, "token", org="o", enable_gzip=True) as client:
        assert client.ping()
        with client.write_api() as batching:
            for number in range(2500):
                point = Point("cpu").tag("host", "h").field("usage", float(number))
                batching.write("b", record=point.time(NOW + number))
        with client.write_api(write_options=SYNCHRONOUS) as write:
            with pytest.raises(ApiException) as refused:
                write.write("b", record="cpu,host=h usage=oops\ncpu,host=h usage=3")
            assert refused.value.status == 400
            assert "unable to parse 'cpu,host=h usage=oops'" in refused.value.message
            with pytest.raises(ApiException) as refused:
                write.write("b", record=f'cpu,host=h usage="text" {NOW}')
            assert refused.value.status == 422
    wanted = [("usage", NOW + number, float(number)) for number in range(2500)]
    assert values(server, "cpu") == wanted


def test_version_3(server: Server) -> None:
    with Client3(host=server.url, token="t", database="d") as client:
        client.write(f"room,device=a celsius=21.5 {NOW}")
    strict = {"write_use_v2_api": False, "write_accept_partial": False}
    with Client3(host=server.url, token="t", database="d", **strict) as client:
        client.write(f"room,device=a celsius=22 {NOW + 1}")
        with pytest.raises(InfluxDBError) as refused:
            client.write(f'room,device=a celsius=23 {NOW + 2}\nroom,device=a celsius="warm"')
        assert "already exists as type float" in str(refused.value)
    assert values(server, "room") == [("celsius", NOW, 21.5), ("celsius", NOW + 1, 22.0)]
