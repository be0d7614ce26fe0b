"""What the registry was on any day: snapshots, their changes, the state at a moment."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import delete, text, update

from gateway_assets import clock
from gateway_assets.archive.engine import UniversalArchiver
from gateway_assets.errors import Busy, UsageError
from gateway_assets.files.lock import exclusive
from gateway_assets.history import take as taking
from gateway_assets.history.as_of import as_of, changes
from gateway_assets.history.take import Taken, load_waiting, lock_of, take
from gateway_assets.registry.alerts import Channel, RuleChannel
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.snapshot import canonical, entries
from gateway_assets.registry.users import ApiToken, User
from gateway_assets.registry.words import ChannelType, DeviceStatus
from gateway_assets.settings import Settings
from tests.registry.test_schema import added, device, rule, tag

pytestmark = pytest.mark.usefixtures("registry")


def taken(settings: Settings) -> Taken:
    found = take(settings)
    load_waiting(settings)
    return found


def set_device(registry: Registry, name: str, /, **values: Any) -> None:
    with registry.writing() as session:
        session.execute(update(Device).where(Device.name == name).values(**values))


def names(rows: list[dict[str, Any]]) -> list[str]:
    return [row["name"] for row in rows]


def test_the_state_of_every_moment(registry: Registry, registry_settings: Settings) -> None:
    one, two = device(name="one", config={"b": [1], "a": "Zürich"}), device(name="two")
    added(registry, one, two)
    added(registry, tag(one.id))
    first = taken(registry_settings)
    assert first.rows == {"devices": 2, "tags": 1}
    assert first.changes == {"devices": {"added": 2}, "tags": {"added": 1}}
    set_device(registry, "one", location="hall 4")
    set_device(registry, "two", name="three")
    second = taken(registry_settings)
    assert (second.number, second.changes) == (2, {"devices": {"changed": 2}})
    with registry.writing() as session:
        session.execute(delete(Tag))
        session.execute(delete(Device).where(Device.name == "one"))
    third = taken(registry_settings)
    assert third.changes == {"devices": {"removed": 1}, "tags": {"removed": 1}}

    at_first = as_of(registry_settings, "devices", first.time)
    assert names(at_first) == ["one", "two"]
    assert at_first[0]["content"]["config"] == {"a": "Zürich", "b": [1]}
    assert at_first[0]["content"]["location"] is None
    assert names(as_of(registry_settings, "devices", second.time - 1)) == ["one", "two"]
    (hall,) = as_of(registry_settings, "devices", second.time, "one")
    assert (hall["entity_id"], hall["content"]["location"]) == (one.id, "hall 4")
    assert as_of(registry_settings, "devices", second.time, "two") == []
    assert names(as_of(registry_settings, "", second.time)) == ["one", "three", "temperature"]
    assert names(as_of(registry_settings, "", clock.now())) == ["three"]
    told = changes(registry_settings, "devices", "three")
    assert [(one["change"], one["snapshot"]) for one in told] == [("added", 1), ("changed", 2)]
    assert told[1]["fields"] == {"name": ["two", "three"]}
    after = changes(registry_settings, since=second.time, until=third.time)
    assert {(one["change"], one["entity"]) for one in after} == {("changed", "devices")}


def test_a_quiet_registry_lands_nothing(registry: Registry, registry_settings: Settings) -> None:
    added(registry, device(), rule())
    assert taken(registry_settings).number == 1
    set_device(registry, "PLC-1", last_seen=datetime.now(UTC), status=DeviceStatus.ONLINE)
    again = taken(registry_settings)
    assert (again.number, again.files, again.changes) == (0, [], {})
    assert again.rows == {"devices": 1, "alert_rules": 1}
    set_device(registry, "PLC-1", enabled=False)
    assert taken(registry_settings).number == 2


def test_secrets_and_the_deleted_stay_out(registry: Registry, registry_settings: Settings) -> None:
    ann = User(username="ann", password_hash="argon-secret")
    added(registry, ann)
    added(registry, ApiToken(user_id=ann.id, name="t", token_hash="f" * 64, scopes=["read"]))
    added(registry, device(name="gone", deleted_at=datetime.now(UTC)))
    channel, hot = Channel(name="log", type=ChannelType.LOG), rule()
    added(registry, channel, hot)
    added(registry, RuleChannel(rule_id=hot.id, config_id=channel.id))
    found = {entry.entity: entry for entry in entries(registry)}
    assert found.keys() == {
        "users",
        "api_tokens",
        "notification_configs",
        "alert_rules",
        "alert_rule_notifications",
    }
    assert found["users"].name == "ann"
    assert found["alert_rule_notifications"].id == f"{hot.id}/{channel.id}"
    contents = " ".join(entry.content for entry in found.values())
    assert "secret" not in contents
    assert "ffff" not in contents
    landed = taken(registry_settings)
    (path,) = registry_settings.landing.glob(f"*/*/*/*/{landed.files[0]}*")
    assert path.stat().st_mode & 0o007 == 0
    with registry.writing() as session:
        session.execute(update(Channel).values(enabled=False))
        session.execute(text("UPDATE alert_rules SET deleted_at = created_at"))
    assert taken(registry_settings).changes["alert_rules"] == {"removed": 1}


def test_the_history_has_no_secret_of_a_configuration(registry: Registry) -> None:
    added(registry, device(config={"password": "hush", "unit": 3}, endpoint="mqtt://me:hush@h"))
    config = {"url": "https://hook.example/T/hush"}
    added(registry, Channel(name="hook", type=ChannelType.WEBHOOK, config=config))
    contents = [entry.content for entry in entries(registry)]
    assert "hush" not in str(contents)
    assert '"unit":3' in contents[0]


def test_what_was_not_loaded_is_not_told_twice(
    registry: Registry, registry_settings: Settings
) -> None:
    added(registry, device())
    assert take(registry_settings).number == 1
    assert take(registry_settings).number == 0
    set_device(registry, "PLC-1", location="x")
    (lost,) = take(registry_settings).files
    (path,) = registry_settings.landing.glob(f"*/*/*/*/{lost}*")
    path.unlink()
    assert taken(registry_settings).number == 2
    assert len(changes(registry_settings)) == 2


def test_parts_of_a_large_registry(
    registry: Registry, registry_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    added(registry, *(device(name=f"plc-{number}") for number in range(7)))
    monkeypatch.setattr(taking, "PART_BYTES", 2_000)
    first = taken(registry_settings)
    assert len(first.files) > 1
    assert len(as_of(registry_settings, "devices", clock.now())) == 7
    assert taken(registry_settings).number == 0


def test_both_tiers_tell_the_history(registry: Registry, registry_settings: Settings) -> None:
    added(registry, device())
    load_waiting(registry_settings)
    day = clock.day_of(clock.now()) - 500
    real, clock_then = clock.now, day * clock.DAY + clock.HOUR
    with pytest.MonkeyPatch.context() as past:
        past.setattr(clock, "now", lambda: clock_then)
        assert taken(registry_settings).number == 1
    assert real() > clock_then
    archived = UniversalArchiver(registry_settings).archive_table("registry_history")
    assert (archived.rows, archived.failed) == (1, {})
    set_device(registry, "PLC-1", location="x")
    assert taken(registry_settings).number == 2
    (then,) = as_of(registry_settings, "devices", clock_then)
    assert then["content"]["location"] is None
    (now,) = as_of(registry_settings, "devices", clock.now())
    assert now["content"]["location"] == "x"
    assert [one["change"] for one in changes(registry_settings)] == ["added", "changed"]


def test_what_is_not_known_is_said(registry: Registry, registry_settings: Settings) -> None:
    with pytest.raises(UsageError, match="no snapshot has found anything yet"):
        as_of(registry_settings, "", clock.now())
    added(registry, device())
    first = taken(registry_settings)
    with pytest.raises(UsageError, match="not known before its first snapshot"):
        as_of(registry_settings, "", first.time - 1)
    with pytest.raises(UsageError, match="no history of 'sessions'"):
        changes(registry_settings, "sessions")


def test_one_snapshot_at_a_time(
    registry_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "WAIT_SECONDS", 0.0)
    with (
        exclusive(lock_of(registry_settings), "a test"),
        pytest.raises(Busy, match="a snapshot of the registry is already running"),
    ):
        take(registry_settings)


def test_json_is_the_same_for_the_same() -> None:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    value = {"b": float("inf"), "a": {"z": [moment, True, None, 1.5], "y": "é"}}
    assert canonical(value) == (
        '{"a":{"y":"é","z":["2026-03-01T12:00:00.000000Z",true,null,1.5]},"b":"inf"}'
    )
    assert json.loads(canonical({"a": "\ud800"})) == {"a": "\ud800"}
    assert canonical({"a": "\ud800"}).isascii()
