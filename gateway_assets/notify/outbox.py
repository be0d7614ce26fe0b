"""Notifications are written in the transaction of the step that they tell of, and sent later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import exists, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from gateway_assets.notify.sink import Message, State
from gateway_assets.registry.alerts import Alert, Channel, Notice, RuleChannel
from gateway_assets.registry.words import NoticeStatus
from gateway_assets.settings import Settings

_LONGEST_TEXT = 4_000
_ROWS_AT_ONCE = 1_000


class Telling(NamedTuple):
    """Step ``seq`` of an alert, as the channels are to tell it; ``message`` is the alert's unless
    given.
    """

    alert: Alert
    seq: int
    state: State
    value: float | None
    message: str | None = None


def enqueue_all(
    session: Session, settings: Settings, now: datetime, tellings: Iterable[Telling]
) -> int:
    """Write a notification of each step for each channel of its rule; how many are new.

    The same step again changes nothing. What is of one rule goes out together.
    """
    channels: dict[str, list[str]] = {}
    rows = []
    for one in tellings:
        rule = one.alert.rule_id
        if rule not in channels:
            channels[rule] = channels_of(session, rule)
        rows += _rows(one, channels[rule], now, settings)
    return sum(
        _inserted(session, rows[start : start + _ROWS_AT_ONCE])
        for start in range(0, len(rows), _ROWS_AT_ONCE)
    )


def enqueue(
    session: Session,
    alert: Alert,
    *,
    seq: int,
    state: State,
    value: float | None,
    now: datetime,
    settings: Settings,
    message: str | None = None,
    url: str = "",
    group_key: str | None = None,
    channels: Sequence[str] | None = None,
) -> int:
    """Write a notification of step ``seq`` of an alert for each channel; how many are new.

    The same step again changes nothing. ``message`` is the alert's unless given. Channels (ids)
    are those of the rule unless given; what has the same ``group_key``, unless given the rule's
    id, goes out together. All steps of an alert need the same, for they keep their order in it.
    """
    ids = channels_of(session, alert.rule_id) if channels is None else channels
    telling = Telling(alert, seq, state, value, message)
    rows = _rows(telling, ids, now, settings, url=url, group_key=group_key)
    return _inserted(session, rows) if rows else 0


def _rows(
    telling: Telling,
    channels: Sequence[str],
    now: datetime,
    settings: Settings,
    *,
    url: str = "",
    group_key: str | None = None,
) -> list[dict[str, Any]]:
    alert = telling.alert
    told = Message(
        alert_id=alert.id,
        rule=alert.rule_name,
        device=alert.device_name,
        tag=alert.tag_name,
        series=alert.series,
        level=alert.level,
        state=telling.state,
        value=telling.value,
        threshold=alert.threshold_value,
        fired_at=alert.fired_at,
        resolved_at=alert.resolved_at,
        message=(alert.message if telling.message is None else telling.message)[:_LONGEST_TEXT],
        group_key=group_key or f"rule:{alert.rule_id}",
        seq=telling.seq,
        url=url,
    )
    return [
        {
            "config_id": channel,
            "rule_id": alert.rule_id,
            "series": alert.series,
            "seq": told.seq,
            "group_key": told.group_key,
            "payload": told.to_dict(),
            "due_at": now + timedelta(seconds=settings.notify_group_seconds),
            "created_at": now,
        }
        for channel in channels
    ]


def channels_of(session: Session, rule_id: str) -> list[str]:
    """Ids of the enabled channels that a rule tells: its own, or all where it names none."""
    query = select(Channel.id).where(Channel.enabled).order_by(Channel.name)
    own = select(RuleChannel).where(RuleChannel.rule_id == rule_id)
    if session.scalar(select(own.exists())):
        query = query.where(
            exists().where(RuleChannel.config_id == Channel.id, RuleChannel.rule_id == rule_id)
        )
    return list(session.scalars(query))


def requeue(session: Session, now: datetime, ids: Sequence[int] | None = None) -> int:
    """Give DEAD notifications, all or those of ``ids``, another ``notify_attempts``; how many.

    They may tell of less than what was sent meanwhile: a receiver goes by ``seq``.
    """
    statement = (
        update(Notice)
        .where(Notice.status == NoticeStatus.DEAD)
        .values(status=NoticeStatus.PENDING, attempts=0, due_at=now)
    )
    if ids is not None:
        statement = statement.where(Notice.id.in_(ids))
    return len(session.scalars(statement.returning(Notice.id)).all())


def _inserted(session: Session, rows: list[dict[str, Any]]) -> int:
    is_postgres = session.get_bind().dialect.name == "postgresql"
    insert = postgresql.insert if is_postgres else sqlite.insert
    statement = insert(Notice).values(rows).on_conflict_do_nothing()
    return len(session.scalars(statement.returning(Notice.id)).all())
