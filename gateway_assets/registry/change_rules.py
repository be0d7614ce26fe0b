"""Alert rules: added, edited, deleted so that history keeps them, restored, listed.

A rule's version goes up when it means something else from then on: what it looks at, when it is in
alarm, how grave that is. Its name, words, channels and whether it is enabled are not that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
from gateway_assets.registry.alerts import AlertRule, Channel, RuleChannel
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
    visible,
)
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.entries import RuleEntry
from gateway_assets.registry.find import DELETED, find, find_deleted, must_be_free
from gateway_assets.registry.model import utc_now
from gateway_assets.registry.words import AlertLevel

REFERENCES = ("device", "tag", "channels")
COLUMNS = tuple(name for name in RuleEntry.model_fields if name not in REFERENCES)
_MEANINGLESS = {"name", "description", "enabled", "message", "channels"}


def list_rules(
    session: Session,
    *,
    device: str | None = None,
    level: AlertLevel | None = None,
    enabled: bool | None = None,
    deleted: bool = False,
) -> Sequence[AlertRule]:
    """By name. Raises RegistryError for an unknown device."""
    rows = select(AlertRule).where(
        AlertRule.deleted_at.is_not(None) if deleted else AlertRule.deleted_at.is_(None)
    )
    if device is not None:
        id_ = find(session, Device, device).id
        tags = select(Tag.id).where(Tag.device_id == id_)
        rows = rows.where((AlertRule.device_id == id_) | AlertRule.tag_id.in_(tags))
    if level is not None:
        rows = rows.where(AlertRule.level == level)
    if enabled is not None:
        rows = rows.where(AlertRule.enabled == enabled)
    return session.scalars(rows.order_by(AlertRule.name, AlertRule.id)).all()


def find_rule(session: Session, which: str) -> AlertRule:
    """Raises RegistryError naming the nearest."""
    return find(session, AlertRule, which)


def rule_fields(session: Session, rule: AlertRule) -> dict[str, Any]:
    """A rule's fields as ``RuleEntry`` has them; what is deleted is called so."""
    tag = session.get(Tag, rule.tag_id) if rule.tag_id else None
    device_id = tag.device_id if tag else rule.device_id
    device = session.get(Device, device_id) if device_id else None
    channels = session.scalars(
        select(Channel.name)
        .join(RuleChannel, RuleChannel.config_id == Channel.id)
        .where(RuleChannel.rule_id == rule.id)
    )
    return {
        "device": called(device),
        "tag": called(tag),
        **{name: getattr(rule, name) for name in COLUMNS},
        "channels": sorted(channels),  # databases order names in ways of their own
    }


def entry_fields(entry: RuleEntry) -> dict[str, Any]:
    """The same of an entry: channels in order, because they are a set."""
    return {**entry.plain(), "channels": sorted(entry.channels)}


def add_rule(session: Session, actor: Actor, entry: RuleEntry) -> AlertRule:
    """Raises RegistryError for an unknown device, tag or channel, and for a name that is taken."""
    must_be_free(session, AlertRule, entry.name)
    fields = entry_fields(entry)
    rule = AlertRule(**{name: fields[name] for name in COLUMNS}, **_scope(session, entry))
    channels = _channels(session, entry)
    created(session, actor, rule, fields)
    session.flush()
    session.add_all(RuleChannel(rule_id=rule.id, config_id=one.id) for one in channels)
    session.flush()
    return rule


def edit_rule(session: Session, actor: Actor, which: str, **fields: Any) -> Fields:
    """Change some fields; gives those that differed. Raises RegistryError."""
    rule = find(session, AlertRule, which, lock=True)
    return set_rule(session, actor, rule, edited_rule(session, rule, fields))


def edited_rule(session: Session, rule: AlertRule, fields: Mapping[str, Any]) -> RuleEntry:
    return checked(RuleEntry, {**rule_fields(session, rule), **fields})


def set_rule(session: Session, actor: Actor, rule: AlertRule, entry: RuleEntry) -> Fields:
    """Make a rule what an entry says."""
    changes = difference(rule_fields(session, rule), entry_fields(entry))
    if not changes:
        return changes
    if "name" in changes:
        must_be_free(session, AlertRule, entry.name, but=rule.id)
    # Everything is looked up first: a question would write what is only half set.
    scope = _scope(session, entry) if changes.keys() & {"device", "tag", "fleet"} else {}
    channels = _channels(session, entry)
    columns = {name: value for name, (_, value) in changes.items() if name in COLUMNS}
    for name, value in {**columns, **scope}.items():
        setattr(rule, name, value)
    if "channels" in changes:
        session.execute(delete(RuleChannel).where(RuleChannel.rule_id == rule.id))
        session.add_all(RuleChannel(rule_id=rule.id, config_id=one.id) for one in channels)
    if changes.keys() - _MEANINGLESS:
        rule.version += 1
        rule.activated_at = utc_now()
    elif changes.get("enabled", (None, False))[1]:
        rule.activated_at = utc_now()
    signed(rule, actor)
    session.flush()
    details = {"fields": visible(changes), "version": rule.version}
    audited(session, actor, rule, "update", details)
    return changes


def enable_rule(session: Session, actor: Actor, which: str, *, enabled: bool) -> bool:
    """Enable or disable a rule, whatever else it says; gives whether it was not so before."""
    rule = find(session, AlertRule, which, lock=True)
    if rule.enabled == enabled:
        return False
    if enabled:
        rule.activated_at = utc_now()
    set_fields(session, actor, rule, {"enabled": (rule.enabled, enabled)})
    return True


def set_service(session: Session, actor: Actor, which: str, *, is_out: bool, reason: str) -> bool:
    """Take a rule out of service, or put it back; gives whether it was not so before. Raises
    RegistryError without a reason to take it out.
    """
    if is_out and not reason.strip():
        raise RegistryError(
            "a rule is taken out of service for a reason", hint='such as --reason "calibration"'
        )
    rule = find(session, AlertRule, which, lock=True)
    if rule.out_of_service == is_out:
        return False
    set_fields(session, actor, rule, {"out_of_service": (rule.out_of_service, is_out)}, reason)
    return True


def delete_rule(session: Session, actor: Actor, which: str) -> Deleted:
    """Delete a rule softly: its alerts stay."""
    rule = find(session, AlertRule, which, lock=True)
    rule.deleted_at = utc_now()
    signed(rule, actor)
    session.flush()
    audited(session, actor, rule, "delete")
    return Deleted(rule.name)


def restore_rule(session: Session, actor: Actor, which: str) -> AlertRule:
    """Bring a deleted rule back. Raises RegistryError when its name was taken meanwhile, or what
    it looks at is not there any more.
    """
    rule = find_deleted(session, AlertRule, which)
    must_be_free(session, AlertRule, rule.name)
    _scope(session, checked(RuleEntry, rule_fields(session, rule)))
    rule.deleted_at = None
    rule.activated_at = utc_now()
    signed(rule, actor)
    session.flush()
    audited(session, actor, rule, "restore")
    return rule


def called(row: Device | Tag | None) -> str | None:
    """The name of what a rule looks at, which tells when it is deleted."""
    if row is None:
        return None
    return row.name if row.deleted_at is None else f"{row.name}{DELETED}"


def _scope(session: Session, entry: RuleEntry) -> dict[str, str | None]:
    if entry.device is None:
        return {"device_id": None, "tag_id": None}
    device = find(session, Device, entry.device)
    tag = find(session, Tag, entry.tag, Tag.device_id == device.id) if entry.tag else None
    return {"device_id": device.id, "tag_id": tag.id if tag else None}


def _channels(session: Session, entry: RuleEntry) -> list[Channel]:
    return [find(session, Channel, name) for name in entry.channels]
