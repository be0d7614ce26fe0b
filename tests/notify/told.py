"""Rules, alerts and channels to tell of, and a clock that tests set."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sqlalchemy import select

from gateway_assets.notify.outbox import enqueue
from gateway_assets.notify.sink import Message, State
from gateway_assets.registry.alerts import Alert, AlertRule, Channel, Notice
from gateway_assets.registry.database import Registry
from gateway_assets.registry.words import AlertLevel, AlertStatus, ChannelType, CompareOp
from gateway_assets.settings import Settings

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Clock:
    """Stands still until a test sets it forward."""

    def __init__(self, moment: datetime = NOON) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def never() -> float:
    """Chance that takes nothing off a delay."""
    return 0.0


def message(**given: Any) -> Message:
    fields: dict[str, Any] = {
        "alert_id": "a1",
        "rule": "hot",
        "device": "PLC-1",
        "tag": "temperature",
        "series": "s",
        "level": AlertLevel.WARNING,
        "state": State.FIRING,
        "value": 91.5,
        "threshold": 80.0,
        "fired_at": NOON,
        "resolved_at": None,
        "message": "too hot",
        "group_key": "g",
        "seq": 1,
    }
    return Message(**{**fields, **given})


def add_rule(registry: Registry, name: str = "hot") -> str:
    rule = AlertRule(
        name=name, fleet=True, metric="temperature", op=CompareOp.GT, threshold_value=80.0
    )
    with registry.writing() as session:
        session.add(rule)
        session.flush()
        return rule.id


def add_channel(registry: Registry, name: str, kind: str = "log", **config: Any) -> str:
    enabled = config.pop("enabled", True)
    channel = Channel(name=name, type=ChannelType(kind), config=config, enabled=enabled)
    with registry.writing() as session:
        session.add(channel)
        session.flush()
        return channel.id


def alert_of(rule_id: str, series: str = "s", **given: Any) -> Alert:
    fields: dict[str, Any] = {
        "id": str(uuid5(NAMESPACE_URL, series)),
        "rule_name": "hot",
        "rule_version": 1,
        "device_name": "PLC-1",
        "tag_name": "temperature",
        "occurrence": 1,
        "condition_since": NOON,
        "fired_at": NOON,
        "threshold_value": 80.0,
        "level": AlertLevel.WARNING,
        "status": AlertStatus.ACTIVE,
        "message": "too hot",
    }
    return Alert(rule_id=rule_id, series=series, **{**fields, **given})


def tell(
    registry: Registry,
    settings: Settings,
    rule_id: str,
    seq: int,
    series: str = "s",
    state: State = State.FIRING,
    now: datetime = NOON,
    **given: Any,
) -> int:
    with registry.writing() as session:
        alert = alert_of(rule_id, series)
        options = {"value": 91.5, "now": now, "settings": settings, **given}
        return enqueue(session, alert, seq=seq, state=state, **options)


def notices(registry: Registry) -> list[Notice]:
    with registry.reading() as session:
        return list(session.scalars(select(Notice).order_by(Notice.id)))


def statuses(registry: Registry) -> list[str]:
    return [str(notice.status) for notice in notices(registry)]
