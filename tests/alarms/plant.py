"""A plant of some devices, with rules that look at what they measure."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from gateway_assets.alarms.engine import Engine, Evaluated
from gateway_assets.points.load import Loader
from gateway_assets.points.schema import open_points
from gateway_assets.points.spool import spool
from gateway_assets.registry.alerts import Alert, AlertRule, Channel, Instance, Notice, Transition
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.words import ChannelType, CompareOp, Protocol, TagType
from gateway_assets.settings import Settings

SECOND = 10**9
STARTED = datetime(2026, 3, 1, tzinfo=UTC)
T0 = int(STARTED.timestamp()) * SECOND


class Plant:
    """Devices with one tag each, ``temperature``; times are seconds after the rules began."""

    def __init__(self, settings: Settings, registry: Registry, points: sqlite3.Connection) -> None:
        self.settings, self.registry, self.points = settings, registry, points
        self.engine = Engine(settings, registry, points)
        self._loader = Loader(points, settings)

    def restart(self) -> None:
        self.engine = Engine(self.settings, self.registry, self.points)

    def device(self, name: str, **given: Any) -> Tag:
        with self.registry.writing() as session:
            device = Device(name=name, protocol=Protocol.MODBUS_TCP, endpoint="tcp://plc")
            session.add(device)
            session.flush()
            fields = {"name": "temperature", "address": "1", "data_type": TagType.FLOAT}
            tag = Tag(device_id=device.id, **{**fields, **given})
            session.add(tag)
            session.flush()
            return tag

    def rule(self, tag: Tag | None = None, **given: Any) -> str:
        """By default: above 80, at once, without a cooldown."""
        fields: dict[str, Any] = {
            "name": "hot",
            "op": CompareOp.GT,
            "threshold_value": 80.0,
            "cooldown_duration": 0,
            "activated_at": STARTED,
        }
        where = {"fleet": True, "metric": "temperature"} if tag is None else {"tag_id": tag.id}
        with self.registry.writing() as session:
            rule = AlertRule(**{**fields, **where, **given})
            session.add(rule)
            session.flush()
            return rule.id

    def channel(self) -> None:
        with self.registry.writing() as session:
            session.add(Channel(name="log", type=ChannelType.LOG, config={}))

    def write(self, device: str, values: Sequence[tuple[float, float | str]]) -> None:
        self.send(device, values)
        self.load()

    def load(self) -> None:
        self._loader.load()

    def send(self, device: str, values: Sequence[tuple[float, float | str]]) -> None:
        """Values as line protocol has them: 81.5, or ``"81i,quality=0i"``. They wait to be
        loaded.
        """
        text = "".join(
            f"device_data,device_id={device},tag_name=temperature value={value} "
            f"{T0 + round(at * SECOND)}\n"
            for at, value in values
        )
        told = spool(self.settings, io.BytesIO(text.encode()), "ns")
        assert not told.rejects

    def run(self, at: float = 0) -> Evaluated:
        return self.engine.run(T0 + round(at * SECOND))

    def feed(self, device: str, values: Sequence[tuple[float, float | str]]) -> None:
        self.write(device, values)
        self.run()

    def alerts(self) -> list[Alert]:
        with self.registry.reading() as session:
            query = select(Alert).order_by(Alert.fired_at, Alert.series)
            return list(session.scalars(query))

    def steps(self, device: str = "") -> list[tuple[float, str, str, str]]:
        """Seconds, from, to and reason of every step, of one device."""
        query = select(Transition).order_by(Transition.rule_id, Transition.series, Transition.seq)
        with self.registry.reading() as session:
            found = session.scalars(query.where(Transition.series.contains(f'"{device}')))
            return [
                ((one.event_ns - T0) / SECOND, one.from_state, one.to_state, one.reason)
                for one in found
            ]

    def conditions(self) -> list[str]:
        with self.registry.reading() as session:
            query = select(Instance.condition).order_by(Instance.series, Instance.rule_id)
            return list(session.scalars(query))

    def notices(self) -> list[str]:
        with self.registry.reading() as session:
            query = select(Notice).order_by(Notice.id)
            return [one.payload["state"] for one in session.scalars(query)]


@contextmanager
def running_plant(settings: Settings, registry: Registry) -> Iterator[Plant]:
    with open_points(settings.points_database) as points:
        yield Plant(settings, registry, points)
