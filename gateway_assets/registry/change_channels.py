"""Channels: where people are told. Added, edited, deleted, listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
from gateway_assets.registry.alerts import AlertRule, Channel, Notice, RuleChannel
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
from gateway_assets.registry.entries import ChannelEntry
from gateway_assets.registry.find import find, is_living, must_be_free
from gateway_assets.registry.words import ChannelType, NoticeStatus


def list_channels(
    session: Session,
    *,
    type: ChannelType | None = None,  # noqa: A002  the column's word
    enabled: bool | None = None,
) -> Sequence[Channel]:
    """By name."""
    wanted = {"type": type, "enabled": enabled}
    given = {name: value for name, value in wanted.items() if value is not None}
    return session.scalars(select(Channel).filter_by(**given).order_by(Channel.name)).all()


def find_channel(session: Session, which: str) -> Channel:
    """Raises RegistryError naming the nearest."""
    return find(session, Channel, which)


def channel_fields(channel: Channel) -> dict[str, Any]:
    """A channel's fields as ``ChannelEntry`` has them."""
    return {name: getattr(channel, name) for name in ChannelEntry.model_fields}


def add_channel(session: Session, actor: Actor, entry: ChannelEntry) -> Channel:
    """Raises RegistryError when a channel has the name."""
    must_be_free(session, Channel, entry.name)
    fields = {name: getattr(entry, name) for name in ChannelEntry.model_fields}
    channel = Channel(**fields)
    created(session, actor, channel, fields)
    session.flush()
    return channel


def edit_channel(session: Session, actor: Actor, which: str, **fields: Any) -> Fields:
    """Change some fields; gives those that differed. Raises RegistryError."""
    channel = find(session, Channel, which, lock=True)
    entry = checked(ChannelEntry, channel_fields(channel) | fields)
    return set_channel(session, actor, channel, entry)


def set_channel(session: Session, actor: Actor, channel: Channel, entry: ChannelEntry) -> Fields:
    """Make a channel what an entry says."""
    after = {name: getattr(entry, name) for name in ChannelEntry.model_fields}
    changes = difference(channel_fields(channel), after)
    if "name" in changes:
        must_be_free(session, Channel, entry.name, but=channel.id)
    set_fields(session, actor, channel, changes)
    return changes


def delete_channel(session: Session, actor: Actor, which: str) -> Deleted:
    """Delete a channel for good, with what it has sent.

    Raises RegistryError while rules name it, because a rule that names none tells all channels, and
    while notifications wait for it.
    """
    channel = find(session, Channel, which, lock=True)
    rules = session.scalars(
        select(AlertRule.name)
        .join(RuleChannel, RuleChannel.rule_id == AlertRule.id)
        .where(RuleChannel.config_id == channel.id, *is_living(AlertRule))
        .order_by(AlertRule.name)
    ).all()
    if rules:
        raise RegistryError(
            f"the channel {channel.name!r} is named by rules: {', '.join(rules)}",
            hint="name another: gateway rules edit RULE --channel NAME; or disable the channel",
        )
    waiting = session.scalar(
        select(func.count())
        .select_from(Notice)
        .where(Notice.config_id == channel.id, Notice.status == NoticeStatus.PENDING)
    )
    if waiting:
        raise RegistryError(
            f"{waiting} notifications wait for the channel {channel.name!r}",
            hint=f"disable it instead: gateway channels edit {channel.name} --no-enabled",
        )
    audited(session, actor, channel, "delete")
    session.delete(channel)
    session.flush()
    return Deleted(channel.name)
