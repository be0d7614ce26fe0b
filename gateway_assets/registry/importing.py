"""What a document would change in a registry, and doing exactly that, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

from gateway_assets.errors import RegistryError
from gateway_assets.registry.audit import Actor, record
from gateway_assets.registry.change import difference
from gateway_assets.registry.change_channels import (
    add_channel,
    delete_channel,
    find_channel,
    set_channel,
)
from gateway_assets.registry.change_devices import (
    delete_device,
    find_device,
    insert_device,
    set_device,
)
from gateway_assets.registry.change_rules import (
    add_rule,
    delete_rule,
    entry_fields,
    find_rule,
    set_rule,
)
from gateway_assets.registry.change_tags import delete_tag, find_tag, insert_tag, set_tag
from gateway_assets.registry.contents import Contents, Fields, TagKey, contents_of
from gateway_assets.registry.database import Registry
from gateway_assets.registry.devices import Device
from gateway_assets.registry.document import Document, Problems
from gateway_assets.registry.entries import (
    ChannelEntry,
    DeviceEntry,
    RuleEntry,
    TagEntry,
    folded,
)
from gateway_assets.registry.find import nearest


class Action(StrEnum):
    ADD = "add"
    CHANGE = "change"
    DELETE = "delete"
    KEEP = "keep"


class Change(NamedTuple):
    """What becomes of one thing, or of a tag of ``device``; ``fields`` are those that differ, each
    (old, new), of what is added those that have a value.
    """

    kind: str
    name: str
    action: Action
    fields: dict[str, tuple[Any, Any]]
    device: str = ""


class _Wanted(NamedTuple):
    """A document by the keys of ``Contents``; None is not spoken of."""

    devices: dict[str, DeviceEntry] | None
    tags: dict[TagKey, TagEntry]
    listed: set[str]  # devices whose tags the document lists
    rules: dict[str, RuleEntry] | None
    channels: dict[str, ChannelEntry] | None
    owners: dict[str, str]  # devices of tags as the document spells them


def plan(registry: Registry, document: Document, *, prune: bool = False) -> list[Change]:
    """What ``apply`` would do; nothing is written. ``prune`` deletes what the document does not
    have, of the kinds that it speaks of: devices, the tags of devices whose tags it lists, rules,
    channels.

    Raises RegistryError with every name that leads nowhere.
    """
    with registry.reading() as session:
        return _planned(session, document, prune=prune)


def apply(
    registry: Registry,
    actor: Actor,
    document: Document,
    planned: Sequence[Change],
    *,
    prune: bool = False,
) -> None:
    """Do what was planned: all of it or nothing. Raises RegistryError when the registry has changed
    since, so that something else would be done.
    """
    with registry.writing() as session:
        if registry.is_postgres:
            session.execute(text(_LOCK))
        if _planned(session, document, prune=prune) != list(planned):
            raise RegistryError(
                "the registry was changed since this was planned; nothing was written",
                hint="look at the plan again: run the same command",
            )
        changes = [one for one in planned if one.action is not Action.KEEP]
        if not changes:
            return
        _carry_out(session, actor, _wanted(document), changes)
        counts = {str(action): _count(changes, action) for action in Action}
        record(session, actor, "registry.import", details={"counts": counts, "prune": prune})


# Others may read meanwhile, but not change what was planned on.
_LOCK = (
    "LOCK TABLE devices, tags, alert_rules, notification_configs, alert_rule_notifications"
    " IN SHARE ROW EXCLUSIVE MODE"
)


def _count(changes: Iterable[Change], action: Action) -> int:
    return sum(one.action is action for one in changes)


def _planned(session: Session, document: Document, *, prune: bool) -> list[Change]:
    return compared(contents_of(session), document, prune=prune)


def compared(there: Contents, document: Document, *, prune: bool = False) -> list[Change]:
    """The same of contents that were read before: nothing but a comparison."""
    wanted = _wanted(document)
    changes = [
        *_channels(there, wanted, prune=prune),
        *_devices(there, wanted, prune=prune),
        *_tags(there, wanted, prune=prune),
        *_rules(there, wanted, prune=prune),
    ]
    lost = list(_lost(there, wanted, changes))
    if lost:
        raise Problems(lost)
    return changes + _disabled(there, wanted, changes)


def _wanted(document: Document) -> _Wanted:
    devices: dict[str, DeviceEntry] = {}
    tags: dict[TagKey, TagEntry] = {}
    owners: dict[str, str] = {}
    listed: set[str] = set()
    for one in document.devices or []:
        key = folded(one.name)
        owners[key] = one.name
        devices[key] = DeviceEntry.model_validate(one.model_dump(exclude={"tags"}))
        if one.tags is not None:
            listed.add(key)
            tags |= {(key, folded(tag.name)): tag for tag in one.tags}
    for loose in document.tags or []:
        key = folded(loose.device)
        owners.setdefault(key, loose.device)
        listed.add(key)
        tags[key, folded(loose.name)] = TagEntry.model_validate(
            loose.model_dump(exclude={"device"})
        )
    rules, channels = document.rules, document.channels
    return _Wanted(
        devices if document.devices is not None else None,
        tags,
        listed,
        {folded(one.name): one for one in rules} if rules is not None else None,
        {one.name: one for one in channels} if channels is not None else None,
        owners,
    )


def _change(kind: str, name: str, before: Fields | None, after: Fields | None) -> Change:
    if after is None:
        return Change(kind, name, Action.DELETE, {})
    if before is None:
        fields = {key: (None, value) for key, value in after.items() if value not in (None, [], {})}
        return Change(kind, name, Action.ADD, fields)
    fields = difference(before, after)
    return Change(kind, name, Action.CHANGE if fields else Action.KEEP, fields)


def _devices(there: Contents, wanted: _Wanted, *, prune: bool) -> list[Change]:
    if wanted.devices is None:
        return []
    found = [
        _change("device", one.name, there.devices.get(key), one.plain())
        for key, one in wanted.devices.items()
    ]
    gone = there.devices.keys() - wanted.devices.keys() if prune else set()
    return found + [_change("device", there.devices[key]["name"], {}, None) for key in sorted(gone)]


def _tags(there: Contents, wanted: _Wanted, *, prune: bool) -> list[Change]:
    found = [
        _change("tag", one.name, there.tags.get(key), one.plain())._replace(
            device=wanted.owners[key[0]]
        )
        for key, one in wanted.tags.items()
    ]
    for key in sorted(there.tags.keys() - wanted.tags.keys()):
        if prune and key[0] in wanted.listed:
            device = there.devices[key[0]]["name"]
            found.append(_change("tag", there.tags[key]["name"], {}, None)._replace(device=device))
    return found


def _rules(there: Contents, wanted: _Wanted, *, prune: bool) -> list[Change]:
    if wanted.rules is None:
        return []
    found = [
        _change("rule", one.name, there.rules.get(key), entry_fields(one))
        for key, one in wanted.rules.items()
    ]
    gone = there.rules.keys() - wanted.rules.keys() if prune else set()
    return found + [_change("rule", there.rules[key]["name"], {}, None) for key in sorted(gone)]


def _channels(there: Contents, wanted: _Wanted, *, prune: bool) -> list[Change]:
    if wanted.channels is None:
        return []
    found = [
        _change("channel", name, there.channels.get(name), one.plain())
        for name, one in wanted.channels.items()
    ]
    gone = there.channels.keys() - wanted.channels.keys() if prune else set()
    return found + [_change("channel", name, {}, None) for name in sorted(gone)]


class _Left(NamedTuple):
    """What is there when everything is done: keys."""

    devices: set[str]
    tags: set[TagKey]
    channels: set[str]


def _left(there: Contents, wanted: _Wanted, changes: Sequence[Change]) -> _Left:
    gone = [one for one in changes if one.action is Action.DELETE]
    devices = there.devices.keys() | (wanted.devices or {}).keys()
    devices -= {folded(one.name) for one in gone if one.kind == "device"}
    tags = there.tags.keys() | wanted.tags.keys()
    tags -= {(folded(one.device), folded(one.name)) for one in gone if one.kind == "tag"}
    channels = there.channels.keys() | (wanted.channels or {}).keys()
    channels -= {one.name for one in gone if one.kind == "channel"}
    return _Left(devices, {key for key in tags if key[0] in devices}, channels)


def _lost(there: Contents, wanted: _Wanted, changes: Sequence[Change]) -> Iterator[str]:
    """Every name that would lead nowhere."""
    left = _left(there, wanted, changes)
    for (device, _), tag in wanted.tags.items():
        if device not in left.devices:
            yield f"tag {tag.name}: {_none('device', wanted.owners[device], left.devices)}"
    for rule in (wanted.rules or {}).values():
        yield from (f"rule {rule.name}: {what}" for what in _lost_by(rule, left))
    deleted = {folded(one.name) for one in changes if one.kind == "rule" and not one.fields}
    for key, fields in there.rules.items():
        if key not in (wanted.rules or {}) and key not in deleted:
            for name in fields["channels"]:
                if name not in left.channels:
                    yield f"rule {fields['name']}: it tells the channel {name}, which would go"


def _lost_by(rule: RuleEntry, left: _Left) -> Iterator[str]:
    for name in rule.channels:
        if name not in left.channels:
            yield _none("channel", name, left.channels)
    if rule.device is None:
        return
    device = folded(rule.device)
    if device not in left.devices:
        yield _none("device", rule.device, left.devices)
    elif rule.tag and (device, folded(rule.tag)) not in left.tags:
        yield _none("tag", rule.tag, {tag for owner, tag in left.tags if owner == device})


def _none(kind: str, name: str, names: Iterable[str]) -> str:
    near = nearest(name, names)
    return f"there is no {kind} {name!r}" + (f": {near}" if near else "")


def _disabled(there: Contents, wanted: _Wanted, changes: Sequence[Change]) -> list[Change]:
    """Rules that are not spoken of and only look at what goes: they are disabled with it."""
    left = _left(there, wanted, changes)
    deleted = {folded(one.name) for one in changes if one.kind == "rule" and not one.fields}
    found = []
    for key, fields in there.rules.items():
        if key in (wanted.rules or {}) or key in deleted or not fields["enabled"]:
            continue
        device, tag = (fields[name] and folded(fields[name]) for name in ("device", "tag"))
        looks_at_nothing = (device in there.devices and device not in left.devices) or (
            (device, tag) in there.tags and (device, tag) not in left.tags
        )
        if looks_at_nothing:
            found.append(Change("rule", fields["name"], Action.CHANGE, {"enabled": (True, False)}))
    return found


def _carry_out(session: Session, actor: Actor, wanted: _Wanted, changes: Sequence[Change]) -> None:
    """What goes, goes first, so that its names are free; but for channels, which rules name."""
    for change in reversed(changes):
        if change.action is Action.DELETE and change.kind != "channel":
            _delete(session, actor, change)
    owners: dict[str, Device] = {}
    for change in changes:
        if change.action is not Action.DELETE:
            _write(session, actor, wanted, change, owners)
    for change in changes:
        if change.action is Action.DELETE and change.kind == "channel":
            delete_channel(session, actor, change.name)


def _delete(session: Session, actor: Actor, change: Change) -> None:
    match change.kind:
        case "device":
            delete_device(session, actor, change.name)
        case "tag":
            delete_tag(session, actor, change.device, change.name)
        case _:
            delete_rule(session, actor, change.name)


def _write(
    session: Session, actor: Actor, wanted: _Wanted, change: Change, owners: dict[str, Device]
) -> None:
    is_new = change.action is Action.ADD
    name, key = change.name, folded(change.name)
    match change.kind:
        case "device":
            entry = (wanted.devices or {})[key]
            if is_new:
                owners[key] = insert_device(session, actor, entry)
            else:
                set_device(session, actor, find_device(session, name), entry)
        case "tag":
            _write_tag(session, actor, wanted, change, owners)
        case "channel":
            channel = (wanted.channels or {})[name]
            if is_new:
                add_channel(session, actor, channel)
            else:
                set_channel(session, actor, find_channel(session, name), channel)
        case _ if is_new:
            add_rule(session, actor, (wanted.rules or {})[key])
        case _ if key in (wanted.rules or {}):
            set_rule(session, actor, find_rule(session, name), (wanted.rules or {})[key])


def _write_tag(
    session: Session, actor: Actor, wanted: _Wanted, change: Change, owners: dict[str, Device]
) -> None:
    device = folded(change.device)
    entry = wanted.tags[device, folded(change.name)]
    if change.action is Action.ADD:
        owner = owners.get(device) or find_device(session, change.device)
        owners[device] = owner
        insert_tag(session, actor, owner, entry)
    else:
        set_tag(session, actor, find_tag(session, change.device, change.name), entry)
