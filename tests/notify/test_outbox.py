"""Writing notifications: for whom, once, and with the step or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from gateway_assets.notify.outbox import channels_of, enqueue, requeue
from gateway_assets.notify.sink import Message, State
from gateway_assets.registry.alerts import Notice, RuleChannel
from gateway_assets.registry.database import Registry
from gateway_assets.registry.words import NoticeStatus
from gateway_assets.settings import Settings
from tests.notify.told import (
    NOON,
    add_channel,
    add_rule,
    alert_of,
    message,
    notices,
    statuses,
    tell,
)


def test_what_is_written(registry: Registry, registry_settings: Settings) -> None:
    rule, channel = add_rule(registry), add_channel(registry, "ops")
    assert tell(registry, registry_settings, rule, 1, value=float("inf"), url="http://x") == 1
    (notice,) = notices(registry)
    assert (notice.config_id, notice.rule_id, notice.series) == (channel, rule, "s")
    assert (notice.status, notice.attempts, notice.seq) == (NoticeStatus.PENDING, 0, 1)
    assert notice.due_at == NOON + timedelta(seconds=10)
    assert notice.created_at == NOON
    told = Message.from_dict(notice.payload)
    assert (told.value, told.threshold, told.url) == (None, 80.0, "http://x")
    assert told.group_key == notice.group_key == f"rule:{rule}"


def test_the_same_step_again_changes_nothing(
    registry: Registry, registry_settings: Settings
) -> None:
    rule = add_rule(registry)
    add_channel(registry, "a")
    add_channel(registry, "b")
    assert tell(registry, registry_settings, rule, 1) == 2
    later = NOON + timedelta(hours=1)
    assert tell(registry, registry_settings, rule, 1, state=State.RESOLVED, now=later) == 0
    assert [one.due_at for one in notices(registry)] == [NOON + timedelta(seconds=10)] * 2
    add_channel(registry, "c")
    assert tell(registry, registry_settings, rule, 1) == 1
    assert tell(registry, registry_settings, rule, 2) == 3
    assert tell(registry, registry_settings, rule, 1, series="t") == 3


def test_who_is_told(registry: Registry) -> None:
    rule, other = add_rule(registry), add_rule(registry, "other")
    ids = {name: add_channel(registry, name) for name in ("a", "b")}
    off = add_channel(registry, "off", enabled=False)

    def channels(of: str) -> list[str]:
        with registry.reading() as session:
            return channels_of(session, of)

    assert channels(rule) == [ids["a"], ids["b"]]
    with registry.writing() as session:
        session.add(RuleChannel(rule_id=rule, config_id=ids["b"]))
    assert channels(rule) == [ids["b"]]
    assert channels(other) == [ids["a"], ids["b"]]
    with registry.writing() as session:
        session.add(RuleChannel(rule_id=other, config_id=off))
    assert channels(other) == []


def test_channels_that_are_given(registry: Registry, registry_settings: Settings) -> None:
    rule = add_rule(registry)
    first = add_channel(registry, "a")
    add_channel(registry, "b")
    assert tell(registry, registry_settings, rule, 1, channels=[first]) == 1
    assert tell(registry, registry_settings, rule, 2, channels=[]) == 0


def test_a_step_that_fails_tells_nobody(registry: Registry, registry_settings: Settings) -> None:
    rule = add_rule(registry)
    add_channel(registry, "a")
    with pytest.raises(ZeroDivisionError), registry.writing() as session:
        options: dict[str, Any] = {"value": 1.0, "now": NOON, "settings": registry_settings}
        assert enqueue(session, alert_of(rule), seq=1, state=State.FIRING, **options) == 1
        raise ZeroDivisionError
    assert notices(registry) == []


def test_dead_ones_are_given_another_try(registry: Registry, registry_settings: Settings) -> None:
    rule = add_rule(registry)
    add_channel(registry, "a")
    for seq in range(1, 5):
        tell(registry, registry_settings, rule, seq)
    with registry.writing() as session:
        for notice in session.scalars(select(Notice).where(Notice.seq < 4)):
            notice.status, notice.attempts = NoticeStatus.DEAD, 10
    first, *_, last = (notice.id for notice in notices(registry))
    with registry.writing() as session:
        assert requeue(session, NOON, [first, last, 999_999]) == 1
    assert statuses(registry) == ["PENDING", "DEAD", "DEAD", "PENDING"]
    assert notices(registry)[0].attempts == 0
    with registry.writing() as session:
        assert requeue(session, NOON) == 2
    assert statuses(registry) == ["PENDING"] * 4


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({}, id="empty"),
        pytest.param([], id="list"),
        pytest.param({**message().to_dict(), "level": "LOUD"}, id="level"),
        pytest.param({**message().to_dict(), "fired_at": 7}, id="time"),
        pytest.param({**message().to_dict(), "extra": 1}, id="extra"),
    ],
)
def test_payloads_that_are_no_messages(broken: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Message.from_dict(broken)


def test_a_message_comes_back_as_it_was() -> None:
    both = [message(), message(state=State.RESOLVED, resolved_at=NOON + timedelta(microseconds=1))]
    assert [Message.from_dict(one.to_dict()) for one in both] == both
