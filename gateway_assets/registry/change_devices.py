"""Devices: added, edited, deleted so that history keeps them, restored, listed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, or_, select, update
from sqlalchemy.orm import Session

from gateway_assets.registry.alerts import AlertRule
from gateway_assets.registry.audit import Actor
from gateway_assets.registry.change import (
    Deleted,
    Fields,
    audited,
    checked,
    created,
    difference,
    set_fields,
    signed,
)
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.entries import DeviceEntry
from gateway_assets.registry.find import find, find_deleted, is_living, must_be_free
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.types import Moment
from gateway_assets.registry.users import AuditLog
from gateway_assets.registry.words import DeviceStatus, Protocol


def list_devices(
    session: Session,
    *,
    protocol: Protocol | None = None,
    status: DeviceStatus | None = None,
    enabled: bool | None = None,
    location: str | None = None,
    deleted: bool = False,
) -> Sequence[Device]:
    """By name; ``deleted`` gives those that are deleted instead."""
    rows = select(Device).where(
        Device.deleted_at.is_not(None) if deleted else Device.deleted_at.is_(None)
    )
    wanted = {"protocol": protocol, "status": status, "enabled": enabled, "location": location}
    given = {name: value for name, value in wanted.items() if value is not None}
    return session.scalars(rows.filter_by(**given).order_by(Device.name, Device.id)).all()


def find_device(session: Session, which: str) -> Device:
    """The living device of this id or name. Raises RegistryError naming the nearest."""
    return find(session, Device, which)


def device_fields(device: Device) -> dict[str, Any]:
    """A device's fields as ``DeviceEntry`` has them."""
    return {name: getattr(device, name) for name in DeviceEntry.model_fields}


def add_device(session: Session, actor: Actor, entry: DeviceEntry) -> Device:
    """Raises RegistryError when a living device has the name."""
    must_be_free(session, Device, entry.name)
    return insert_device(session, actor, entry)


def insert_device(session: Session, actor: Actor, entry: DeviceEntry) -> Device:
    """As ``add_device``, where it is known that the name is free."""
    fields = {name: getattr(entry, name) for name in DeviceEntry.model_fields}
    device = Device(**fields)
    created(session, actor, device, fields)
    session.flush()
    return device


def edit_device(session: Session, actor: Actor, which: str, **fields: Any) -> Fields:
    """Change some fields; gives those that differed. Raises RegistryError."""
    device = find(session, Device, which, lock=True)
    return set_device(session, actor, device, checked(DeviceEntry, device_fields(device) | fields))


def set_device(session: Session, actor: Actor, device: Device, entry: DeviceEntry) -> Fields:
    """Make a device what an entry says."""
    after = {name: getattr(entry, name) for name in DeviceEntry.model_fields}
    changes = difference(device_fields(device), after)
    if "name" in changes:
        must_be_free(session, Device, entry.name, but=device.id)
    set_fields(session, actor, device, changes)
    return changes


def delete_device(session: Session, actor: Actor, which: str) -> Deleted:
    """Delete a device softly: its tags go with it, rules that only look at it are disabled."""
    device = find(session, Device, which, lock=True)
    now = utc_now()
    tags = session.scalars(
        select(Tag).where(Tag.device_id == device.id, Tag.deleted_at.is_(None)).order_by(Tag.name)
    ).all()
    of_tags = select(Tag.id).where(Tag.device_id == device.id)
    rules = disable_rules(
        session, actor, or_(AlertRule.device_id == device.id, AlertRule.tag_id.in_(of_tags))
    )
    device.deleted_at = now
    for tag in tags:
        tag.deleted_at = now
    signed(device, actor)
    session.flush()
    done = Deleted(device.name, tuple(tag.name for tag in tags), tuple(one.name for one in rules))
    audited(session, actor, device, "delete", _details(done, rules))
    return done


def restore_device(session: Session, actor: Actor, which: str) -> Deleted:
    """Bring a deleted device back (by name: the one deleted last) with the tags that went with it,
    and enable the rules that its deletion disabled, as far as the audit still tells which.

    Raises RegistryError when its name was taken meanwhile.
    """
    device = find_deleted(session, Device, which)
    must_be_free(session, Device, device.name)
    tags = session.scalars(
        select(Tag)
        .where(Tag.device_id == device.id, Tag.deleted_at == device.deleted_at)
        .order_by(Tag.name)
    ).all()
    device.deleted_at = None
    for tag in tags:
        tag.deleted_at = None
    signed(device, actor)
    session.flush()
    rules = enable_rules(session, actor, _rules_disabled_with(session, device))
    done = Deleted(device.name, tuple(tag.name for tag in tags), tuple(one.name for one in rules))
    audited(session, actor, device, "restore", _details(done, rules))
    return done


def set_device_status(session: Session, actor: Actor, which: str, status: DeviceStatus) -> bool:
    """Say how a device is doing; gives whether it was not so before. Maintenance and Error stay
    until somebody says otherwise, the others until its points tell (``presence``).

    ``updated_at`` stays, because it is no change of the device. Raises RegistryError.
    """
    device = find(session, Device, which, lock=True)
    before = device.status
    if before is status:
        return False
    note_presences(session, [Presence(device.id, before, status)])
    session.expire(device)
    audited(session, actor, device, "status", {"fields": {"status": [before, status]}})
    session.flush()
    return True


class Presence(NamedTuple):
    """How a device is doing, unless it is not as it ``was`` any more, and when it was seen."""

    of: str
    was: DeviceStatus
    status: DeviceStatus
    seen: datetime | None = None


def note_presences(session: Session, noted: Iterable[Presence]) -> None:
    """Note how devices are doing, and when they were last seen, never earlier than before. It is no
    change of the devices, and not audited.
    """
    # Many at once, as the driver does it: an object each takes a hundred times as long.
    session.connection().execute(_NOTE, [one._asdict() for one in noted])


_SEEN = bindparam("seen", type_=Moment)
_NOTE = (
    update(Device)
    .where(Device.id == bindparam("of"), Device.status == bindparam("was"))
    .where(Device.deleted_at.is_(None))
    .values(
        status=bindparam("status"),
        last_seen=case(
            (or_(Device.last_seen.is_(None), Device.last_seen < _SEEN), _SEEN),
            else_=Device.last_seen,
        ),
        updated_at=Device.updated_at,
    )
)


def disable_rules(session: Session, actor: Actor, looking: Any) -> list[AlertRule]:
    """Disable the enabled rules of a condition, by name."""
    rows = select(AlertRule).where(*is_living(AlertRule), AlertRule.enabled, looking)
    rules = list(session.scalars(rows.order_by(AlertRule.name).with_for_update()))
    for rule in rules:
        set_fields(session, actor, rule, {"enabled": (True, False)})
    return rules


def enable_rules(session: Session, actor: Actor, ids: Sequence[str]) -> list[AlertRule]:
    """Enable those of some rules that are disabled, by name."""
    rows = select(AlertRule).where(
        *is_living(AlertRule), AlertRule.enabled.is_(False), AlertRule.id.in_(ids)
    )
    rules = list(session.scalars(rows.order_by(AlertRule.name).with_for_update()))
    for rule in rules:
        rule.activated_at = utc_now()  # what came meanwhile is not its own
        set_fields(session, actor, rule, {"enabled": (False, True)})
    return rules


def _rules_disabled_with(session: Session, device: Device) -> list[str]:
    deletion = session.scalars(
        select(AuditLog)
        .where(AuditLog.resource_type == "devices", AuditLog.resource_id == device.id)
        .where(AuditLog.action == "device.delete")
        .order_by(AuditLog.id.desc())
    ).first()
    return list(deletion.details.get("disabled", [])) if deletion else []


def _details(done: Deleted, rules: Sequence[AlertRule]) -> dict[str, Any]:
    return {"tags": len(done.tags), "rules": list(done.rules), "disabled": [r.id for r in rules]}
