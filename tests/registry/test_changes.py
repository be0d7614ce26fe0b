"""Devices, tags, rules, channels and drivers changed by hand: what is written, audited, refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
from gateway_assets.registry.alerts import AlertRule, Notice
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.change import checked
from gateway_assets.registry.change_channels import (
    add_channel,
    delete_channel,
    edit_channel,
    list_channels,
)
from gateway_assets.registry.change_devices import (
    Presence,
    add_device,
    delete_device,
    edit_device,
    find_device,
    list_devices,
    note_presences,
    restore_device,
    set_device_status,
)
from gateway_assets.registry.change_drivers import (
    add_driver,
    delete_driver,
    edit_driver,
    find_driver,
    list_drivers,
)
from gateway_assets.registry.change_rules import (
    add_rule,
    delete_rule,
    edit_rule,
    enable_rule,
    find_rule,
    list_rules,
    restore_rule,
    rule_fields,
)
from gateway_assets.registry.change_tags import (
    add_tag,
    delete_tag,
    edit_tag,
    find_tag,
    list_tags,
    restore_tag,
)
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.entries import (
    ChannelEntry,
    DeviceEntry,
    DriverEntry,
    RuleEntry,
    TagEntry,
)
from gateway_assets.registry.tags_of import matching, pipeline_tag
from gateway_assets.registry.users import AuditLog
from gateway_assets.registry.words import (
    ChannelType,
    CompareOp,
    DeviceStatus,
    NoticeStatus,
    Protocol,
    TagType,
)
from tests.registry.test_schema import NOON

ANN = Actor("ann")


def device(**given: Any) -> DeviceEntry:
    fields = {"name": "PLC-1", "protocol": "ModbusTcp", "endpoint": "tcp://10.0.0.9:502"}
    return checked(DeviceEntry, {**fields, **given})


def tag(**given: Any) -> TagEntry:
    fields = {"name": "level", "address": "40001", "data_type": "Float"}
    return checked(TagEntry, {**fields, **given})


def rule(**given: Any) -> RuleEntry:
    fields = {
        "name": "full",
        "device": "PLC-1",
        "tag": "level",
        "op": "GT",
        "threshold_value": 90.0,
    }
    return checked(RuleEntry, {**fields, **given})


def channel(**given: Any) -> ChannelEntry:
    return checked(ChannelEntry, {"name": "ops", "type": "log", **given})


@pytest.fixture
def plant(registry: Registry) -> Registry:
    """A device with two tags, a rule of one, a rule of the device, one of all devices."""
    with registry.writing() as session:
        add_device(session, ANN, device())
        for name in ("level", "flow"):
            add_tag(session, ANN, "plc-1", tag(name=name))
        add_channel(session, ANN, channel())
        add_rule(session, ANN, rule(channels=["ops"]))
        add_rule(session, ANN, rule(name="any of it", tag=None))
        add_rule(session, ANN, rule(name="all", device=None, tag=None, fleet=True, metric="level"))
    return registry


def audit_of(session: Session, action: str) -> list[dict[str, Any]]:
    rows = session.scalars(select(AuditLog).where(AuditLog.action == action).order_by(AuditLog.id))
    return [row.details for row in rows]


def enabled(session: Session) -> dict[str, bool]:
    return {one.name: one.enabled for one in list_rules(session)}


def test_what_differs_is_written_and_audited_in_one_transaction(plant: Registry) -> None:
    with plant.writing() as session:
        assert edit_device(session, ANN, "plc-1", location="hall 3", enabled=True) == {
            "location": (None, "hall 3")
        }
        assert edit_device(session, ANN, "PLC-1", location="hall 3") == {}
    with plant.reading() as session:
        assert audit_of(session, "device.update") == [
            {"name": "PLC-1", "fields": {"location": [None, "hall 3"]}}
        ]
        row = find_device(session, "PLC-1")
        assert (row.location, row.created_by, row.updated_by) == ("hall 3", "ann", "ann")
    with pytest.raises(RegistryError), plant.writing() as session:
        edit_device(session, ANN, "PLC-1", location="hall 4")
        session.execute(text("INSERT INTO tags SELECT * FROM tags"))  # refused: the ids are taken
    with plant.reading() as session:
        assert find_device(session, "PLC-1").location == "hall 3"
        assert len(audit_of(session, "device.update")) == 1


def test_the_audit_has_no_secret(plant: Registry) -> None:
    config = {"url": "https://hook.example/T/hush", "password": "hush", "secret_env": "OPS_SECRET"}
    with plant.writing() as session:
        add_channel(session, ANN, channel(name="hook", type="webhook", config=config))
        edit_channel(session, ANN, "hook", config={**config, "password": "hush2"})
        edit_device(session, ANN, "plc-1", endpoint="mqtt://me:hush@10.0.0.9:1883")
        edit_device(session, ANN, "plc-1", config={"auth": {"token": "hush"}, "list": ["a"]})
    with plant.reading() as session:
        details = str(session.scalars(select(AuditLog.details)).all())
        (changed,) = audit_of(session, "channel.update")
    assert "hush" not in details
    assert "OPS_SECRET" in details
    assert "mqtt://(hidden)@10.0.0.9:1883" in details
    assert changed["fields"]["config"][1] == "(hidden) changed"


@pytest.mark.parametrize("which", ["plc-2", "PCL-1"])
def test_an_unknown_name_has_the_nearest_as_its_hint(plant: Registry, which: str) -> None:
    with pytest.raises(RegistryError) as raised, plant.reading() as session:
        find_device(session, which)
    assert raised.value.hint == "did you mean 'PLC-1'?"


UNKNOWN: dict[str, Callable[[Session], Any]] = {
    "device": lambda session: delete_device(session, ANN, "zz"),
    "deleted device": lambda session: restore_device(session, ANN, "PLC-1"),
    "tag": lambda session: find_tag(session, "PLC-1", "zz"),
    "tag of no device": lambda session: add_tag(session, ANN, "zz", tag()),
    "deleted tag": lambda session: restore_tag(session, ANN, "PLC-1", "level"),
    "rule": lambda session: edit_rule(session, ANN, "zz", level="INFO"),
    "deleted rule": lambda session: restore_rule(session, ANN, "full"),
    "rule of no tag": lambda session: add_rule(session, ANN, rule(name="x", tag="zz")),
    "rule of no channel": lambda session: add_rule(session, ANN, rule(name="x", channels=["zz"])),
    "channel": lambda session: delete_channel(session, ANN, "zz"),
    "channel in capitals": lambda session: delete_channel(session, ANN, "OPS"),
    "driver": lambda session: find_driver(session, "zz"),
    "id": lambda session: find_device(session, "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
}


@pytest.mark.parametrize("what", UNKNOWN)
def test_names_that_lead_nowhere(plant: Registry, what: str) -> None:
    with pytest.raises(RegistryError, match="there is no"), plant.writing() as session:
        UNKNOWN[what](session)


TAKEN: dict[str, Callable[[Session], Any]] = {
    "device": lambda session: add_device(session, ANN, device(name="plc-1")),
    "tag": lambda session: add_tag(session, ANN, "PLC-1", tag(name="LEVEL")),
    "tag renamed": lambda session: edit_tag(session, ANN, "PLC-1", "flow", name="Level"),
    "rule": lambda session: add_rule(session, ANN, rule(name="FULL")),
    "rule renamed": lambda session: edit_rule(session, ANN, "all", name="full"),
    "channel": lambda session: add_channel(session, ANN, channel()),
}


@pytest.mark.parametrize("what", TAKEN)
def test_names_that_are_taken(plant: Registry, what: str) -> None:
    with pytest.raises(RegistryError, match="already"), plant.writing() as session:
        TAKEN[what](session)


def test_a_name_may_change_its_case(plant: Registry) -> None:
    with plant.writing() as session:
        edit_device(session, ANN, "PLC-1", name="plc-1")
        edit_tag(session, ANN, "plc-1", "level", name="Level")
    with plant.reading() as session:
        assert find_tag(session, "plc-1", "LEVEL").name == "Level"
        assert rule_fields(session, find_rule(session, "full"))["device"] == "plc-1"


def test_a_device_goes_with_its_tags_and_comes_back_with_them(plant: Registry) -> None:
    with plant.writing() as session:
        delete_tag(session, ANN, "PLC-1", "flow")
        enable_rule(session, ANN, "full", enabled=False)
    with plant.writing() as session:
        done = delete_device(session, ANN, "PLC-1")
    assert done == ("PLC-1", ("level",), ("any of it",))
    with plant.reading() as session:
        assert list_devices(session) == []
        assert list_tags(session) == []
        assert enabled(session) == {"all": True, "any of it": False, "full": False}
        fields = rule_fields(session, find_rule(session, "full"))
        assert (fields["device"], fields["tag"]) == ("PLC-1 (deleted)", "level (deleted)")
    with plant.writing() as session:
        assert restore_device(session, ANN, "plc-1") == done
    with plant.reading() as session:
        assert [tag.name for _, tag in list_tags(session)] == ["level"]
        assert enabled(session) == {"all": True, "any of it": True, "full": False}


def test_of_several_of_one_name_the_one_deleted_last_comes_back(plant: Registry) -> None:
    with plant.writing() as session:
        delete_device(session, ANN, "PLC-1")
        second = add_device(session, ANN, device(endpoint="tcp://second")).id
    with plant.writing() as session:
        delete_device(session, ANN, second)
    with plant.writing() as session:
        restore_device(session, ANN, "plc-1")
        assert find_device(session, "plc-1").id == second
        first = next(one.id for one in list_devices(session, deleted=True))
    with pytest.raises(RegistryError, match="already"), plant.writing() as session:
        restore_device(session, ANN, first)


def test_a_tag_comes_back_but_not_to_a_device_that_is_gone(plant: Registry) -> None:
    with plant.writing() as session:
        gone = delete_tag(session, ANN, "PLC-1", "level")
    assert gone == ("level", (), ("full",))
    with plant.writing() as session:
        restore_tag(session, ANN, "PLC-1", "level")
        delete_tag(session, ANN, "PLC-1", "level")
        delete_device(session, ANN, "PLC-1")
    with pytest.raises(RegistryError, match="no device"), plant.writing() as session:
        restore_tag(session, ANN, "PLC-1", "level")
    with plant.writing() as session:
        delete_rule(session, ANN, "full")
    with pytest.raises(RegistryError, match="no device"), plant.writing() as session:
        restore_rule(session, ANN, "full")


@pytest.mark.parametrize(
    ("fields", "version"),
    [
        ({"description": "x", "message": "y", "name": "z", "channels": []}, 1),
        ({"enabled": False}, 1),
        ({"threshold_value": 90.0}, 1),
        ({"threshold_value": 91.0}, 2),
        ({"eval_duration": "30s"}, 2),
        ({"tag": "flow"}, 2),
        ({"escalations": [{"level": "FATAL", "after": "1h"}]}, 2),
    ],
)
def test_a_rule_that_means_something_else_is_another_version(
    plant: Registry, fields: dict[str, Any], version: int
) -> None:
    with plant.writing() as session:
        id_ = find_rule(session, "full").id
        edit_rule(session, ANN, "full", **fields)
    with plant.reading() as session:
        row = find_rule(session, id_)
        assert row.version == version
        kept = rule_fields(session, row)
        assert {name: kept[name] for name in fields.keys() - {"eval_duration", "escalations"}} == {
            name: value
            for name, value in fields.items()
            if name not in {"eval_duration", "escalations"}
        }


def test_a_rule_points_to_the_living_device_of_a_name(plant: Registry) -> None:
    with plant.writing() as session:
        delete_device(session, ANN, "PLC-1")
        again = add_device(session, ANN, device()).id
        add_tag(session, ANN, "PLC-1", tag())
        edit_rule(session, ANN, "full", device="PLC-1", tag="level")
    with plant.reading() as session:
        row = find_rule(session, "full")
        assert (row.device_id, row.version) == (again, 2)


def test_a_channel_stays_while_it_is_needed(plant: Registry) -> None:
    with pytest.raises(RegistryError, match="named by rules: full"), plant.writing() as session:
        delete_channel(session, ANN, "ops")
    with plant.writing() as session:
        edit_rule(session, ANN, "full", channels=[])
        (row,) = list_channels(session, type=ChannelType.LOG)
        told = {"config_id": row.id, "rule_id": find_rule(session, "full").id, "series": "s"}
        session.add(Notice(**told, seq=1, group_key="g", payload={}))
    with pytest.raises(RegistryError, match="1 notifications wait"), plant.writing() as session:
        delete_channel(session, ANN, "ops")
    with plant.writing() as session:
        session.scalars(select(Notice)).one().status = NoticeStatus.SENT
        session.flush()
        delete_channel(session, ANN, "ops")
    with plant.reading() as session:
        assert list_channels(session) == []


def test_lists_are_filtered(plant: Registry) -> None:
    with plant.writing() as session:
        add_device(session, ANN, device(name="b", protocol="Mqtt", location="roof", enabled=False))
        add_tag(session, ANN, "b", tag(name="t", data_type="String"))
    with plant.reading() as session:
        for filters in (
            {"protocol": Protocol.MQTT},
            {"location": "roof"},
            {"enabled": False},
        ):
            assert [one.name for one in list_devices(session, **filters)] == ["b"]
        assert len(list_devices(session, status=DeviceStatus.UNKNOWN)) == 2
        assert [one.name for _, one in list_tags(session, device="plc-1")] == ["flow", "level"]
        assert [one.name for _, one in list_tags(session, data_type=TagType.STRING)] == ["t"]
        assert [one.name for one in list_rules(session, device="plc-1")] == ["any of it", "full"]
        assert list_rules(session, enabled=False) == []


def test_drivers(registry: Registry) -> None:
    entry = checked(DriverEntry, {"name": "m", "protocol": "Mqtt", "connection_type": "tcp"})
    with registry.writing() as session:
        add_driver(session, ANN, entry)
        assert edit_driver(session, ANN, "m", timeout=10) == {"timeout": (5_000, 10)}
        assert [one.timeout for one in list_drivers(session, protocol=Protocol.MQTT)] == [10]
    with pytest.raises(RegistryError, match="below retry_interval"), registry.writing() as session:
        edit_driver(session, ANN, "m", max_retry_interval=1)
    with registry.writing() as session:
        delete_driver(session, ANN, "m")
        assert list_drivers(session) == []


def test_how_a_device_is_doing_is_said_and_audited(plant: Registry) -> None:
    with plant.writing() as session:
        before = find_device(session, "PLC-1").updated_at
        assert set_device_status(session, ANN, "PLC-1", DeviceStatus.MAINTENANCE)
        assert not set_device_status(session, ANN, "PLC-1", DeviceStatus.MAINTENANCE)
    with plant.reading() as session:
        row = find_device(session, "PLC-1")
        assert (row.status, row.updated_at) == (DeviceStatus.MAINTENANCE, before)
        told = session.scalars(select(AuditLog).where(AuditLog.action == "device.status")).all()
    assert [one.details["fields"] for one in told] == [{"status": ["Unknown", "Maintenance"]}]


def test_a_device_is_never_seen_earlier_than_before(plant: Registry) -> None:
    with plant.writing() as session:
        id_ = find_device(session, "PLC-1").id
        seen = NOON, NOON - timedelta(hours=1)
        note_presences(
            session,
            [
                Presence(id_, DeviceStatus.UNKNOWN, DeviceStatus.ONLINE, seen[0]),
                Presence(id_, DeviceStatus.ONLINE, DeviceStatus.OFFLINE, seen[1]),
                Presence(id_, DeviceStatus.ONLINE, DeviceStatus.ERROR),  # it is not Online now
            ],
        )
    with plant.reading() as session:
        row = find_device(session, id_)
        assert (row.status, row.last_seen) == (DeviceStatus.OFFLINE, NOON)
    if plant.is_postgres:
        call = text("SELECT update_device_status(:id, 'Online', :seen)")
        with plant.writing() as session:
            session.execute(call, {"id": id_, "seen": NOON - timedelta(days=1)})
        with plant.reading() as session:
            row = find_device(session, id_)
            assert (row.status, row.last_seen) == (DeviceStatus.ONLINE, NOON)


@pytest.mark.parametrize(
    ("entry", "fields"),
    [
        (DeviceEntry, {"endpoint": " "}),
        (DeviceEntry, {"name": "6f9619ff-8b86-d011-b42d-00cf4fc964ff"}),
        (DeviceEntry, {"name": "two\nlines"}),
        (DeviceEntry, {"config": {"x": float("inf")}}),
        (DeviceEntry, {"config": {"x": 2**60}}),
        (DeviceEntry, {"description": "nul \x00"}),
        (DeviceEntry, {"protocol": "modbus"}),
        (DeviceEntry, {"enabled": 1}),
        (TagEntry, {"scaling": 0}),
        (TagEntry, {"scaling": True}),
        (TagEntry, {"min_value": 2, "max_value": 1}),
        (TagEntry, {"deadband": -1}),
        (TagEntry, {"scan_rate": 2**31}),
        (RuleEntry, {"device": None}),
        (RuleEntry, {"fleet": True}),
        (RuleEntry, {"metric": "x"}),
        (RuleEntry, {"condition_expression": "value > 1"}),
        (RuleEntry, {"op": "BETWEEN", "threshold_low": 2, "threshold_high": 1}),
        (
            RuleEntry,
            {"op": "NOT_BETWEEN", "threshold_low": 0, "threshold_high": 2, "deadband": 1},
        ),
        (RuleEntry, {"escalations": [{"level": "WARNING", "threshold": 1}]}),
        (RuleEntry, {"escalations": [{"level": "FATAL"}]}),
        (RuleEntry, {"eval_duration": "1 hour"}),
        (RuleEntry, {"channels": ["a", "a"]}),
    ],
)
def test_what_cannot_be(entry: type[Any], fields: dict[str, Any]) -> None:
    whole = {"DeviceEntry": device, "TagEntry": tag, "RuleEntry": rule}[entry.__name__]
    whole()
    with pytest.raises(RegistryError):
        whole(**fields)


def test_the_tag_of_a_point(plant: Registry) -> None:
    with plant.writing() as session:
        id_ = find_device(session, "PLC-1").id
        edit_tag(session, ANN, id_, "level", scaling=0.1, tag_offset=-1.0, max_value=9.0)
    with plant.reading() as session:
        for named in ("plc-1", id_, id_.upper()):
            found = matching(session, named, "Level")
            assert found is not None
            assert pipeline_tag(found) == (0.1, -1.0, None, 9.0, None)
        assert matching(session, "plc-2", "level") is None
        assert matching(session, "plc-1", "temperature") is None
    with plant.writing() as session:
        delete_device(session, ANN, id_)
        assert matching(session, "plc-1", "level") is None
        assert session.scalars(select(Tag.id)).all() != []
        assert session.scalars(select(Device.id)).all() == [id_]


def test_ids_are_names_too(plant: Registry) -> None:
    with plant.reading() as session:
        id_ = session.scalars(select(AlertRule.id).where(AlertRule.op == CompareOp.GT)).first()
        assert id_ is not None
        assert find_rule(session, id_).id == id_
