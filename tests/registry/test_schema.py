"""The tables of the registry: the same in both databases, reached from every earlier state."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select, text

from gateway_assets.errors import Busy, ConfigError, RegistryError, RegistryUnavailable
from gateway_assets.registry.alerts import Alert, AlertRule
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.model import Model
from gateway_assets.registry.upgrade import require, standing, upgrade
from gateway_assets.registry.users import AuditLog, User
from gateway_assets.registry.words import (
    AlertLevel,
    AlertStatus,
    CompareOp,
    DeviceStatus,
    Protocol,
    TagType,
)
from gateway_assets.settings import Settings, load_settings

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")


def device(**given: Any) -> Device:
    fields = {"name": "PLC-1", "protocol": Protocol.MODBUS_TCP, "endpoint": "tcp://10.0.0.9:502"}
    return Device(**{**fields, **given})


def tag(device_id: str, **given: Any) -> Tag:
    fields = {"name": "temperature", "address": "40001", "data_type": TagType.FLOAT}
    return Tag(device_id=device_id, **{**fields, **given})


def rule(**given: Any) -> AlertRule:
    fields: dict[str, Any] = {
        "name": "hot",
        "fleet": True,
        "metric": "temperature",
        "op": CompareOp.GT,
        "threshold_value": 80.0,
    }
    return AlertRule(**{**fields, **given})


def alert(of: AlertRule, device_id: str | None, occurrence: int, **given: Any) -> Alert:
    fields: dict[str, Any] = {
        "rule_id": of.id,
        "rule_name": of.name,
        "rule_version": 1,
        "device_id": device_id,
        "series": "s",
        "occurrence": occurrence,
        "condition_since": NOON,
        "fired_at": NOON,
        "level": AlertLevel.WARNING,
        "status": AlertStatus.ACTIVE,
        "message": "too hot",
    }
    return Alert(**{**fields, **given})


def added(registry: Registry, *rows: Any) -> None:
    with registry.writing() as session:
        for row in rows:
            session.add(row)
            session.flush()


# SQLite does not tell what an index over an expression is over.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_migrations_make_what_the_models_say(registry: Registry) -> None:
    with registry.connected(writes=False) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Model.metadata)
    # An index of PostgreSQL's own kind, for questions about the content of a configuration.
    assert [one[1].name for one in found] == (
        ["idx_devices_config_gin"] if registry.is_postgres else []
    )


@pytest.mark.parametrize("before", REVISIONS)
def test_an_upgrade_keeps_what_is_there(empty_registry: Registry, before: str) -> None:
    found = upgrade(empty_registry, before)
    assert found.missing == REVISIONS[REVISIONS.index(before) + 1 :]
    plc = device(last_seen=NOON, config={"unit": 3})
    added(empty_registry, plc)
    added(empty_registry, tag(plc.id, scaling=-0.5))
    if before >= "0002":
        added(empty_registry, rule())
    if before >= "0003":
        added(empty_registry, User(username="ann", password_hash="x"))
    assert upgrade(empty_registry).missing == ()
    with empty_registry.reading() as session:
        kept = session.scalars(select(Device)).one()
        assert (kept.name, kept.last_seen, kept.config) == ("PLC-1", NOON, {"unit": 3})
        assert kept.status is DeviceStatus.UNKNOWN
        assert session.scalars(select(Tag)).one().scaling == -0.5
        rules = session.scalars(select(AlertRule)).all()
        assert [one.threshold_value for one in rules] == ([80.0] if before >= "0002" else [])
        users = session.scalars(select(User)).all()
        assert [one.username for one in users] == (["ann"] if before >= "0003" else [])


def test_a_registry_that_lacks_migrations_says_what_to_run(empty_registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"is not there yet.*gateway registry upgrade"):
        require(empty_registry)
    upgrade(empty_registry, "0003")
    with pytest.raises(RegistryError, match="lacks 0004, 0005, 0006"):
        require(empty_registry)
    upgrade(empty_registry)
    require(empty_registry)


def test_a_registry_of_a_later_release_is_left_alone(registry: Registry) -> None:
    with registry.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(RegistryError, match="later release"):
        upgrade(registry)


def test_a_migration_that_fails_leaves_nothing(empty_registry: Registry) -> None:
    with empty_registry.connected(writes=True) as connection, connection.begin():
        connection.execute(text("CREATE TABLE api_tokens (x INTEGER)"))  # in the way of 0003
    with pytest.raises(RegistryError):
        upgrade(empty_registry)
    assert standing(empty_registry).revision == ""
    with empty_registry.connected(writes=True) as connection, connection.begin():
        connection.execute(text("DROP TABLE api_tokens"))
    assert upgrade(empty_registry).missing == ()


def test_two_upgrades_at_a_time(empty_registry: Registry) -> None:
    failed: list[Exception] = []

    def run() -> None:
        try:
            upgrade(empty_registry)
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert standing(empty_registry).missing == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": " "},
        {"endpoint": ""},
    ],
)
def test_devices_that_cannot_be(registry: Registry, wrong: dict[str, Any]) -> None:
    with pytest.raises(RegistryError):
        added(registry, device(**wrong))


def test_a_name_is_free_again_when_its_device_is_deleted(registry: Registry) -> None:
    added(registry, device(name="PLC-1", deleted_at=NOON))
    added(registry, device(name="plc-1", deleted_at=NOON))
    added(registry, device(name="PLC-1"))
    with pytest.raises(RegistryError):
        added(registry, device(name="Plc-1"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scaling": 0.0},
        {"deadband": -1.0},
        {"scan_rate": 0},
        {"min_value": 2.0, "max_value": 1.0},
        {"name": ""},
    ],
)
def test_tags_that_cannot_be(registry: Registry, wrong: dict[str, Any]) -> None:
    plc = device()
    added(registry, plc)
    added(registry, tag(plc.id, name="reverse", scaling=-2.0))
    with pytest.raises(RegistryError):
        added(registry, tag(plc.id, **wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"op": None},
        {"condition_expression": "value > 1"},
        {"threshold_value": None},
        {"op": CompareOp.BETWEEN},
        {"op": CompareOp.BETWEEN, "threshold_low": 2.0, "threshold_high": 1.0},
        {"fleet": False},
        {"metric": None},
        {"deadband": -0.1},
        {"off_delay": -1},
        {"max_gap": -1},
    ],
)
def test_rules_that_cannot_be(registry: Registry, wrong: dict[str, Any]) -> None:
    with pytest.raises(RegistryError):
        added(registry, rule(**wrong))


def test_history_outlives_what_it_speaks_of(registry: Registry) -> None:
    plc, hot = device(), rule()
    added(registry, plc, hot)
    added(registry, alert(hot, plc.id, 1))
    for table in ("devices", "alert_rules"):
        with pytest.raises(RegistryError), registry.writing() as session:
            session.execute(text(f"DELETE FROM {table}"))


def test_an_overview_counts_each_tag_and_each_alert_once(registry: Registry) -> None:
    plc, hot = device(), rule()
    added(registry, plc, hot)
    added(registry, *(tag(plc.id, name=f"t{n}", enabled=n < 7) for n in range(10)))
    added(registry, tag(plc.id, name="gone", deleted_at=NOON))
    resolved = {"resolved_at": NOON, "duration": 0, "status": AlertStatus.RESOLVED}
    acked = {"acknowledged_at": NOON, "status": AlertStatus.ACKNOWLEDGED}
    added(registry, *(alert(hot, plc.id, n) for n in (1, 2)), alert(hot, plc.id, 3, **acked))
    added(registry, alert(hot, plc.id, 4, **resolved))
    with registry.reading() as session:
        found = session.execute(text("SELECT * FROM device_overview")).mappings().one()
    assert (found["tag_count"], found["enabled_tag_count"]) == (10, 7)
    assert (found["active_alert_count"], found["unacknowledged_alert_count"]) == (3, 2)


def test_statistics_of_the_last_day(registry: Registry) -> None:
    hot, now = rule(), datetime.now(UTC)
    added(registry, hot)
    times = {"condition_since": now, "fired_at": now}
    ended = {"resolved_at": now, "duration": 3_000, "status": AlertStatus.RESOLVED}
    added(registry, alert(hot, None, 1, **times), alert(hot, None, 2, **times, **ended))
    old = now - timedelta(hours=25)
    added(registry, alert(hot, None, 3, condition_since=old, fired_at=old))
    with registry.reading() as session:
        found = session.execute(text("SELECT * FROM alert_statistics")).mappings().one()
    counts = found["alert_count"], found["active_count"], found["resolved_count"]
    assert (counts, float(found["avg_duration_seconds"])) == ((2, 1, 1), 3.0)


def test_the_audit_is_only_appended_to(registry: Registry) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    added(registry, AuditLog(action="login", success=True, created_at=old))
    added(registry, AuditLog(action="login", success=False))
    with pytest.raises(RegistryError), registry.writing() as session:
        session.execute(text("UPDATE audit_logs SET success = true"))
    with pytest.raises(RegistryError), registry.writing() as session:
        session.execute(text("DELETE FROM audit_logs"))
    if registry.is_postgres:  # it asks no trigger of rows
        with pytest.raises(RegistryError), registry.writing() as session:
            session.execute(text("TRUNCATE audit_logs"))
    with registry.writing() as session:  # what was archived may leave
        session.execute(text("DELETE FROM audit_logs WHERE id = 1"))


def test_a_change_by_others_is_dated(registry: Registry) -> None:
    added(registry, device(created_at=NOON, updated_at=NOON))
    with registry.writing() as session:
        session.execute(text("UPDATE devices SET location = 'hall 3'"))
    with registry.reading() as session:
        assert session.scalars(select(Device)).one().updated_at > NOON


def test_how_a_device_is_doing_is_no_change_of_it(registry: Registry) -> None:
    added(registry, device(created_at=NOON, updated_at=NOON))
    with registry.writing() as session:
        session.execute(text("UPDATE devices SET status = 'Online', last_seen = updated_at"))
    with registry.reading() as session:
        found = session.scalars(select(Device)).one()
        assert (found.status, found.updated_at) == (DeviceStatus.ONLINE, NOON)


@pytest.mark.parametrize(
    "url", ["mysql://x/y", "postgresql+asyncpg://x/y", "nonsense", "postgresql://h:abc/d"]
)
def test_urls_of_something_else(url: str) -> None:
    with pytest.raises(ConfigError, match="registry_url"):
        Registry(load_settings(registry_url=url))


def test_a_server_that_is_not_there(tmp_path: Any) -> None:
    url = f"postgresql://me:secret@/gateway?host={tmp_path}"
    registry = Registry(load_settings(registry_url=url))
    with pytest.raises(RegistryUnavailable) as raised:
        standing(registry)
    assert "secret" not in str(raised.value)


def test_a_schema_of_the_url_is_searched(registry_settings: Settings) -> None:
    if not registry_settings.registry_url:
        pytest.skip("SQLite has one schema")
    options = "&options=-csearch_path%3Delsewhere"
    url = registry_settings.registry_url + options
    elsewhere = Registry(registry_settings.model_copy(update={"registry_url": url}))
    with elsewhere.writing() as session:
        session.execute(text("CREATE SCHEMA elsewhere"))
        assert session.scalar(text("SELECT current_schema()")) == "elsewhere"
        assert session.scalar(text("SHOW timezone")) == "UTC"
    elsewhere.close()


def test_a_role_without_rights_is_told(registry: Registry) -> None:
    if not registry.is_postgres:
        pytest.skip("SQLite has no roles")
    with pytest.raises(RegistryError, match="grant"), registry.writing() as session:
        session.execute(text("CREATE ROLE nobody_here"))
        session.execute(text("SET ROLE nobody_here"))
        session.execute(select(Device))


def test_who_is_in_the_way_of_another_may_try_again(registry: Registry) -> None:
    if not registry.is_postgres:
        pytest.skip("in SQLite one waits for the other")
    added(registry, device(name="one"), device(name="two"))
    held = threading.Barrier(2, timeout=30)
    failed: list[Exception] = []

    def change(*names: str) -> None:
        try:
            with registry.writing() as session:
                for place in names:
                    session.execute(select(Device).where(Device.name == place).with_for_update())
                    if place == names[0]:
                        held.wait()
        except Exception as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=change, args=names) for names in ORDERS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(one) for one in failed] == [Busy]


ORDERS = (("one", "two"), ("two", "one"))
