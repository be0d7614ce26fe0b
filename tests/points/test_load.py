"""Frames become points once, whoever loads them and however often."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

from gateway_assets.frames.frame import Frame, Kind
from gateway_assets.frames.log import open_log
from gateway_assets.points.kinds import EventPoint, LogLevel, LogPoint, MetricPoint
from gateway_assets.points.load import Batch, Loader
from gateway_assets.points.schema import open_points
from gateway_assets.points.writer import PointWriter
from gateway_assets.settings import load_settings


def test_frames_are_loaded_once(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    log = open_log(tmp_path / "frames" / "a")
    log.append(Kind.DATA, b"cpu,host=x a=1i,b=2.5 10\ncpu,host=x a=oops 11\n", 5)
    event = {"table": "events", "time": 7, "device_id": "d", "event_type": "start"}
    log.append(Kind.EVENT, json.dumps([event, event, {"table": "?"}]).encode(), 5)
    log.append(Kind.HEARTBEAT, b"", 6)
    with open_points(tmp_path / "points.db") as connection:
        loader = Loader(connection, settings)
        first = loader.load()
        assert (first.frames, first.points, first.entries, first.rejects) == (3, 2, 1, 2)
        assert loader.load().frames == 0
        log.append(Kind.DATA, b"# precision=s\ncpu,host=x a=9i 1\ncpu,host=x b=4", 77)
        log.close()
        assert Loader(connection, settings).load().points == 2
        assert Loader(connection, settings).load().frames == 0
        found = connection.execute(
            "SELECT field, time, value FROM points_described ORDER BY field, time"
        ).fetchall()
        # A line without a time has the frame's, cut to the unit as InfluxDB does.
        assert found == [("a", 10, 1.0), ("a", 10**9, 9.0), ("b", 0, 4.0), ("b", 10, 2.5)]
        assert connection.execute("SELECT count(*) FROM segments WHERE done").fetchone() == (1,)


def test_events_of_any_content(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    contents: list[object] = [None, 10**20, float("inf"), {"b": [1, None], "a": "°"}, "text", []]
    with PointWriter(settings) as writer:
        writer.write_events(
            [EventPoint(device_id="d", event_type="e", time=n, event_data=one)
             for n, one in enumerate(contents)]
        )  # fmt: skip
        writer.write_log(LogPoint(device_id="d", level=LogLevel.WARN, message="hot", time=1))
        writer.write_metric(MetricPoint(device_id="d", metric_name="m", metric_value=1, unit="K"))
        writer.write_metric(MetricPoint(device_id="d", metric_name="door", metric_value=True))
        writer.write_metric(MetricPoint(device_id="d", metric_name="state", metric_value="up"))
    with open_points(settings.points_database) as connection:
        done = Loader(connection, settings).load()
        assert (done.entries, done.points, done.rejects) == (7, 3, 0)
        query = "SELECT event_data FROM point_events ORDER BY time"
        found = [text for (text,) in connection.execute(query)]
        assert found == ["null", str(10**20), "null", '{"a":"°","b":[1,null]}', "text", "[]"]
        query = "SELECT metric, type, unit FROM series ORDER BY id"
        assert connection.execute(query).fetchall() == [
            ("m", "integer", "K"),
            ("door", "boolean", None),
            ("state", "string", None),
        ]


def test_a_frame_that_nobody_foresaw_stops_no_other(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    with closing(open_log(settings.frames / "a")) as log:
        log.append(Kind.DATA, b"cpu a=1 10", 5)
        log.append(Kind.DATA, b"cpu a=2 20", 5)
        log.append(Kind.DATA, b"cpu a=3 30", 5)
    with open_points(settings.points_database) as connection:
        connection.execute(
            "CREATE TEMP TRIGGER no BEFORE INSERT ON main.points WHEN new.value = 2 "
            "BEGIN SELECT RAISE(ABORT, 'not two'); END"
        )
        done = Loader(connection, settings).load()
        assert (done.frames, done.points, done.rejects) == (3, 2, 1)
        assert "not two" in connection.execute("SELECT reason FROM point_rejects").fetchone()[0]


class Overtaken(Loader):
    """A loader that another one overtakes between reading and writing."""

    other: Loader | None = None

    def _parse(self, frame: Frame, batch: Batch) -> None:
        if self.other:
            other, self.other = self.other, None
            assert other.load().frames == 1
        super()._parse(frame, batch)


def test_what_another_loader_has_is_not_counted_again(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    log = open_log(settings.frames / "a")
    log.append(Kind.DATA, b"cpu,host=x a=1i 10", 5)
    with (
        open_points(settings.points_database) as connection,
        open_points(settings.points_database) as another,
    ):
        loader = Overtaken(connection, settings)
        loader.other = Loader(another, settings)
        assert loader.load().frames == 0
        assert connection.execute("SELECT frames, points FROM segments").fetchall() == [(1, 1)]
    log.close()
