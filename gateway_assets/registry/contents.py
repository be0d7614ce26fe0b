"""What a registry holds that a document may speak of, all of it at one moment.

Everything living is read at once, because a plan compares all of it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from gateway_assets.registry.alerts import AlertRule, Channel, RuleChannel
from gateway_assets.registry.change_channels import channel_fields
from gateway_assets.registry.change_devices import device_fields
from gateway_assets.registry.change_rules import COLUMNS, called
from gateway_assets.registry.change_tags import tag_fields
from gateway_assets.registry.devices import Device, Tag
from gateway_assets.registry.entries import folded
from gateway_assets.registry.find import is_living

Fields = dict[str, Any]
TagKey = tuple[str, str]  # device and tag, folded


class Contents(NamedTuple):
    """Fields as the entries have them, by folded name; channels by their exact name."""

    devices: dict[str, Fields]
    tags: dict[TagKey, Fields]
    rules: dict[str, Fields]
    channels: dict[str, Fields]


def contents_of(session: Session) -> Contents:
    channels = session.scalars(select(Channel).order_by(Channel.name)).all()
    devices = session.scalars(select(Device).order_by(Device.name, Device.id)).all()
    tags = session.scalars(select(Tag).order_by(Tag.name, Tag.id)).all()
    living = {one.id: one for one in devices if one.deleted_at is None}
    return Contents(
        {folded(one.name): device_fields(one) for one in living.values()},
        {
            (folded(living[tag.device_id].name), folded(tag.name)): tag_fields(tag)
            for tag in tags
            if tag.deleted_at is None and tag.device_id in living
        },
        _rules(session, {one.id: one for one in devices}, {one.id: one for one in tags}, channels),
        {one.name: channel_fields(one) for one in channels},
    )


def _rules(
    session: Session, devices: dict[str, Device], tags: dict[str, Tag], channels: Any
) -> dict[str, Fields]:
    names = {one.id: one.name for one in channels}
    told = defaultdict(list)
    for link in session.scalars(select(RuleChannel)):
        told[link.rule_id].append(names[link.config_id])
    found = {}
    for rule in session.scalars(
        select(AlertRule).where(*is_living(AlertRule)).order_by(AlertRule.name, AlertRule.id)
    ):
        tag = tags[rule.tag_id] if rule.tag_id else None
        device_id = tag.device_id if tag else rule.device_id
        found[folded(rule.name)] = {
            "device": called(devices[device_id] if device_id else None),
            "tag": called(tag),
            **{name: getattr(rule, name) for name in COLUMNS},
            "channels": sorted(told[rule.id]),
        }
    return found
