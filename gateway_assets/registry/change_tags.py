"""Tags of devices: added, edited, deleted so that history keeps them, restored, listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
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
)
from gateway_assets.registry.change_devices import disable_rules
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.entries import TagEntry
from gateway_assets.registry.find import find, find_deleted, must_be_free
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.words import TagType


def list_tags(
    session: Session,
    *,
    device: str | None = None,
    data_type: TagType | None = None,
    enabled: bool | None = None,
    deleted: bool = False,
) -> Sequence[tuple[Device, Tag]]:
    """By device and name, each with its device. Raises RegistryError for an unknown device."""
    rows = select(Device, Tag).join(Tag, Tag.device_id == Device.id)
    rows = rows.where(Tag.deleted_at.is_not(None) if deleted else Tag.deleted_at.is_(None))
    if device is not None:
        rows = rows.where(Device.id == find(session, Device, device).id)
    if data_type is not None:
        rows = rows.where(Tag.data_type == data_type)
    if enabled is not None:
        rows = rows.where(Tag.enabled == enabled)
    found = session.execute(rows.order_by(Device.name, Device.id, Tag.name, Tag.id))
    return [(one.Device, one.Tag) for one in found]


def find_tag(session: Session, device: str, which: str) -> Tag:
    """The living tag of a device. Raises RegistryError naming the nearest."""
    return find(session, Tag, which, Tag.device_id == find(session, Device, device).id)


def tag_fields(tag: Tag) -> dict[str, Any]:
    """A tag's fields as ``TagEntry`` has them."""
    return {name: getattr(tag, name) for name in TagEntry.model_fields}


def add_tag(session: Session, actor: Actor, device: str, entry: TagEntry) -> Tag:
    """Raises RegistryError for an unknown device, and for a name that another of its tags has."""
    owner = find(session, Device, device, lock=True)
    must_be_free(session, Tag, entry.name, Tag.device_id == owner.id)
    tag = insert_tag(session, actor, owner, entry)
    session.flush()
    return tag


def insert_tag(session: Session, actor: Actor, owner: Device, entry: TagEntry) -> Tag:
    """As ``add_tag``, where it is known that the name is free; written with the next statement."""
    fields = {name: getattr(entry, name) for name in TagEntry.model_fields}
    tag = Tag(device_id=owner.id, **fields)
    created(session, actor, tag, {"device": owner.name, **fields})
    return tag


def edit_tag(session: Session, actor: Actor, device: str, which: str, **fields: Any) -> Fields:
    """Change some fields; gives those that differed. Raises RegistryError."""
    owner = find(session, Device, device)
    tag = find(session, Tag, which, Tag.device_id == owner.id, lock=True)
    return set_tag(session, actor, tag, checked(TagEntry, tag_fields(tag) | fields))


def set_tag(session: Session, actor: Actor, tag: Tag, entry: TagEntry) -> Fields:
    """Make a tag what an entry says."""
    after = {name: getattr(entry, name) for name in TagEntry.model_fields}
    changes = difference(tag_fields(tag), after)
    if "name" in changes:
        must_be_free(session, Tag, entry.name, Tag.device_id == tag.device_id, but=tag.id)
    set_fields(session, actor, tag, changes)
    return changes


def delete_tag(session: Session, actor: Actor, device: str, which: str) -> Deleted:
    """Delete a tag softly; rules that only look at it are disabled."""
    owner = find(session, Device, device)
    tag = find(session, Tag, which, Tag.device_id == owner.id, lock=True)
    rules = disable_rules(session, actor, AlertRule.tag_id == tag.id)
    tag.deleted_at = utc_now()
    session.flush()
    names = tuple(rule.name for rule in rules)
    audited(session, actor, tag, "delete", {"device": owner.name, "rules": list(names)})
    return Deleted(tag.name, rules=names)


def restore_tag(session: Session, actor: Actor, device: str, which: str) -> Tag:
    """Bring a deleted tag back; rules stay as they are. Raises RegistryError when its name was
    taken meanwhile, or its device is deleted.
    """
    owner = find(session, Device, device, lock=True)
    tag = find_deleted(session, Tag, which, Tag.device_id == owner.id)
    must_be_free(session, Tag, tag.name, Tag.device_id == owner.id)
    tag.deleted_at = None
    session.flush()
    audited(session, actor, tag, "restore", {"device": owner.name})
    return tag


def device_of(session: Session, tag: Tag) -> Device:
    device = session.get(Device, tag.device_id)
    if device is None:
        raise RegistryError(f"the tag {tag.name!r} has no device")
    return device
