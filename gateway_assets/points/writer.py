"""PointWriter: metrics, logs and events from Python, durable when the call returns.

Each process writes a frame log of its own, below ``data/frames``; the loader takes what is in them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from gateway_assets.frames.frame import Kind
from gateway_assets.frames.log import Durability, open_log
from gateway_assets.points.encode import encode
from gateway_assets.points.journals import EVENTS, LOGS, canonical
from gateway_assets.points.kinds import EventPoint, LogPoint, MetricPoint
from gateway_assets.points.series import METRICS_MEASUREMENT
from gateway_assets.settings import Settings


class PointWriter:
    """Appends to the frame log of ``instance``; use it as a context, or close it.

    Raises Busy when another process writes that log. ``durability`` is ``sync`` (on disk when a
    call returns) or ``async`` (on disk some tenths of a second later).
    """

    def __init__(
        self, settings: Settings, *, instance: str = "python", durability: Durability = "sync"
    ) -> None:
        self._log = open_log(settings.frames / instance, durability=durability)

    def write_metric(self, point: MetricPoint) -> None:
        self.write_metrics([point])

    def write_metrics(self, points: Sequence[MetricPoint]) -> None:
        """Write values; all of them or, with an error, none is acknowledged.

        Raises FramesUnavailable (transient) when the disk refuses them.
        """
        now = time.time_ns()
        self.write_lines(b"".join(_line(point, now) for point in points))

    def write_log(self, point: LogPoint) -> None:
        self.write_logs([point])

    def write_logs(self, points: Sequence[LogPoint]) -> None:
        self._write_entries(LOGS, points)

    def write_event(self, point: EventPoint) -> None:
        self.write_events([point])

    def write_events(self, points: Sequence[EventPoint]) -> None:
        self._write_entries(EVENTS, points)

    def write_lines(self, body: bytes) -> None:
        """Line protocol with times in nanoseconds; what cannot be read is kept as a reject."""
        if body:
            self._log.append(Kind.DATA, body, time.time_ns())

    def close(self) -> None:
        self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _write_entries(self, table: str, points: Sequence[LogPoint | EventPoint]) -> None:
        if not points:
            return
        now = time.time_ns()
        rows = [_row(table, point, now) for point in points]
        self._log.append(Kind.EVENT, canonical(rows).encode(), now)


def _line(point: MetricPoint, now: int) -> bytes:
    tags = {"device_id": point.device_id, "metric_name": point.metric_name, **point.tags}
    # A field has one type, whichever device's metric it is of.
    fields: dict[str, Any] = {_field(point.metric_value): point.metric_value}
    if point.unit:
        fields["unit"] = point.unit
    return encode(METRICS_MEASUREMENT, tags, fields, now if point.time is None else point.time)


def _field(value: object) -> str:
    if isinstance(value, str):
        return "text"
    return "state" if isinstance(value, bool) else "value"


def _row(table: str, point: LogPoint | EventPoint, now: int) -> dict[str, Any]:
    row = json.loads(point.model_dump_json())
    return {**row, "table": table, "time": now if point.time is None else point.time}
